/**
 * Which way a host is dialled: directly or through the proxy. Onion addresses only ever go through the proxy; with
 * `always` so does everything else, names unresolved, so that neither DNS nor the peer learns where we are. Pure;
 * tcp.ts has both ways.
 */
import { OperationalError } from '../base/errors.ts';
import { hostRange, isOnion, plainHost } from './host_range.ts';
import type { Dial } from './socket.ts';

/** Tor looks the service up and builds circuits before it answers: often ten seconds, seldom above thirty. */
const PROXY_PATIENCE = 4;

export interface DialWays {
  readonly direct: Dial;
  /** Undefined without a proxy. */
  readonly proxied: Dial | undefined;
  /** Nothing is dialled directly, but loopback: a proxy has no way to this machine. */
  readonly always: boolean;
}

export interface DialChoice {
  readonly dial: Dial;
  /** False for hosts that there is no way to: those are passed over instead of failing again and again. */
  readonly canDial: (host: string) => boolean;
}

const isLoopback = (host: string): boolean =>
  hostRange(host) === undefined && /^(127\.|::1$|localhost$)/.test(plainHost(host));

export const chooseDial = ({ direct, proxied, always }: DialWays): DialChoice => {
  const wayTo = (host: string): Dial | undefined => {
    if (isOnion(host)) return proxied;
    return always && !isLoopback(host) ? proxied : direct;
  };
  return {
    canDial: (host) => wayTo(host) !== undefined,
    dial: (host, port, timeoutMs) => {
      const way = wayTo(host);
      if (way !== undefined) return way(host, port, way === proxied ? timeoutMs * PROXY_PATIENCE : timeoutMs);
      return Promise.reject(
        new OperationalError(
          'dial_failed',
          'retry',
          `cannot reach ${host}:${port}: it needs a proxy`,
          'Name one with --proxy HOST:PORT; that of Tor is usually at 127.0.0.1:9050.',
        ),
      );
    },
  };
};
