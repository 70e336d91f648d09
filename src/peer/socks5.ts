/**
 * The client side of SOCKS5 (RFC 1928, CONNECT) with user name and password (RFC 1929), as a machine that is fed bytes:
 * tcp.ts owns the socket to the proxy. Tor is the proxy that this is made for: names and onion addresses go to it
 * unresolved, and credentials that differ for each dial give each connection a circuit of its own (Tor's
 * IsolateSOCKSAuth).
 *
 * The proxy is the operator's, yet nothing it says is trusted to have the right length: at most MAX_REPLY_BYTES are gathered.
 */
import { concatBytes, own } from '../base/bytes.ts';
import { parseAddress } from '../wire/address_descriptor.ts';

const VERSION = 5;
const NO_AUTHENTICATION = 0;
const USER_PASSWORD = 2;
const NO_METHOD = 0xff;
const CONNECT = 1;
const IPV4 = 1;
const NAME = 3;
const IPV6 = 4;

/** The longest reply: four bytes, a length byte, a name of 255, a port. What follows belongs to the connection. */
export const MAX_REPLY_BYTES = 4 + 1 + 255 + 2;

/** RFC 1928, section 6; above 0x0f those of Tor for onion services (its proposal 304). */
const REFUSALS: Readonly<Record<number, string>> = {
  1: 'general failure of the proxy',
  2: 'not allowed by the rules of the proxy',
  3: 'network unreachable',
  4: 'host unreachable',
  5: 'connection refused',
  6: 'it took too long',
  7: 'the proxy cannot connect',
  8: 'the proxy does not know this kind of address',
  240: 'the onion service was not found',
  241: 'the onion service descriptor is invalid',
  242: 'the introduction to the onion service failed',
  243: 'the rendezvous with the onion service failed',
  244: 'the onion service wants client authorisation',
  245: 'the onion service refused the client authorisation',
  246: 'no such onion address',
  247: 'the introduction to the onion service took too long',
};

export interface Socks5Request {
  /** IPv4, IPv6 without brackets, an onion address, or a name of at most 255 bytes. */
  readonly host: string;
  readonly port: number;
  /** 1 to 255 bytes each, ASCII; never the same for two dials that must not be linked. */
  readonly user: string;
  readonly password: string;
}

export type Socks5Progress =
  | { readonly state: 'waiting'; readonly send?: Uint8Array }
  /** `rest` came behind the reply: the first bytes of the other side. */
  | { readonly state: 'connected'; readonly rest: Uint8Array }
  | { readonly state: 'failed'; readonly reason: string };

const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);
const counted = (text: string): Uint8Array => {
  const bytes = ascii(text);
  return concatBytes(Uint8Array.of(bytes.length), bytes);
};

/** Eight groups of two bytes. @param host canonical, as parseAddress gives it */
const ipv6Bytes = (host: string): Uint8Array => {
  const [left = '', right] = host.split('::');
  const groups = (text: string): number[] =>
    text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16));
  const [head, tail] = [groups(left), groups(right ?? '')];
  const all = [...head, ...Array.from({ length: 8 - head.length - tail.length }, () => 0), ...tail];
  return Uint8Array.from(all.flatMap((group) => [group >> 8, group & 255]));
};

/** Address type and address; undefined when it is neither an address nor a name that fits. */
const destination = (host: string): Uint8Array | undefined => {
  const address = parseAddress(host, 1);
  switch (address?.kind) {
    case 'ipv4':
      return Uint8Array.of(IPV4, ...address.host.split('.').map(Number));
    case 'ipv6':
      return concatBytes(Uint8Array.of(IPV6), ipv6Bytes(address.host));
    case 'torv3':
    case 'dns':
      return concatBytes(Uint8Array.of(NAME), counted(address.host));
    case undefined:
      return undefined;
  }
};

export class Socks5Client {
  readonly #request: Socks5Request;
  #gathered: Uint8Array = new Uint8Array(0);
  #next: 'method' | 'login' | 'reply' | 'over' = 'method';

