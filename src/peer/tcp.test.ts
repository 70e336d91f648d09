import assert from 'node:assert/strict';
import { createServer, type Socket as NetSocket, type Server } from 'node:net';
import { after, test } from 'node:test';
import { concatBytes } from '../base/bytes.ts';
import { OperationalError } from '../base/errors.ts';
import { seededRng } from '../base/rng.ts';
import { chooseDial } from './dial_choice.ts';
import type { Dial, Socket } from './socket.ts';
import { MAX_REPLY_BYTES, Socks5Client } from './socks5.ts';
import { dialTcp, dialThroughProxy, type Lookup, listenTcp, makeDialTcp } from './tcp.ts';

const ONION = `${'a'.repeat(56)}.onion`;
const servers: Server[] = [];
const open = new Set<NetSocket>();
after(() => {
  for (const socket of open) socket.destroy();
  for (const server of servers) server.close();
});

const serve = (onSocket: (socket: NetSocket) => void, host = '127.0.0.1'): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer((socket) => {
      open.add(socket);
      socket.on('error', () => {});
      onSocket(socket);
    });
    servers.push(server);
    server.once('error', reject);
    server.listen(0, host, () => resolve((server.address() as { port: number }).port));
  });

/** The first bytes that come, at least so many. */
const readFrom = (socket: Socket, least: number): Promise<string> =>
  new Promise((resolve) => {
    let text = '';
    socket.start({
      onData: (chunk) => {
        text += Buffer.from(chunk).toString('latin1');
        if (text.length >= least) resolve(text);
      },
      onDrain: () => {},
      onClose: () => resolve(text),
    });
  });
const failure = async (dial: Promise<Socket>): Promise<string> => {
  const error = await dial.then(
    () => undefined,
    (caught: unknown) => caught,
  );
  assert.ok(error instanceof OperationalError && error.code === 'dial_failed');
  return error.message;
};

interface Asked {
  methods: number[];
  user: string;
  kind: number;
  host: string;
  port: number;
}
interface ProxyOptions {
  readonly method?: number;
  readonly login?: number;
  readonly code?: number;
  /** Bytes in place of the reply. */
  readonly reply?: Uint8Array;
  /** One byte at a time. */
  readonly slow?: boolean;
}
const REPLY_TAIL = [0, 1, 127, 0, 0, 1, 0, 80];

/** A SOCKS5 proxy that answers as told and then says "hello" and what it was sent. */
const proxy = async (asked: Asked[], options: ProxyOptions = {}): Promise<number> => {
  const { method = 2, login = 0, code = 0, slow = false } = options;
  return serve((socket) => {
    socket.setNoDelay(true);
    let gathered = Buffer.alloc(0);
    let stage = 0;
    const record: Asked = { methods: [], user: '', kind: 0, host: '', port: 0 };
    asked.push(record);
    const say = (bytes: Uint8Array): void => {
      if (!slow) socket.write(bytes);
      else for (const byte of bytes) socket.write(Uint8Array.of(byte));
    };
    const take = (count: number): Buffer | undefined => {
      if (gathered.length < count) return undefined;
      const part = gathered.subarray(0, count);
      gathered = gathered.subarray(count);
      return part;
    };
    socket.on('data', (chunk) => {
      gathered = Buffer.concat([gathered, chunk]);
      if (stage === 0) {
        const greeting = take(4);
        if (greeting === undefined) return;
        record.methods = [...greeting.subarray(2)];
        say(Uint8Array.of(5, method));
        stage = method === 2 ? 1 : 2;
      }
      if (stage === 1 && gathered.length >= 2 + (gathered[1] ?? 0) + 1) {
        const user = (gathered[1] ?? 0) as number;
        record.user = gathered.subarray(2, 2 + user).toString();
        take(2 + user + 1 + (gathered[2 + user] ?? 0));
        say(Uint8Array.of(1, login));
        stage = 2;
      }
      if (stage === 2 && gathered.length >= 5) {
        record.kind = gathered[3] ?? 0;
        const bytes = record.kind === 1 ? 4 : record.kind === 4 ? 16 : 1 + (gathered[4] ?? 0);
        const request = take(4 + bytes + 2);
        if (request === undefined) return;
        const address = request.subarray(4, 4 + bytes);
        record.host = record.kind === 3 ? address.subarray(1).toString() : address.toString('hex');
        record.port = request.readUInt16BE(4 + bytes);
        stage = 3;
        if (code !== 0) return say(Uint8Array.of(5, code, ...REPLY_TAIL));
        say(concatBytes(options.reply ?? Uint8Array.of(5, 0, ...REPLY_TAIL), Buffer.from('hello')));
      } else if (stage === 3) socket.write(gathered);
    });
  });
};
const through = (port: number): Dial => dialThroughProxy({ host: '127.0.0.1', port }, seededRng(4));

