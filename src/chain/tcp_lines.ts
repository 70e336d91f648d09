/**
 * Lines over real sockets: the LineDial of the running machine. Only this file of the Electrum backend touches node:net and node:tls.
 *
 * daemon/ hands it to electrum.ts. With a fingerprint, the certificate is compared before a byte is sent.
 * Bounds: what the splitter keeps of one unfinished line; Node's own socket buffers.
 */
import { connect, isIP, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { OperationalError } from '../base/errors.ts';
import type { LineDial, LineEvents, LineSocket, LineTarget } from './line_socket.ts';
import { LineSplitter } from './line_splitter.ts';

const dialFailed = (
  { host, port }: LineTarget,
  why: string,
  hint: string,
  cause?: unknown,
): OperationalError =>
  new OperationalError('dial_failed', 'retry', `cannot reach ${host}:${port}: ${why}`, hint, cause);

const TRY_AGAIN = 'Check the address and the network; it is tried again by itself.';

/** What is wrong with the certificate that the server showed; undefined when the target trusts it. */
const certificateFault = (target: LineTarget, socket: TLSSocket): string | undefined => {
  if (target.tls?.kind !== 'fingerprint') return undefined;
  const shown = (socket.getPeerCertificate().fingerprint256 ?? '').replaceAll(':', '').toLowerCase();
  return shown === target.tls.sha256 ? undefined : `its certificate has the fingerprint ${shown || '(none)'}`;
};

const open = (target: LineTarget): Socket | TLSSocket => {
  const { host, port, tls } = target;
  if (tls === undefined) return connect({ host, port });
  return connectTls({
    host,
    port,
    rejectUnauthorized: tls.kind === 'authority',
    // A server name may not be an address (RFC 6066).
    ...(isIP(host) === 0 ? { servername: host } : {}),
  });
};

const wrap = (socket: Socket, maxLineBytes: number, events: LineEvents): LineSocket => {
  let reason = 'closed by the server';
  let ended = false;
  const splitter = new LineSplitter(
    maxLineBytes,
    (line) => {
      if (!ended) events.onLine(line);
    },
    () => {
      if (!ended) events.onOverlong();
    },
  );
  socket.on('error', (error) => {
    reason = error.message;
  });
  socket.on('data', (chunk: Uint8Array) => splitter.push(chunk));
  // Half-open is of no use: whoever stops sending answers no more questions.
  socket.on('end', () => socket.destroy());
  socket.on('close', () => {
    if (ended) return;
    ended = true;
    events.onClose(reason);
  });
  return {
    writeLine: (line) => {
      if (!socket.destroyed && socket.writable) socket.write(`${line}\n`);
    },
    destroy: () => {
      ended = true;
      socket.destroy();
    },
  };
};

export const dialLines: LineDial = (target, { timeoutMs, maxLineBytes }, events, signal) =>
  new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(dialFailed(target, 'it was withdrawn', TRY_AGAIN));
      return;
    }
    const socket = open(target);
    socket.setNoDelay(true);
    const fail = (why: string, hint = TRY_AGAIN, cause?: unknown): void => {
      settled();
      // A socket that fails once more while it is torn down must not end the process.
      socket.on('error', () => {});
      socket.destroy();
      reject(dialFailed(target, why, hint, cause));
    };
    const onError = (error: Error): void => fail(error.message, TRY_AGAIN, error);
    const onClose = (): void => fail('closed by the server');
    const onTimeout = (): void => fail(`no answer within ${timeoutMs} ms`);
    const onAbort = (): void => fail('it was withdrawn');
    const settled = (): void => {
      signal.removeEventListener('abort', onAbort);
      socket.off('error', onError);
      socket.off('close', onClose);
      socket.off('timeout', onTimeout);
      socket.setTimeout(0);
    };
    socket.once('error', onError);
    socket.once('close', onClose);
    socket.once('timeout', onTimeout);
    socket.setTimeout(timeoutMs);
    signal.addEventListener('abort', onAbort, { once: true });
    socket.once(target.tls === undefined ? 'connect' : 'secureConnect', () => {
      const fault = 'getPeerCertificate' in socket ? certificateFault(target, socket) : undefined;
      if (fault !== undefined) {
        fail(fault, 'If the server has a new certificate, put its fingerprint into the configuration.');
        return;
      }
      settled();
      resolve(wrap(socket, maxLineBytes, events));
    });
  });
