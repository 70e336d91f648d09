import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { OperationalError } from '../base/errors.ts';
import { silentLog } from '../base/log.ts';
import { callRpc, MAX_CLIENTS, MAX_REQUEST_BYTES, type RpcMethods, serveRpc } from './json_rpc_socket.ts';

const folder = mkdtempSync(join(tmpdir(), 'gossipd-rpc-'));
after(() => rmSync(folder, { recursive: true, force: true }));
let names = 0;
const freshPath = (): string => join(folder, `s${names++}`);

const METHODS: RpcMethods = {
  status: (params) => ({ fine: true, params }),
  fail: () => {
    throw new Error('on purpose');
  },
  large: () => 'x'.repeat(100_000),
};

const serving = async (path = freshPath()) => serveRpc(path, METHODS, silentLog);

/** Sends text as it is and gathers answers until there are `count` of them, or the other side closes. */
const ask = async (path: string, text: string, count = 1): Promise<string[]> => {
  const socket = connect(path);
  socket.setEncoding('utf8');
  socket.on('error', () => {});
  socket.write(text);
  let gathered = '';
  await new Promise<void>((resolve) => {
    socket.on('close', () => resolve());
    socket.on('data', (piece: string) => {
      gathered += piece;
      if (gathered.split('\n\n').length > count) resolve();
    });
  });
  socket.destroy();
  return gathered.split('\n\n').slice(0, -1);
};
const parsed = async (path: string, text: string, count = 1): Promise<Record<string, unknown>[]> =>
  (await ask(path, text, count)).map((answer) => JSON.parse(answer) as Record<string, unknown>);

const codeOf = async (promise: Promise<unknown>): Promise<string> => {
  try {
    await promise;
    return 'no error';
  } catch (error) {
    assert.ok(error instanceof OperationalError, String(error));
    assert.notEqual(error.hint, '');
    return error.code;
  }
};

test('framing: each line is a request, each answer one object and an empty line', async () => {
  const server = await serving();
  const two =
    '{"jsonrpc":"2.0","id":1,"method":"status","params":{"a":1}}\n\n\r\n{"id":"b","method":"status"}\n';
  assert.deepEqual(await parsed(server.path, two, 2), [
    { jsonrpc: '2.0', id: 1, result: { fine: true, params: { a: 1 } } },
    { jsonrpc: '2.0', id: 'b', result: { fine: true } },
  ]);
  await server.close();
});

test('framing: a request may arrive byte by byte', async () => {
  const server = await serving();
  const socket = connect(server.path);
  for (const letter of '{"id":7,"method":"status"}\n') {
    socket.write(letter);
    await new Promise((resolve) => setImmediate(resolve));
  }
  const [answer] = (await once(socket, 'data')) as [Buffer];
  assert.match(answer.toString(), /"id":7,"result".*\n\n$/);
  socket.destroy();
  await server.close();
});

test('an unknown method is told which there are; names of Object are no methods', async () => {
  const server = await serving();
  for (const method of ['stop', 'constructor', '__proto__', 'toString']) {
    const [answer] = await parsed(server.path, `{"id":1,"method":"${method}"}\n`);
    assert.deepEqual(answer?.['error'], {
      code: -32601,
      message: `unknown method "${method}"; known: fail, large, status`,
    });
  }
  await server.close();
});

test('what is no request is answered as such, and the connection goes on', async () => {
  const server = await serving();
  const lines = ['{', '5', 'null', '[]', '{"method":5}', '"x"'];
  const answers = await parsed(server.path, `${lines.join('\n')}\n{"id":9,"method":"status"}\n`, 7);
  assert.deepEqual(
    answers.slice(0, 6).map(({ id, error }) => [id, (error as { code: number }).code]),
    lines.map(() => [null, -32700]),
  );
  assert.equal(answers[6]?.['id'], 9);
  await server.close();
});

test('a method that throws gives an error with its message', async () => {
  const server = await serving();
  const [answer] = await parsed(server.path, '{"id":1,"method":"fail"}\n');
  assert.deepEqual(answer?.['error'], { code: -32603, message: 'on purpose' });
  await server.close();
});

test(`bound: more than ${MAX_REQUEST_BYTES} characters without a line end close the connection`, async () => {
  const server = await serving();
  assert.deepEqual(await ask(server.path, `{"method":"${'x'.repeat(MAX_REQUEST_BYTES)}`), []);
  assert.deepEqual(await ask(server.path, `{"method":"${'x'.repeat(MAX_REQUEST_BYTES)}"}\n`), []);
  assert.deepEqual(await callRpc(server.path, 'status', 1), { fine: true, params: 1 });
  await server.close();
});