test('socks5: connects, logs in, and hands on the first bytes of the other side with those of the proxy', async () => {
  for (const slow of [false, true]) {
    const asked: Asked[] = [];
    const socket = await through(await proxy(asked, { slow }))(ONION, 9735, 5_000);
    assert.equal(await readFrom(socket, 5), 'hello');
    assert.deepEqual([socket.remoteHost, socket.remotePort], [ONION, 9735]);
    assert.deepEqual(asked[0]?.methods, [0, 2]);
    assert.deepEqual([asked[0]?.kind, asked[0]?.host, asked[0]?.port], [3, ONION, 9735]);
    socket.destroy();
  }
});

test('socks5: names go to the proxy unresolved, addresses as addresses; a proxy without a login will do', async () => {
  const asked: Asked[] = [];
  const dial = through(await proxy(asked, { method: 0 }));
  for (const host of ['node.invalid', '203.0.113.7', '2001:db8::7']) {
    const socket = await dial(host, 9735, 5_000);
    socket.destroy();
  }
  assert.deepEqual(
    asked.map(({ kind, host }) => [kind, host]),
    [
      [3, 'node.invalid'],
      [1, 'cb007107'],
      [4, '20010db8000000000000000000000007'],
    ],
  );
});

test('socks5: each dial has credentials of its own, so that Tor gives it a circuit of its own', async () => {
  const asked: Asked[] = [];
  const dial = through(await proxy(asked));
  for (let each = 0; each < 3; each++) (await dial(ONION, 9735, 5_000)).destroy();
  assert.equal(new Set(asked.map(({ user }) => user)).size, 3);
  assert.ok(asked.every(({ user }) => user.length === 32));
});

test('socks5: every refusal is told in words, by code', async () => {
  const words = new Set<string>();
  for (const code of [1, 2, 3, 4, 5, 6, 7, 8, 9, 0xf0, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7]) {
    const told = await failure(through(await proxy([], { code }))(ONION, 9735, 5_000));
    words.add(told.replace(/.*through the proxy: /, ''));
  }
  assert.equal(words.size, 17);
  assert.ok(words.has('connection refused') && words.has('refused with code 9'));
});

test('socks5: no method, a method nobody offered, and a refused login', async () => {
  const dialWith = async (options: ProxyOptions): Promise<string> =>
    failure(through(await proxy([], options))(ONION, 9735, 5_000));
  assert.match(await dialWith({ method: 0xff }), /no way to log in/);
  assert.match(await dialWith({ method: 1 }), /method 1/);
  assert.match(await dialWith({ login: 1 }), /refused the login/);
});

