/**
 * TCP sockets: the only file of peer/ that touches node:net. Turns net.Socket's events into the Socket port, so that
 * nothing above it knows listeners, buffers or streams of Node. Dials directly, or through a SOCKS5 proxy.
 */
import { connect, createServer, type Socket as NetSocket, type TcpNetConnectOpts } from 'node:net';
import { toHex } from '../base/bytes.ts';
import { OperationalError } from '../base/errors.ts';
import type { Rng } from '../base/rng.ts';
import type { Dial, Listen, Listener, Socket, SocketEvents } from './socket.ts';
import { Socks5Client, type Socks5Progress } from './socks5.ts';

/** @param leadsTo the other end, where a proxy stands between */
const wrap = (socket: NetSocket, leadsTo?: { readonly host: string; readonly port: number }): Socket => {
  socket.setNoDelay(true);
  socket.pause();
  let reason = 'closed by the other side';
  let closed = false;
  // Before start() an error must not be unhandled: Node would end the process.
  socket.on('error', (error) => {
    reason = error.message;
  });
  return {
    remoteHost: leadsTo?.host ?? socket.remoteAddress ?? '',
    remotePort: leadsTo?.port ?? socket.remotePort ?? 0,
    start: (events: SocketEvents) => {
      const over = (): void => {
        if (closed) return;
        closed = true;
        events.onClose(reason);
      };
      socket.on('data', (chunk: Uint8Array) => events.onData(chunk));
      socket.on('drain', () => events.onDrain());
      socket.on('close', over);
      if (socket.destroyed) over();
      else socket.resume();
    },
    write: (bytes) => {
      if (!socket.destroyed && socket.writable) socket.write(bytes);
    },
    bufferedBytes: () => socket.writableLength,
    pauseReading: () => socket.pause(),
    resumeReading: () => socket.resume(),
    end: () => {
      reason = 'closed by us';
      socket.end();
    },
    destroy: () => {
      if (!socket.destroyed) reason = 'closed by us';
      socket.destroy();
    },
  };
};

/**
 * Time for one address of a name before the next is tried beside it (RFC 8305 calls it connection attempt delay, and
 * would have less).
 */
const NEXT_ADDRESS_MS = 1_000;

const dialFailed = (host: string, port: number, cause: unknown): OperationalError =>
  new OperationalError(
    'dial_failed',
    'retry',
    `cannot reach ${host}:${port}: ${cause instanceof Error ? cause.message || cause.name : String(cause)}`,
    'Check the address and the network; it is tried again by itself.',
    cause,
  );

/** Replaces the system's resolver in tests. */
export type Lookup = NonNullable<TcpNetConnectOpts['lookup']>;

/** Connects, then hands the bare socket on; `ready` resolves or rejects within the time that is left. */
const connected = <T>(
  { host, port, timeoutMs, lookup }: { host: string; port: number; timeoutMs: number; lookup?: Lookup },
  ready: (socket: NetSocket, resolve: (value: T) => void, fail: (cause: unknown) => void) => void,
): Promise<T> =>
  new Promise((resolve, reject) => {
    const socket = connect({
      ...{ host, port, autoSelectFamily: true, autoSelectFamilyAttemptTimeout: NEXT_ADDRESS_MS },
      ...(lookup === undefined ? {} : { lookup }),
    });
    let over = false;
    const finish = (): boolean => {
      if (over) return false;
      over = true;
      clearTimeout(timer);
      socket.off('error', fail);
      return true;
    };
    const fail = (cause: unknown): void => {
      if (!finish()) return;
      // Errors that follow the first one must not be unhandled.
      socket.on('error', () => {});
      socket.destroy();
      reject(dialFailed(host, port, cause));
    };
    // Not the socket's own timeout: that starts over with every byte.
    const timer = setTimeout(() => fail(`no answer within ${timeoutMs} ms`), timeoutMs);
    socket.once('error', fail);
    socket.once('connect', () => ready(socket, (value) => finish() && resolve(value), fail));
  });

/** Names are resolved by the system now, and all their addresses tried in order, both families (IPv6 without brackets). */
export const makeDialTcp =
  (lookup?: Lookup): Dial =>
  (host, port, timeoutMs) =>
    connected<Socket>(
      { host, port, timeoutMs, ...(lookup === undefined ? {} : { lookup }) },
      (socket, resolve) => resolve(wrap(socket)),
    );

export const dialTcp: Dial = makeDialTcp();

/**
 * Through a SOCKS5 proxy, which resolves names; each dial with credentials of its own. The socket calls itself by where
 * it leads.
 */
export const dialThroughProxy =
  (proxy: { readonly host: string; readonly port: number }, rng: Rng): Dial =>
  (host, port, timeoutMs) =>
    connected<Socket>({ ...proxy, timeoutMs }, (socket, resolve, fail) => {
      const user = toHex(rng.bytes(16));
      const client = new Socks5Client({ host, port, user, password: user });
      const follow = (progress: Socks5Progress): void => {
        switch (progress.state) {
          case 'failed':
            return fail(`${host}:${port} through the proxy: ${progress.reason}`);
          case 'waiting':
            if (progress.send !== undefined) socket.write(progress.send);
            return;
          case 'connected':
            socket.off('data', take);
            socket.off('close', closed);
            socket.pause();
            if (progress.rest.length > 0) socket.unshift(progress.rest);
            return resolve(wrap(socket, { host, port }));
        }
      };
      const take = (chunk: Uint8Array): void => follow(client.take(chunk));
      const closed = (): void => fail(`${host}:${port} through the proxy: it closed the connection`);
      socket.on('data', take);
      socket.once('close', closed);
      follow(client.begin());
    });

export const listenTcp: Listen = (host, port, accept) =>
  new Promise((resolve, reject) => {
    const server = createServer((socket) => accept(wrap(socket)));
    const fail = (cause: Error): void =>
      reject(
        new OperationalError(
          'listen_failed',
          'stop',
          `cannot listen on ${host}:${port}: ${cause.message}`,
          'Choose another address with --listen HOST:PORT, or stop the program that has this one.',
          cause,
        ),
      );
    server.once('error', fail);
    server.listen({ host, port }, () => {
      server.off('error', fail);
      // Errors after this point (out of descriptors on accept) lose one connection, not the listener.
      server.on('error', () => {});
      const address = server.address();
      const listener: Listener = {
        host,
        port: typeof address === 'object' && address !== null ? address.port : port,
        close: () => new Promise((done) => server.close(() => done())),
      };
      resolve(listener);
    });
  });
