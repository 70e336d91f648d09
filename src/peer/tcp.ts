/**
 * TCP sockets: the only file of peer/ that touches node:net. Turns net.Socket's events into the Socket port, so that
 * nothing above it knows listeners, buffers or streams of Node.
 */
import { connect, createServer, type Socket as NetSocket } from 'node:net';
import { OperationalError } from '../base/errors.ts';
import type { Dial, Listen, Listener, Socket, SocketEvents } from './socket.ts';

const wrap = (socket: NetSocket): Socket => {
  socket.setNoDelay(true);
  socket.pause();
  let reason = 'closed by the other side';
  let closed = false;
  // Before start() an error must not be unhandled: Node would end the process.
  socket.on('error', (error) => {
    reason = error.message;
  });
  return {
    remoteHost: socket.remoteAddress ?? '',
    remotePort: socket.remotePort ?? 0,
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

export const dialTcp: Dial = (host, port, timeoutMs) =>
  new Promise((resolve, reject) => {
    const socket = connect({ host, port });
    const fail = (cause: unknown): void => {
      socket.destroy();
      const why = cause instanceof Error ? cause.message : String(cause);
      reject(
        new OperationalError(
          'dial_failed',
          'retry',
          `cannot reach ${host}:${port}: ${why}`,
          'Check the address and the network; it is tried again by itself.',
          cause,
        ),
      );
    };
    socket.setTimeout(timeoutMs, () => fail(`no answer within ${timeoutMs} ms`));
    socket.once('error', fail);
    socket.once('connect', () => {
      socket.setTimeout(0);
      socket.off('error', fail);
      resolve(wrap(socket));
    });
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
