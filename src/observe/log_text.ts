/**
 * One log line as text for people: `HH:MM:SS.mmm part: message key=value`, local time. Levels other than info stand before
 * the part in capitals. Pure.
 *
 * Everything printed may come from a peer, so that whatever could move a cursor, colour a terminal, reverse a text or fake a
 * second line is escaped: C0 and C1 controls, DEL, line separators, and the marks that set the direction of writing.
 */
import type { LogFields, LogLevel } from '../base/log.ts';

// biome-ignore lint/suspicious/noControlCharactersInRegex: finding control characters is what it is for.
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

const escapeOne = (character: string): string => {
  if (character === '\n') return '\\n';
  if (character === '\r') return '\\r';
  if (character === '\t') return '\\t';
  const code = character.charCodeAt(0);
  return code < 0x100
    ? `\\x${code.toString(16).padStart(2, '0')}`
    : `\\u${code.toString(16).padStart(4, '0')}`;
};

/** Makes text safe to print on one line of a terminal. */
export const escapeControls = (text: string): string => text.replace(UNSAFE, escapeOne);

/** The same for a line of JSON, which stays JSON: only what JSON.stringify lets through is left to escape. */
export const escapeControlsInJson = (json: string): string =>
  json.replace(UNSAFE, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);

const NEEDS_QUOTES = /[\s"=\\]|^$/;

const valueText = (value: string | number | boolean | bigint): string => {
  if (typeof value !== 'string') return String(value);
  return NEEDS_QUOTES.test(value) ? escapeControls(JSON.stringify(value)) : escapeControls(value);
};

const two = (value: number): string => String(value).padStart(2, '0');

/** Local time of day. */
export const timeText = (timeMs: number): string => {
  const time = new Date(timeMs);
  const seconds = `${two(time.getSeconds())}.${String(time.getMilliseconds()).padStart(3, '0')}`;
  return `${two(time.getHours())}:${two(time.getMinutes())}:${seconds}`;
};

const DIM = '\u001b[2m';
const RESET = '\u001b[0m';
const COLOURS: Readonly<Record<LogLevel, string>> = {
  trace: DIM,
  debug: DIM,
  info: '',
  unusual: '\u001b[33m',
  broken: '\u001b[1;31m',
};

export interface LogLine {
  readonly timeMs: number;
  readonly level: LogLevel;
  /** Empty for the daemon itself. */
  readonly part: string;
  readonly message: string;
  readonly fields: LogFields;
}

/** The line without its time: two lines with the same one say the same. */
export const logBody = ({ level, part, message, fields }: LogLine): string => {
  let text = level === 'info' ? '' : `${level.toUpperCase()} `;
  if (part !== '') text += `${escapeControls(part)}: `;
  text += escapeControls(message);
  for (const [key, value] of Object.entries(fields))
    if (value !== undefined) text += ` ${escapeControls(key)}=${valueText(value)}`;
  return text;
};

/** @param repeated how often it was held back before this line; 0 says nothing */
export const logLineText = (line: LogLine, body: string, repeated: number, colours: boolean): string => {
  const times = repeated === 0 ? '' : ` (${repeated} more of these)`;
  const text = `${timeText(line.timeMs)} ${body}${times}`;
  const colour = COLOURS[line.level];
  return colours && colour !== '' ? `${colour}${text}${RESET}` : text;
};