test('socks5: garbage, a closed connection and silence end the dial', async () => {
  const garbage = await serve((socket) => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n'));
  assert.match(await failure(through(garbage)(ONION, 9735, 5_000)), /no SOCKS5 proxy/);
  assert.match(
    await failure(through(await proxy([], { reply: Uint8Array.of(5, 0, 0, 9, 0, 0) }))(ONION, 1, 5_000)),
    /unknown kind/,
  );
  const closing = await serve((socket) => socket.end(Uint8Array.of(5)));
  assert.match(await failure(through(closing)(ONION, 9735, 5_000)), /closed the connection/);
  const dripping = await serve((socket) => socket.write(Uint8Array.of(5)));
  assert.match(await failure(through(dripping)(ONION, 9735, 50)), /no answer within 50 ms/);
  assert.match(await failure(through(garbage)('no host', 9735, 5_000)), /no address/);
});

test(`bound: a reply that is never whole is gathered up to ${MAX_REPLY_BYTES} bytes and no further`, () => {
  const client = new Socks5Client({ host: 'a.example', port: 1, user: 'u', password: 'p' });
  client.begin();
  client.take(Uint8Array.of(5, 0));
  assert.equal(client.take(Uint8Array.of(5, 0, 0, 3, 255)).state, 'waiting');
  for (let bytes = 5; bytes < MAX_REPLY_BYTES - 1; bytes++)
    assert.equal(client.take(Uint8Array.of(7)).state, 'waiting');
  const end = client.take(Uint8Array.of(7, 8));
  assert.ok(end.state === 'connected' && end.rest.length === 1);
});

test('without a proxy there is no way to an onion address; with always there is no direct way but to this machine', async () => {
  const ways: string[] = [];
  const way =
    (name: string): Dial =>
    (host, _port, timeoutMs) => {
      // A proxy gets more time.
      assert.equal(timeoutMs, name === 'proxy' ? 4_000 : 1_000);
      ways.push(`${name} ${host}`);
      return Promise.reject(new Error('enough'));
    };
  const hosts = [ONION, 'node.invalid', '203.0.113.1', '127.0.0.1'];
  const tried = async (proxied: boolean, always: boolean): Promise<boolean[]> => {
    const choice = chooseDial({ direct: way('direct'), proxied: proxied ? way('proxy') : undefined, always });
    for (const host of hosts) await choice.dial(host, 1, 1_000).catch(() => {});
    return hosts.map(choice.canDial);
  };
  assert.deepEqual(await tried(false, false), [false, true, true, true]);
  assert.deepEqual(
    ways.splice(0),
    hosts.slice(1).map((host) => `direct ${host}`),
  );
  assert.deepEqual(await tried(true, false), [true, true, true, true]);
  assert.deepEqual(ways.splice(0), [`proxy ${ONION}`, ...hosts.slice(1).map((host) => `direct ${host}`)]);
  assert.deepEqual(await tried(true, true), [true, true, true, true]);
  assert.deepEqual(ways.splice(0), [...hosts.slice(0, 3).map((host) => `proxy ${host}`), 'direct 127.0.0.1']);
  assert.deepEqual(await tried(false, true), [false, false, false, true]);
});

test('a name is resolved when it is dialled, and all its addresses are tried in order', async () => {
  const port = await serve((socket) => socket.end('here'));
  const lookup: Lookup = (_name, _options, done) =>
    // Nobody listens on the first one.
    (done as (error: null, found: { address: string; family: number }[]) => void)(null, [
      { address: '127.0.0.2', family: 4 },
      { address: '127.0.0.1', family: 4 },
    ]);
  const socket = await makeDialTcp(lookup)('node.example.org', port, 5_000);
  assert.equal(socket.remoteHost, '127.0.0.1', 'the address that answered, not the name');
  assert.equal(await readFrom(socket, 4), 'here');
  const unknown: Lookup = (_name, _options, done) => done(new Error('no such name'), '', 4);
  assert.match(
    await failure(makeDialTcp(unknown)('nobody.invalid', port, 5_000)),
    /nobody\.invalid.*no such/,
  );
});

test('IPv6 is dialled by its literal', async (t) => {
  let port: number;
  try {
    port = await serve((socket) => socket.end('six'), '::1');
  } catch {
    return t.skip('no IPv6 on this machine');
  }
  const socket = await dialTcp('::1', port, 5_000);
  assert.deepEqual([socket.remoteHost, await readFrom(socket, 3)], ['::1', 'six']);
});

test('a listener accepts, says its port, and closes; a taken port is an error with a next step', async () => {
  let accepted: Socket | undefined;
  const listener = await listenTcp('127.0.0.1', 0, (socket) => {
    accepted = socket;
    socket.start({ onData: () => {}, onDrain: () => {}, onClose: () => {} });
    socket.write(new TextEncoder().encode('hello'));
  });
  const socket = await dialTcp('127.0.0.1', listener.port, 5_000);
  assert.equal(await readFrom(socket, 5), 'hello');
  assert.equal(accepted?.remoteHost, '127.0.0.1');
  await assert.rejects(
    listenTcp('127.0.0.1', listener.port, () => {}),
    { code: 'listen_failed' },
  );
  socket.destroy();
  accepted?.destroy();
  await listener.close();
  assert.match(await failure(dialTcp('127.0.0.1', listener.port, 5_000)), /ECONNREFUSED/);
});