  constructor(request: Socks5Request) {
    this.#request = request;
  }

  /** Called once, first: the greeting is to be sent. */
  begin(): Socks5Progress {
    const { host, user, password } = this.#request;
    if (destination(host) === undefined) return this.#fail(`${host.slice(0, 80)} is no address`);
    if (ascii(user).length > 255 || ascii(password).length > 255) return this.#fail('credentials too long');
    return { state: 'waiting', send: Uint8Array.of(VERSION, 2, NO_AUTHENTICATION, USER_PASSWORD) };
  }

  /** Takes what the proxy says, borrowed. After `connected` or `failed` it is not called again. */
  take(chunk: Uint8Array): Socks5Progress {
    this.#gathered = concatBytes(this.#gathered, chunk);
    const sent: Uint8Array[] = [];
    for (;;) {
      const step = this.#step();
      if (step.state !== 'waiting') return step;
      if (step.send === undefined) {
        return sent.length === 0 ? step : { state: 'waiting', send: concatBytes(...sent) };
      }
      sent.push(step.send);
    }
  }

  #step(): Socks5Progress {
    switch (this.#next) {
      case 'method':
        return this.#method();
      case 'login':
        return this.#login();
      case 'reply':
        return this.#reply();
      case 'over':
        return { state: 'waiting' };
    }
  }

  #method(): Socks5Progress {
    const [version, method] = this.#gathered;
    if (version === undefined) return { state: 'waiting' };
    if (version !== VERSION) return this.#fail('what listens there is no SOCKS5 proxy');
    if (method === undefined) return { state: 'waiting' };
    this.#drop(2);
    if (method === NO_METHOD) return this.#fail('the proxy accepts no way to log in that is known here');
    if (method === NO_AUTHENTICATION) return this.#connect();
    if (method !== USER_PASSWORD)
      return this.#fail(`the proxy chose method ${method}, which was not offered`);
    this.#next = 'login';
    const { user, password } = this.#request;
    return { state: 'waiting', send: concatBytes(Uint8Array.of(1), counted(user), counted(password)) };
  }

  #login(): Socks5Progress {
    const [version, status] = this.#gathered;
    if (version === undefined || status === undefined) return { state: 'waiting' };
    this.#drop(2);
    // RFC 1929 has version 1; some proxies answer with that of SOCKS.
    if (version !== 1 && version !== VERSION) return this.#fail('an answer to the login that makes no sense');
    return status === 0 ? this.#connect() : this.#fail('the proxy refused the login');
  }

  #connect(): Socks5Progress {
    this.#next = 'reply';
    const { host, port } = this.#request;
    const to = destination(host) ?? new Uint8Array(0);
    return {
      state: 'waiting',
      send: concatBytes(Uint8Array.of(VERSION, CONNECT, 0), to, Uint8Array.of(port >> 8, port & 255)),
    };
  }

  #reply(): Socks5Progress {
    const [version, code, , kind, length] = this.#gathered;
    if (version !== undefined && version !== VERSION) return this.#fail('a reply that makes no sense');
    // A refusal may come without its address.
    if (code !== undefined && code !== 0) return this.#fail(REFUSALS[code] ?? `refused with code ${code}`);
    if (kind === undefined || length === undefined) return { state: 'waiting' };
    let bytes = 0;
    if (kind === IPV4) bytes = 4 + 4 + 2;
    else if (kind === IPV6) bytes = 4 + 16 + 2;
    else if (kind === NAME) bytes = 4 + 1 + length + 2;
    else return this.#fail('a reply with an address of an unknown kind');
    if (this.#gathered.length < bytes) return { state: 'waiting' };
    this.#drop(bytes);
    this.#next = 'over';
    return { state: 'connected', rest: own(this.#gathered) };
  }

  #drop(bytes: number): void {
    this.#gathered = this.#gathered.subarray(bytes);
  }

  #fail(reason: string): Socks5Progress {
    this.#next = 'over';
    return { state: 'failed', reason };
  }
}
