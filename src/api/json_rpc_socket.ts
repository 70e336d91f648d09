/**
 * JSON-RPC 2.0 over a Unix socket, in CLN's framing: requests are JSON objects, each ended by a newline; every answer is one
 * JSON object followed by an empty line. Read-only by construction: it is handed functions that return plain data.
 *
 * Bounds: MAX_CLIENTS connections; a request is at most MAX_REQUEST_BYTES; a client that sends more, or nothing for
 * IDLE_MS, is closed. One answer waits to be read at a time: a client that asks and does not read is not read either.
 */
import { chmodSync, lstatSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { OperationalError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';

/** Each holds at most one partial request and one piece of what it sent: 32 x 2 x 64 KiB = 4 MiB. */
export const MAX_CLIENTS = 32;
export const MAX_REQUEST_BYTES = 65_536;
const IDLE_MS = 60_000;
const ANSWER_TIMEOUT_MS = 5_000;
/** A status of 2,000 peers is about 600 KB. */
const MAX_ANSWER_CHARACTERS = 16 * 1024 * 1024;

export type RpcMethods = Readonly<Record<string, (params: unknown) => unknown>>;

interface Request {
  readonly id: string | number | null;
  readonly method: string;
  readonly params: unknown;
}

const readRequest = (line: string): Request | undefined => {
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (typeof parsed !== 'object' || parsed === null) return undefined;
  const { id, method, params } = parsed as { id?: unknown; method?: unknown; params?: unknown };
  if (typeof method !== 'string') return undefined;
  return { id: typeof id === 'string' || typeof id === 'number' ? id : null, method, params };
};

const answer = (line: string, methods: RpcMethods): string => {
  const request = readRequest(line);
  const reply = (body: object): string =>
    `${JSON.stringify({ jsonrpc: '2.0', id: request?.id ?? null, ...body })}\n\n`;
  if (request === undefined) return reply({ error: { code: -32700, message: 'not a JSON-RPC request' } });
  const method = Object.hasOwn(methods, request.method) ? methods[request.method] : undefined;
  if (method === undefined) {
    const known = Object.keys(methods).sort().join(', ');
    return reply({ error: { code: -32601, message: `unknown method "${request.method}"; known: ${known}` } });
  }
  try {
    return reply({ result: method(request.params) });
  } catch (error) {
    return reply({
      error: { code: -32603, message: error instanceof Error ? error.message : String(error) },
    });
  }
};

const serve = (socket: Socket, methods: RpcMethods): void => {
  let gathered = '';
  const answerLines = (): void => {
    for (let end = gathered.indexOf('\n'); end >= 0; end = gathered.indexOf('\n')) {
      const line = gathered.slice(0, end).trim();
      gathered = gathered.slice(end + 1);
      if (line === '') continue;
      if (line.length > MAX_REQUEST_BYTES) {
        socket.destroy();
        return;
      }
      if (socket.write(answer(line, methods))) continue;
      socket.pause();
      return;
    }
    if (gathered.length > MAX_REQUEST_BYTES) socket.destroy();
  };
  socket.setEncoding('utf8');
  socket.setTimeout(IDLE_MS, () => socket.destroy());
  socket.on('error', () => socket.destroy());
  socket.on('drain', () => {
    socket.resume();
    answerLines();
  });
  socket.on('data', (text: string) => {
    gathered += text;
    answerLines();
  });
};

export interface RpcServer {
  readonly path: string;
  readonly close: () => Promise<void>;
}

/** Listens at `path`, mode 0600, taking the place of a socket that nobody answers on. Rejects with `rpc_socket_failed`. */
export const serveRpc = async (path: string, methods: RpcMethods, log: Log): Promise<RpcServer> => {
  // Only a socket is taken away: a path that was mistyped may name anything.
  if (isSocket(path) && !(await isAnswered(path))) rmSync(path, { force: true });
  const clients = new Set<Socket>();
  const server: Server = createServer((socket) => {
    if (clients.size >= MAX_CLIENTS) {
      socket.destroy();
      return;
    }
    clients.add(socket);
    socket.on('close', () => clients.delete(socket));
    serve(socket, methods);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) =>
      reject(
        new OperationalError(
          'rpc_socket_failed',
          'degrade',
          `cannot serve ${path}: ${cause.message}`,
          'Use another path with --rpc-socket PATH (Unix sockets allow about 100 characters).',
          cause,
        ),
      ),
    );
    server.listen(path, resolve);
  });
  server.on('error', (error) => log.unusual('rpc socket', { why: error.message }));
  chmodSync(path, 0o600);
  return {
    path,
    close: () =>
      new Promise((resolve) => {
        for (const client of clients) client.destroy();
        server.close(() => resolve());
      }),
  };
};

const isSocket = (path: string): boolean => lstatSync(path, { throwIfNoEntry: false })?.isSocket() ?? false;

const isAnswered = (path: string): Promise<boolean> =>
  new Promise((resolve) => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', () => resolve(false));
  });

/** Asks a running daemon. Rejects with OperationalError `daemon_not_running` or `rpc_failed`. */
export const callRpc = (path: string, method: string, params: unknown = {}): Promise<unknown> =>
  new Promise((resolve, reject) => {
    const socket = connect(path);
    let gathered = '';
    const fail = (code: string, message: string, hint: string, cause?: unknown): void => {
      reject(new OperationalError(code, 'stop', message, hint, cause));
      socket.destroy();
    };
    const notRunning = (why: string, cause?: unknown): void =>
      fail(
        'daemon_not_running',
        `no gossipd answers at ${path}: ${why}`,
        'Start it with "gossipd run", or name its folder with --data-dir.',
        cause,
      );
    socket.setEncoding('utf8');
    socket.setTimeout(ANSWER_TIMEOUT_MS, () => notRunning(`no answer within ${ANSWER_TIMEOUT_MS / 1000} s`));
    socket.once('connect', () =>
      socket.write(`${JSON.stringify({ jsonrpc: '2.0', id: 1, method, params })}\n`),
    );
    socket.once('error', (cause) => notRunning(cause.message, cause));
    // After an answer this changes nothing: the promise is settled.
    socket.once('close', () => notRunning('it closed the connection without an answer'));
    socket.on('data', (text: string) => {
      gathered += text;
      const end = gathered.indexOf('\n\n');
      if (end < 0 && gathered.length <= MAX_ANSWER_CHARACTERS) return;
      const reply = end < 0 ? undefined : readReply(gathered.slice(0, end));
      if (reply === undefined) {
        fail('rpc_failed', `what answers at ${path} is not gossipd`, 'Check --rpc-socket and --data-dir.');
      } else if (reply.error !== undefined) {
        fail('rpc_failed', String(reply.error.message ?? 'refused'), 'See "gossipd help".');
      } else {
        resolve(reply.result);
        socket.end();
      }
    });
  });

interface Reply {
  readonly result?: unknown;
  readonly error?: { readonly message?: unknown };
}

const readReply = (text: string): Reply | undefined => {
  try {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === 'object' && parsed !== null && ('result' in parsed || 'error' in parsed)
      ? (parsed as Reply)
      : undefined;
  } catch {
    return undefined;
  }
};
