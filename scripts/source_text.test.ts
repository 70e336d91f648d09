import assert from 'node:assert/strict';
import { test } from 'node:test';
import { functionSpans, importsOf, lineOf, opaqueImports, scanText } from './source_text.ts';

test('comments, strings, templates and regular expressions are blanked, code and lines stay', () => {
  const text = [
    "const a = 'one // two'; // setTimeout",
    '/* process.env */ const b = /\\/\\* "x/g.test(a);',
    `const c = \`t \${a ? \`in \${b}\` : "process.exit"} setTimeout\`;`,
    'const d = 4 / 2 / 1;',
  ].join('\n');
  const { code, literals } = scanText(text);
  assert.equal(code.length, text.length);
  assert.equal(code.split('\n').length, 4);
  assert.doesNotMatch(code, /setTimeout|process|two/);
  assert.match(code, /const b = \/ +\/\.test\(a\);/);
  assert.match(code, /4 \/ 2 \/ 1/);
  assert.deepEqual(
    literals.map((literal) => literal.value),
    ['one // two', 't … setTimeout', 'in …', 'process.exit'],
  );
});

test('a quote inside a regular expression opens no string', () => {
  const { code } = scanText('const quote = text.match(/[\'"`]/); process.exit(1);');
  assert.match(code, /process\.exit/);
});

test('braces inside a template expression do not end it', () => {
  const { code } = scanText(`const x = \`\${f({ a: { b: 1 } })} end\`; after();`);
  assert.match(code, /f\(\{ a: \{ b: 1 \} \}\)/);
  assert.match(code, /after\(\)/);
  assert.doesNotMatch(code, /end/);
});

test('static, type-only, side-effect, re-exporting, dynamic and required imports are found with their lines', () => {
  const text = [
    "import { a } from './a.ts';",
    "import type { B } from './b.ts';",
    'import {',
    '  type C,',
    '  type D,',
    "} from './c.ts';",
    "import { type E, f } from './e.ts';",
    "import './side.ts';",
    "export * from './all.ts';",
    "export type { G } from './g.ts';",
    "const h = await import('./h.ts');",
    "let i: import('./i.ts').I;",
    "const j = require('j');",
    "const none = Array.from('abc'); // import x from 'y'",
    'const text = "import z from \'q\'";',
  ].join('\n');
  assert.deepEqual(
    importsOf(text).map((each) => [each.specifier, each.line, each.form, each.typesOnly]),
    [
      ['./a.ts', 1, 'import', false],
      ['./b.ts', 2, 'import', true],
      ['./c.ts', 6, 'import', true],
      ['./e.ts', 7, 'import', false],
      ['./side.ts', 8, 'import', false],
      ['./all.ts', 9, 'export', false],
      ['./g.ts', 10, 'export', true],
      ['./h.ts', 11, 'dynamic', false],
      ['./i.ts', 12, 'dynamic', false],
      ['j', 13, 'require', false],
    ],
  );
});

test('an import() of something computed is opaque, one of a plain string is not', () => {
  assert.deepEqual(
    opaqueImports(`await import('./a.ts');\nawait import(name);\nawait import(\`./\${name}.ts\`);`),
    [2, 3],
  );
});

test('function bodies are measured, control blocks and object literals are not', () => {
  const text = [
    'export const f = (a: number): number => {', // 1
    '  if (a > 1) {',
    '    return 1;',
    '  }',
    '  const o = {',
    '    a,',
    '  };',
    '  return o.a;',
    '};', // 9
    'class A {',
    '  async run(b: Map<string, number>): Promise<void> {', // 11
    '    for (const x of b) {',
    '      use(x);',
    '    }',
    '  }', // 15
    '}',
  ].join('\n');
  assert.deepEqual(functionSpans(text), [
    { line: 1, lines: 9 },
    { line: 11, lines: 5 },
  ]);
});

test('lines are counted from one', () => {
  assert.equal(lineOf('a\nb\nc', 0), 1);
  assert.equal(lineOf('a\nb\nc', 2), 2);
  assert.equal(lineOf('a\nb\nc', 4), 3);
});
