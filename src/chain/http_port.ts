/** The HTTP port of the chain backends: one request, one answer. fetch_http.ts implements it; tests hand in servers of their own. */

export interface HttpRequest {
  readonly method: 'GET' | 'POST';
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** An answer that is longer is a failure, so that no backend can fill the memory. */
  readonly maxBytes: number;
  /** Milliseconds until the request fails. */
  readonly timeoutMs: number;
}

export interface HttpReply {
  readonly status: number;
  readonly body: Uint8Array;
  /** `Retry-After` in milliseconds, if the server sent one. */
  readonly retryAfterMs?: number;
}

/** Rejects on everything that is no complete answer: no connection, time-out, abort, too long. */
export type Http = (request: HttpRequest, signal: AbortSignal) => Promise<HttpReply>;