test(`bound: client ${MAX_CLIENTS + 1} is turned away, and let in when another has left`, async () => {
  const server = await serving();
  const clients: Socket[] = [];
  for (let index = 0; index < MAX_CLIENTS; index++) {
    const client = connect(server.path);
    client.write('{"id":1,"method":"status"}\n');
    await once(client, 'data');
    clients.push(client);
  }
  assert.equal(await codeOf(callRpc(server.path, 'status')), 'daemon_not_running');
  const [first] = clients;
  first!.destroy();
  await once(first!, 'close');
  // The server hears of it in a turn of its own.
  let answer: unknown;
  for (let tries = 0; answer === undefined && tries < 100; tries++) {
    answer = await callRpc(server.path, 'status').catch(() => undefined);
  }
  assert.deepEqual(answer, { fine: true, params: {} });
  for (const client of clients) client.destroy();
  await server.close();
});

test('bound: a client that asks and does not read is not read either', async () => {
  let made = 0;
  const path = freshPath();
  const server = await serveRpc(
    path,
    {
      large: () => {
        made++;
        return 'x'.repeat(100_000);
      },
    },
    silentLog,
  );
  const socket = connect(path);
  socket.pause();
  const asked = 500;
  socket.write('{"method":"large"}\n'.repeat(asked));
  // What the system buffers between the two ends is some hundreds of kilobytes.
  let before = -1;
  for (let quiet = 0; quiet < 20; quiet = made === before ? quiet + 1 : 0) {
    before = made;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert.ok(made >= 1 && made < 100, `${made} answers of 100 kB were made for a client that reads none`);
  let answers = 0;
  socket.on('data', (piece: Buffer) => {
    for (const byte of piece) if (byte === 0x7d) answers++;
  });
  socket.resume();
  await new Promise<void>((resolve) => {
    const look = (): void => {
      if (answers === asked) resolve();
      else setTimeout(look, 5);
    };
    look();
  });
  assert.equal(made, asked, 'once it reads, every request is answered');
  socket.destroy();
  await server.close();
});

test('a socket that nobody answers on is replaced; one that is in use is left alone', async () => {
  const used = await serving();
  await assert.rejects(serving(used.path), { code: 'rpc_socket_failed', action: 'degrade' });
  assert.deepEqual(await callRpc(used.path, 'status'), { fine: true, params: {} });
  await used.close();
  // As a killed process leaves it: the file is there, nobody listens.
  const stale = freshPath();
  const dies = `require('node:net').createServer().listen(${JSON.stringify(stale)}, () => process.kill(process.pid, 'SIGKILL'))`;
  spawnSync(process.execPath, ['-e', dies]);
  assert.ok(statSync(stale).isSocket());
  const server = await serving(stale);
  assert.deepEqual(await callRpc(stale, 'status'), { fine: true, params: {} });
  await server.close();
});

test('a file that is no socket is never removed', async () => {
  const path = freshPath();
  writeFileSync(path, 'precious');
  await assert.rejects(serving(path), { code: 'rpc_socket_failed' });
  assert.ok(existsSync(path));
});

test('the socket is for its owner only, and is gone after close', async () => {
  const server = await serving();
  assert.equal(statSync(server.path).mode & 0o777, 0o600);
  const client = connect(server.path);
  await once(client, 'connect');
  await server.close();
  await once(client, 'close');
  assert.equal(existsSync(server.path), false);
});

test('a path that cannot be listened on is an error with a next step', async () => {
  await assert.rejects(serving(join(folder, 'none', 'such')), {
    code: 'rpc_socket_failed',
    hint: /--rpc-socket/,
  });
});

test('callRpc: nobody there, garbage, an error, and a server that hangs up', async () => {
  assert.equal(await codeOf(callRpc(freshPath(), 'status')), 'daemon_not_running');
  const server = await serving();
  assert.deepEqual(await callRpc(server.path, 'large'), 'x'.repeat(100_000));
  assert.equal(await codeOf(callRpc(server.path, 'none')), 'rpc_failed');
  await server.close();
  for (const [says, code] of [
    ['not json\n\n', 'rpc_failed'],
    ['5\n\n', 'rpc_failed'],
    ['{}\n\n', 'rpc_failed'],
    ['{"result":1}', 'daemon_not_running'],
    ['', 'daemon_not_running'],
  ] as const) {
    const path = freshPath();
    const odd = createServer((socket) => {
      socket.on('error', () => {});
      socket.resume();
      socket.end(says);
    });
    odd.listen(path);
    await once(odd, 'listening');
    assert.equal(await codeOf(callRpc(path, 'status')), code, says);
    await new Promise((resolve) => odd.close(resolve));
  }
});
