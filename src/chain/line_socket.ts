/**
 * The port of a connection that carries lines: text that ends with a newline, over TCP or TLS. electrum_session.ts speaks through it,
 * tcp_lines.ts implements it, tests hand in their own. Here too: how people write such an address.
 *
 * TLS by default encrypts without asking who answers: Electrum servers sign their own certificates, and what they answer is
 * proven by hashes in any case. A man in the middle can do what a lying server can (docs/decisions/electrum.md), not more.
 * Who wants more names the certificate's fingerprint, or asks for an authority that the system trusts.
 */

export type TlsTrust =
  | { readonly kind: 'any' }
  /** SHA-256 of the certificate: 64 lowercase hex digits. */
  | { readonly kind: 'fingerprint'; readonly sha256: string }
  /** Signed by an authority that Node trusts, for this host name. */
  | { readonly kind: 'authority' };

export interface LineTarget {
  readonly host: string;
  readonly port: number;
  /** Undefined: plain TCP. */
  readonly tls: TlsTrust | undefined;
}

/** After `onClose` nothing more is called. */
export interface LineEvents {
  /** Without its newline. */
  readonly onLine: (line: string) => void;
  /** A line was longer than the limit and is skipped up to its end; called once for it, when the limit is passed. */
  readonly onOverlong: () => void;
  /** The reason is for people. */
  readonly onClose: (reason: string) => void;
}

export interface LineSocket {
  /** Adds the newline. What is written after the end is lost. */
  readonly writeLine: (line: string) => void;
  /** Ends it at once; `onClose` is not called. */
  readonly destroy: () => void;
}

export interface LineDialOptions {
  readonly timeoutMs: number;
  /** Longest line that is kept, without its newline. */
  readonly maxLineBytes: number;
}

/** Rejects with OperationalError `dial_failed` on everything that is no connection, abort included. */
export type LineDial = (
  target: LineTarget,
  options: LineDialOptions,
  events: LineEvents,
  signal: AbortSignal,
) => Promise<LineSocket>;

const TARGET = /^(tcp|tls):\/\/(\[[0-9a-fA-F:.]+\]|[^\s/:?#@[\]]+):(\d{1,5})\/?(?:\?(.*))?$/;

const trustFrom = (query: string | undefined): TlsTrust | undefined => {
  if (query === undefined || query === '') return { kind: 'any' };
  if (query === 'verify=authority') return { kind: 'authority' };
  const sha256 = /^fingerprint=([0-9a-fA-F:]+)$/.exec(query)?.[1]?.replaceAll(':', '').toLowerCase();
  return sha256?.length === 64 ? { kind: 'fingerprint', sha256 } : undefined;
};

/**
 * Reads `tcp://host:port`, `tls://host:port`, `tls://host:port?fingerprint=SHA256` (hex, colons allowed) and
 * `tls://host:port?verify=authority`; IPv6 addresses in brackets. Undefined if it is none of them.
 */
export const parseLineTarget = (text: string): LineTarget | undefined => {
  const [, scheme, written = '', digits, query] = TARGET.exec(text.trim()) ?? [];
  const port = Number(digits);
  if (scheme === undefined || port < 1 || port > 65_535) return undefined;
  const host = written.replace(/^\[(.*)\]$/, '$1');
  if (scheme === 'tcp') return query === undefined ? { host, port, tls: undefined } : undefined;
  const tls = trustFrom(query);
  return tls === undefined ? undefined : { host, port, tls };
};
