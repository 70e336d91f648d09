/**
 * The Http port over Node's fetch: connections are kept and used again, answers are cut off where they become too long, requests
 * end when their time is up or the caller withdraws. daemon/ hands it to the chain backends.
 *
 * Redirects are not followed: an answer from elsewhere is not from the service that the operator named, and credentials stay
 * where they belong. A compressed answer counts as long as it is unpacked.
 * Rejects with OperationalError: `http_refused`, `http_timeout`, `http_aborted`, `http_too_long`, `http_broken`.
 */
import { OperationalError } from '../base/errors.ts';
import { onAbort } from './abort_fan.ts';
import type { Http, HttpReply, HttpRequest } from './http_port.ts';

/** First room for an answer; it doubles up to the request's maxBytes, so that many small chunks cost no more than few large ones. */
const FIRST_ROOM_BYTES = 16_384;
/** A service that says "in a year" is asked again before. */
const MAX_RETRY_AFTER_MS = 3_600_000;

/** System errors that mean that nothing was listening, by their code. */
const REFUSED: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
]);

const failure = (code: string, message: string, cause?: unknown): OperationalError =>
  new OperationalError(code, 'retry', message, 'It is asked again by itself.', cause);

/** The innermost reason: fetch says only "fetch failed" and hides it, sometimes in a list of one error for each address. */
const innermost = (error: unknown): { readonly code: string; readonly message: string } => {
  let at = error;
  for (let depth = 0; depth < 4 && at instanceof Error; depth++) {
    const inner: unknown = at instanceof AggregateError ? at.errors[0] : at.cause;
    if (!(inner instanceof Error)) break;
    at = inner;
  }
  if (!(at instanceof Error)) return { code: '', message: String(at) };
  const code = 'code' in at && typeof at.code === 'string' ? at.code : '';
  return { code, message: at.message === '' ? code : at.message };
};

const retryAfter = (value: string | null): number | undefined => {
  if (value === null) return undefined;
  const ms = /^\d{1,9}$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), MAX_RETRY_AFTER_MS);
};

const tooLong = (maxBytes: number): OperationalError =>
  failure('http_too_long', `the answer is longer than ${maxBytes} bytes`);

/** The whole body; throws `http_too_long` as soon as it is clear that it does not fit. */
const readBody = async (response: Response, maxBytes: number): Promise<Uint8Array> => {
  if (Number(response.headers.get('content-length') ?? 0) > maxBytes) throw tooLong(maxBytes);
  if (response.body === null) return new Uint8Array(0);
  let room = new Uint8Array(Math.min(FIRST_ROOM_BYTES, maxBytes));
  let length = 0;
  const reader = response.body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return room.subarray(0, length);
    const needed = length + value.length;
    if (needed > maxBytes) throw tooLong(maxBytes);
    if (needed > room.length) {
      const larger = new Uint8Array(Math.min(maxBytes, Math.max(needed, room.length * 2)));
      larger.set(room.subarray(0, length));
      room = larger;
    }
    room.set(value, length);
    length = needed;
  }
};

const exchange = async (request: HttpRequest, signal: AbortSignal): Promise<HttpReply> => {
  const { method, url, headers, body, maxBytes } = request;
  const response = await fetch(url, {
    method,
    redirect: 'manual',
    signal,
    ...(headers === undefined ? {} : { headers }),
    ...(body === undefined ? {} : { body }),
  });
  const retryAfterMs = retryAfter(response.headers.get('retry-after'));
  const bytes = await readBody(response, maxBytes);
  return { status: response.status, body: bytes, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
};

/** See the head of the file. Never leaves a timer or a half-read connection behind. */
export const fetchHttp: Http = async (request, signal) => {
  const ender = new AbortController();
  let ended: OperationalError | undefined;
  const end = (error: OperationalError): void => {
    ended ??= error;
    ender.abort();
  };
  const stay = onAbort(signal, () => end(failure('http_aborted', 'the request was withdrawn')));
  const timer = setTimeout(
    () => end(failure('http_timeout', `no answer within ${request.timeoutMs} ms`)),
    request.timeoutMs,
  );
  try {
    return await exchange(request, ender.signal);
  } catch (error) {
    if (ended !== undefined) throw ended;
    // Ends the connection of an answer that is not read to its end.
    ender.abort();
    if (error instanceof OperationalError) throw error;
    const { code, message } = innermost(error);
    throw failure(REFUSED.has(code) ? 'http_refused' : 'http_broken', message, error);
  } finally {
    clearTimeout(timer);
    stay();
  }
};
