/**
 * The Log port. Levels are CLN's: nothing that a peer can do logs above `info`; `unusual` and `broken` are for the operator.
 * `broken` means that our own promise or the machine failed; a test that sees one without declaring it fails.
 */

export type LogLevel = 'trace' | 'debug' | 'info' | 'unusual' | 'broken';
export type LogFields = Readonly<Record<string, string | number | boolean | bigint | undefined>>;

export interface Log {
  readonly trace: (message: string, fields?: LogFields) => void;
  readonly debug: (message: string, fields?: LogFields) => void;
  readonly info: (message: string, fields?: LogFields) => void;
  readonly unusual: (message: string, fields?: LogFields) => void;
  readonly broken: (message: string, fields?: LogFields) => void;
  /** A log whose lines name the part they come from, e.g. `store` or `peer`. */
  readonly part: (name: string) => Log;
}

const nothing = (): void => {};

/** Discards everything. */
export const silentLog: Log = {
  trace: nothing,
  debug: nothing,
  info: nothing,
  unusual: nothing,
  broken: nothing,
  part: () => silentLog,
};

/** Keeps lines for tests to look at. */
export const recordingLog = (lines: { level: LogLevel; message: string; fields?: LogFields }[]): Log => {
  const at =
    (level: LogLevel) =>
    (message: string, fields?: LogFields): void => {
      lines.push(fields === undefined ? { level, message } : { level, message, fields });
    };
  const log: Log = {
    trace: at('trace'),
    debug: at('debug'),
    info: at('info'),
    unusual: at('unusual'),
    broken: at('broken'),
    part: () => log,
  };
  return log;
};
