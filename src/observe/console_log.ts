/**
 * The Log of a running program, on pino: lines for people or JSON lines, to standard error, written before the call returns.
 *
 * pino filters levels and makes the JSON; log_text makes the lines for people from the same records; repeat_folder keeps
 * a repeating fault to one line in ten seconds; line_output keeps the progress line out of the way.
 * JSON lines carry `time` (milliseconds since the epoch), `level`, `part`, `msg` and the fields; big integers are strings.
 * A line is cut at MAX_LINE_CHARACTERS, because a message may quote a peer.
 */
import { type Logger, pino } from 'pino';
import type { Log, LogFields, LogLevel } from '../base/log.ts';
import type { Clock } from '../base/time.ts';
import { type LineOutput, standardError } from './line_output.ts';
import { escapeControlsInJson, type LogLine, logBody, logLineText } from './log_text.ts';
import { RepeatFolder } from './repeat_folder.ts';
import { systemClock } from './system_clock.ts';

/** Four rows of a wide terminal; a message of a peer is at most 64 KiB and tells no more after the first line. */
export const MAX_LINE_CHARACTERS = 1000;

const LEVEL_VALUES: Readonly<Record<LogLevel, number>> = {
  trace: 10,
  debug: 20,
  info: 30,
  unusual: 40,
  broken: 60,
};

export interface ConsoleLogOptions {
  /** Lines below it are dropped. */
  readonly level: LogLevel;
  /** JSON lines instead of lines for people. */
  readonly json?: boolean;
  /** Standard error of the process unless given. */
  readonly output?: LineOutput;
  readonly clock?: Clock;
  /** Unless given: on a terminal, when NO_COLOR is unset or empty. */
  readonly colours?: boolean;
}

export interface ConsoleLog extends Log {
  /** Prints the counts of folded lines; call it before the process ends. */
  readonly flush: () => void;
}

const cut = (text: string): string =>
  text.length <= MAX_LINE_CHARACTERS
    ? text
    : `${text.slice(0, MAX_LINE_CHARACTERS)}… (${text.length} characters)`;

const jsonFields = ({ part, fields, timeMs }: LogLine, repeated: number): Record<string, unknown> => {
  // Ours first: a field of the same name must not replace them.
  const record: Record<string, unknown> = { time: timeMs };
  if (part !== '') record['part'] = part;
  for (const [key, value] of Object.entries(fields)) {
    if (value === undefined || key in record || key === 'level' || key === 'msg') continue;
    record[key] =
      typeof value === 'bigint' ? value.toString() : typeof value === 'string' ? cut(value) : value;
  }
  if (repeated > 0) record['repeated'] = repeated;
  return record;
};

type PinoLog = Logger<LogLevel>;

/** pino with our levels, handing each finished JSON line to `write`. */
const openPino = (level: LogLevel, write: (line: string) => void): PinoLog =>
  pino<LogLevel>(
    {
      level,
      customLevels: { ...LEVEL_VALUES },
      useOnlyCustomLevels: true,
      base: null,
      timestamp: false,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write: (line) => write(escapeControlsInJson(line.trimEnd())) },
  );

/** The Log that main hands to everything; its `part` makes the others. */
export const consoleLog = (options: ConsoleLogOptions): ConsoleLog => {
  const { level, json = false, clock = systemClock({ unrefTimers: true }) } = options;
  const output = options.output ?? standardError();
  const colours = options.colours ?? (output.isTerminal && (process.env['NO_COLOR'] ?? '') === '');
  const records = openPino(level, output.line);
  const folder = new RepeatFolder<{ line: LogLine; body: string }>(clock, ({ line, body }, repeated) => {
    if (json) records[line.level](jsonFields(line, repeated), cut(line.message));
    else output.line(logLineText(line, body, repeated, colours));
  });
  const partLog = (part: string): Log => {
    const at =
      (lineLevel: LogLevel) =>
      (message: string, fields: LogFields = {}): void => {
        if (!records.isLevelEnabled(lineLevel)) return;
        const line: LogLine = { timeMs: clock.nowMs(), level: lineLevel, part, message, fields };
        const body = cut(logBody(line));
        folder.offer(body, { line, body });
      };
    return {
      trace: at('trace'),
      debug: at('debug'),
      info: at('info'),
      unusual: at('unusual'),
      broken: at('broken'),
      part: partLog,
    };
  };
  return { ...partLog(''), flush: () => folder.flush() };
};
