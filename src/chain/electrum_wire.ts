/**
 * The lines of the Electrum protocol: JSON-RPC 2.0 questions, answers and notifications, one to a line.
 *
 * electrum_session.ts writes questions and reads lines of a server that may send anything. Errors are judged by their code, not by
 * their text, which differs between ElectrumX, Fulcrum and electrs; Blockstream's electrs sends bare text in place of
 * the error object. Nothing here throws.
 */

/** One line of a server. */
export type ElectrumLine =
  | { readonly kind: 'result'; readonly id: number; readonly result: unknown }
  | { readonly kind: 'error'; readonly id: number; readonly code: number; readonly message: string }
  | { readonly kind: 'notification'; readonly method: string; readonly params: readonly unknown[] }
  /** JSON that is none of these: nothing to wait for, nothing to break. */
  | { readonly kind: 'other' }
  | { readonly kind: 'garbage' };

/** Longest error text that is kept, for logs and reasons. */
const MAX_MESSAGE_CHARACTERS = 160;

/** Codes of aiorpcX, which ElectrumX and Fulcrum share: excessive resource usage, server busy. */
const BUSY_CODES: readonly number[] = [-101, -102];

/** True if the server asks for patience rather than answering the question. */
export const isBusy = (code: number): boolean => BUSY_CODES.includes(code);

/** Without its newline; parameters are plain values. */
export const encodeQuestion = (id: number, method: string, params: readonly unknown[]): string =>
  JSON.stringify({ jsonrpc: '2.0', id, method, params });

/** An object that is not an array, as a record; else undefined. */
export const asRecord = (value: unknown): Readonly<Record<string, unknown>> | undefined =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value))
    : undefined;

/** One line of printable ASCII, so that a server cannot write to a terminal. */
const printable = (text: string): string =>
  text.slice(0, MAX_MESSAGE_CHARACTERS).replace(/[^\x20-\x7e]/g, '?');

const errorOf = (error: unknown): { code: number; message: string } => {
  if (typeof error === 'string') return { code: 0, message: printable(error) };
  const { code, message } = asRecord(error) ?? {};
  return {
    code: typeof code === 'number' ? code : 0,
    message: typeof message === 'string' ? printable(message) : 'an error without a message',
  };
};

export const parseElectrumLine = (line: string): ElectrumLine => {
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch {
    return { kind: 'garbage' };
  }
  const message = asRecord(parsed);
  if (message === undefined) return { kind: 'garbage' };
  const { id, method, params, result, error } = message;
  if (typeof method === 'string') {
    return { kind: 'notification', method, params: Array.isArray(params) ? params : [] };
  }
  if (typeof id !== 'number') return { kind: 'other' };
  if (error !== undefined && error !== null) return { kind: 'error', id, ...errorOf(error) };
  return { kind: 'result', id, result };
};
