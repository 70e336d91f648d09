/**
 * Reads TypeScript as text: which bytes are code, which are comments, strings, templates or regular expressions, and what
 * a file imports. layers and conformance use it; it needs no compiler.
 *
 * It is a scanner, not a parser. Two heuristics: a slash after an operator, an opening bracket, a keyword such as `return`
 * or the start of the file opens a regular expression, any other one divides; and `from` counts only behind an `import` or
 * `export` with nothing but names, commas, stars and braces between. Both hold for formatted code.
 */

export interface Literal {
  /** Index of the opening quote. */
  readonly start: number;
  /** Index after the closing quote. */
  readonly end: number;
  /** Content with escapes left as written; each `${…}` of a template is one `…`. */
  readonly value: string;
  readonly kind: 'string' | 'template';
}

export interface ScannedText {
  /** As long as the source: comments and the content of literals are spaces, quotes and line ends are kept. */
  readonly code: string;
  readonly literals: readonly Literal[];
}

const REGEX_MAY_FOLLOW =
  /(?:^|[([{,;:=!&|?+\-*%~^<>}]|\b(?:return|typeof|case|in|of|delete|void|throw|new|else|do|await|yield))$/;

/** Index after the regular expression that starts at `at`, or undefined when the line ends first. */
const regexEnd = (text: string, at: number): number | undefined => {
  let inClass = false;
  for (let index = at + 1; index < text.length; index++) {
    const char = text[index];
    if (char === '\n') return undefined;
    if (char === '\\') index++;
    else if (char === '[') inClass = true;
    else if (char === ']') inClass = false;
    else if (char === '/' && !inClass) {
      let end = index + 1;
      while (/[a-z]/.test(text[end] ?? '')) end++;
      return end;
    }
  }
  return undefined;
};

const stringEnd = (text: string, at: number): number => {
  const quote = text[at];
  for (let index = at + 1; index < text.length; index++) {
    if (text[index] === '\\') index++;
    else if (text[index] === quote || text[index] === '\n') return index + 1;
  }
  return text.length;
};

const commentEnd = (text: string, at: number): number => {
  const close = text[at + 1] === '/' ? '\n' : '*/';
  const end = text.indexOf(close, at + 2);
  if (end < 0) return text.length;
  return close === '\n' ? end : end + 2;
};

const blank = (text: string): string => text.replace(/[^\n]/g, ' ');

/** Splits a source text into code and literals. Never throws; unclosed literals end with the text. */
export const scanText = (text: string): ScannedText => {
  const literals: Literal[] = [];
  /** Open templates: where each began, its text so far, and how many braces are open inside its `${`. */
  const templates: { start: number; value: string; braces: number }[] = [];
  let code = '';
  let at = 0;

  /** Consumes template text from `at` up to the closing backtick or the next `${`. */
  const templateText = (): void => {
    const template = templates[templates.length - 1];
    if (template === undefined) return;
    const from = at;
    while (at < text.length && text[at] !== '`' && !(text[at] === '$' && text[at + 1] === '{'))
      at += text[at] === '\\' ? 2 : 1;
    at = Math.min(at, text.length);
    template.value += text.slice(from, at);
    code += blank(text.slice(from, at));
    if (text[at] === '$') {
      template.value += '…';
      template.braces = 1;
      code += '${';
      at += 2;
    } else {
      code += text[at] ?? '';
      at++;
      templates.pop();
      literals.push({ start: template.start, end: at, value: template.value, kind: 'template' });
    }
  };

  while (at < text.length) {
    const char = text[at] as string;
    const next = text[at + 1];
    const open = templates[templates.length - 1];
    if (char === '/' && (next === '/' || next === '*')) {
      const end = commentEnd(text, at);
      code += blank(text.slice(at, end));
      at = end;
    } else if (char === "'" || char === '"') {
      const end = stringEnd(text, at);
      literals.push({ start: at, end, value: text.slice(at + 1, end - 1), kind: 'string' });
      code += char + blank(text.slice(at + 1, end - 1)) + (text[end - 1] ?? '');
      at = end;
    } else if (char === '`') {
      templates.push({ start: at, value: '', braces: 0 });
      code += char;
      at++;
      templateText();
    } else if (char === '/' && REGEX_MAY_FOLLOW.test(code.slice(-400).trimEnd())) {
      const end = regexEnd(text, at) ?? at + 1;
      code += end === at + 1 ? '/' : `/${blank(text.slice(at + 1, end - 1))}/`;
      at = end;
    } else {
      if (open !== undefined && char === '{') open.braces++;
      if (open !== undefined && char === '}') open.braces--;
      code += char;
      at++;
      if (open !== undefined && open.braces === 0) templateText();
    }
  }
  return { code, literals: literals.sort((left, right) => left.start - right.start) };
};

/** Line of an index, from 1. */
export const lineOf = (text: string, index: number): number => {
  let line = 1;
  for (let at = text.indexOf('\n'); at >= 0 && at < index; at = text.indexOf('\n', at + 1)) line++;
  return line;
};

export interface Import {
  readonly specifier: string;
  readonly line: number;
  /** `export` is `export … from`; `dynamic` is `import()`, also in a type. */
  readonly form: 'import' | 'export' | 'dynamic' | 'require';
  /** Nothing but types crosses: `import type`, or every name is marked `type`. */
  readonly typesOnly: boolean;
  /** `* as name`, or `export *`. */
  readonly everything: boolean;
}

const STATIC = /\b(import|export)\s+(type\s+)?([\w\s{},*$]*)\bfrom\s*$/;

const staticImport = (before: string): Pick<Import, 'form' | 'typesOnly' | 'everything'> | undefined => {
  const match = STATIC.exec(before);
  if (match === null) return undefined;
  const names = /^\s*\{([^}]*)\}\s*$/
    .exec(match[3] ?? '')?.[1]
    ?.split(',')
    .filter((name) => name.trim() !== '');
  const everyNameIsType =
    names !== undefined && names.length > 0 && names.every((name) => /^\s*type\s/.test(name));
  return {
    form: match[1] === 'export' ? 'export' : 'import',
    typesOnly: match[2] !== undefined || everyNameIsType,
    everything: match[3]?.includes('*') === true,
  };
};

/** Every module that the text names, in order: static, re-exported, dynamic and required. */
export const importsOf = (text: string, scanned: ScannedText = scanText(text)): Import[] => {
  const found: Import[] = [];
  for (const literal of scanned.literals) {
    if (literal.value.includes('…') && literal.kind === 'template') continue;
    // An import clause longer than this would not be formatted code: 4,000 characters are some 150 names.
    const before = scanned.code.slice(Math.max(0, literal.start - 4000), literal.start);
    const common = { specifier: literal.value, line: lineOf(text, literal.start), everything: false };
    const fixed = literal.kind === 'string' ? staticImport(before) : undefined;
    if (fixed !== undefined) found.push({ ...common, ...fixed });
    else if (/\bimport\s*\(\s*$/.test(before)) found.push({ ...common, form: 'dynamic', typesOnly: false });
    else if (/\brequire\s*\(\s*$/.test(before)) found.push({ ...common, form: 'require', typesOnly: false });
    else if (literal.kind === 'string' && /(?:^|[;\n}])\s*import\s*$/.test(before))
      found.push({ ...common, form: 'import', typesOnly: false });
  }
  return found;
};

/** Lines with an `import(` whose argument is not one plain string, so that nobody can tell what it loads. */
export const opaqueImports = (text: string, scanned: ScannedText = scanText(text)): number[] => {
  const lines: number[] = [];
  for (const match of scanned.code.matchAll(/\bimport\s*\(\s*/g)) {
    const at = match.index + match[0].length;
    const literal = scanned.literals.find((each) => each.start === at);
    if (literal === undefined || (literal.kind === 'template' && literal.value.includes('…')))
      lines.push(lineOf(text, match.index));
  }
  return lines;
};

const CONTROL = /\b(?:if|for|while|switch|catch|with)\s*$/;

/** Index of the bracket that `close` closes, or -1. */
const openingOf = (code: string, close: number): number => {
  let depth = 0;
  for (let index = close; index >= 0; index--) {
    if (code[index] === ')') depth++;
    else if (code[index] === '(' && --depth === 0) return index;
  }
  return -1;
};

/** True when the brace at `brace` opens a function's body: behind `=>`, or behind a parameter list and maybe a result type. */
const opensFunction = (code: string, brace: number): boolean => {
  const before = code.slice(Math.max(0, brace - 2000), brace).trimEnd();
  if (before.endsWith('=>')) return true;
  const typed = /\)\s*:\s*[\w\s.<>[\]|&,'"]+$/.exec(before);
  const close = before.endsWith(')') ? before.length - 1 : (typed?.index ?? -1);
  if (close < 0) return false;
  const open = openingOf(before, close);
  return open >= 0 && !CONTROL.test(before.slice(0, open));
};

export interface FunctionSpan {
  readonly line: number;
  /** From the line of the opening brace to that of the closing one, both counted. */
  readonly lines: number;
}

/** Bodies of functions, methods and arrows, outermost first. A heuristic over braces: good enough to warn. */
export const functionSpans = (text: string, scanned: ScannedText = scanText(text)): FunctionSpan[] => {
  const spans: FunctionSpan[] = [];
  const open: number[] = [];
  for (const match of scanned.code.matchAll(/[{}]/g)) {
    if (match[0] === '{') open.push(match.index);
    else {
      const start = open.pop();
      if (start === undefined || !opensFunction(scanned.code, start)) continue;
      const line = lineOf(text, start);
      spans.push({ line, lines: lineOf(text, match.index) - line + 1 });
    }
  }
  return spans.sort((left, right) => left.line - right.line);
};
