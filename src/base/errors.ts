/**
 * The two kinds of thrown errors (the other two kinds, WireFault and Verdict, are values and live where they are made).
 */

/** What the supervisor should do about an OperationalError. */
export type OperationalAction = 'retry' | 'degrade' | 'stop';

/** The world failed: no space, store damaged, port taken, bad configuration. Its hint names one next command. */
export class OperationalError extends Error {
  readonly code: string;
  readonly action: OperationalAction;
  /** One sentence for the operator: what to do next. */
  readonly hint: string;

  constructor(code: string, action: OperationalAction, message: string, hint: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'OperationalError';
    this.code = code;
    this.action = action;
    this.hint = hint;
  }
}

/** A promise of our own code is broken. */
export class Bug extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'Bug';
  }
}

export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Bug(message);
}
