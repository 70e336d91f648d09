import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { makeIdentity, makeNode } from '../../test/fixtures/signed_gossip.ts';
import { NETWORKS } from '../base/chain_hash.ts';
import { OperationalError } from '../base/errors.ts';
import { type LogFields, type LogLevel, recordingLog, silentLog } from '../base/log.ts';
import { silentMeter } from '../base/meter.ts';
import type { NodeId } from '../base/node_id.ts';
import { seededRng } from '../base/rng.ts';
import { ManualClock } from '../base/time.ts';
import { REASON_CODES, RULE_BREAKING_REASONS } from '../ingest/verdict.ts';
import { AddressBook, type BookEntry } from '../peer/address_book.ts';
import { BAN_AT, BanList } from '../peer/ban_list.ts';
import type { ClosedBecause } from '../peer/closed_because.ts';
import { KNOWN_NODES } from '../peer/known_nodes.ts';
import { MISBEHAVIOUR, pointsFor } from '../peer/misbehaviour.ts';
import { type Config, loadConfig } from './config.ts';
import { fillAddressBook, learnAddresses, looksForPeers, saveAddressBook } from './peer_sources.ts';

const folder = mkdtempSync(join(tmpdir(), 'gossipd-peers-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const file = join(folder, 'peers.json');

const id = (index: number): NodeId => `02${index.toString(16).padStart(64, '0')}` as NodeId;
const config = (flags: Readonly<Record<string, unknown>> = {}): Config =>
  loadConfig({
    flags: { dataDir: folder, network: 'bitcoin', dnsSeeds: false, ...flags },
    env: {},
    cores: 1,
    home: folder,
    cwd: folder,
  });

const entries = (book: AddressBook): BookEntry[] => book.due(Number.MAX_SAFE_INTEGER);
const fill = async (flags: Readonly<Record<string, unknown>> = {}, log = silentLog): Promise<AddressBook> => {
  const book = new AddressBook(seededRng(1));
  await fillAddressBook(book, config(flags), NETWORKS.bitcoin, log);
  return book;
};
const remember = (rows: unknown): void =>
  writeFileSync(file, typeof rows === 'string' ? rows : JSON.stringify(rows));

test('without anything known the built-in nodes are dialled', async () => {
  assert.equal(entries(await fill()).length, KNOWN_NODES.bitcoin.length);
});

test('peers that worked before come along, unpinned', async () => {
  remember([{ node_id: id(1), host: '192.0.2.7', port: 9735, last_good_ms: 5 }]);
  const found = entries(await fill()).find(({ node_id }) => node_id === id(1));
  assert.deepEqual([found?.host, found?.port, found?.pinned], ['192.0.2.7', 9735, false]);
});

test('who names peers gets those peers, pinned, and no others', async () => {
  remember([{ node_id: id(1), host: '192.0.2.7', port: 9735 }]);
  const book = await fill({ peers: `${id(2)}@192.0.2.2,${id(3)}@[2001:db8::1]:99` });
  assert.deepEqual(
    entries(book)
      .map(({ node_id, host, port, pinned }) => [node_id, host, port, pinned])
      .sort(),
    [
      [id(2), '192.0.2.2', 9735, true],
      [id(3), '2001:db8::1', 99, true],
    ],
  );
});

test('with no outbound peers wanted nobody is looked for', async () => {
  remember([{ node_id: id(1), host: '192.0.2.7', port: 9735 }]);
  assert.deepEqual(entries(await fill({ outboundPeers: '0' })), []);
});

test('a damaged peers.json costs its bad entries, or itself, and never the start', async () => {
  const good = { node_id: id(9), host: 'h', port: 1 };
  for (const [rows, kept] of [
    ['', 0],
    ['{', 0],
    ['null', 0],
    ['{"a":1}', 0],
    [[], 0],
    [[good, null, 5, 'x', [], {}, { ...good, node_id: 'zz' }, { ...good, node_id: 7 }], 1],
    [[0, -1, 1.5, 65_536, '9', null].map((port) => ({ ...good, port })), 1],
    [[{ ...good, host: 5 }], 0],
    [{ version: 2, peers: [good, 5, null], bans: 'x' }, 1],
    [{ version: 2, peers: { 0: good }, bans: [null, 7] }, 0],
    [{ peers: [{ ...good, useful: 'x', last_good_ms: -5, source: 9 }] }, 1],
  ] as const) {
    remember(rows);
    const book = await fill();
    assert.equal(entries(book).length, KNOWN_NODES.bitcoin.length + kept, JSON.stringify(rows));
  }
});

test('what cannot be read is told once, as something unusual', async () => {
  remember('{');
  const lines: { level: LogLevel; message: string; fields?: LogFields }[] = [];
  await fill({}, recordingLog(lines));
  assert.deepEqual(
    lines.map(({ level }) => level),
    ['unusual'],
  );
});

test('saves those that worked, and reads them again', async () => {
  const book = new AddressBook(seededRng(1));
  book.add({ node_id: id(4), host: '192.0.2.4', port: 4 });
  book.add({ node_id: id(5), host: '192.0.2.5', port: 5 });
  book.succeeded(id(5), 1_000);
  saveAddressBook(book, folder, silentLog);
  book.rate(id(5), 30);
  saveAddressBook(book, folder, silentLog);
  const good = { last_good_ms: 1_000, useful: 30, source: 'built_in' };
  assert.deepEqual(JSON.parse(readFileSync(file, 'utf8')), {
    version: 2,
    peers: [{ node_id: id(5), host: '192.0.2.5', port: 5, ...good }],
    bans: [],
  });
  assert.equal(existsSync(`${file}.tmp`), false);
  const ids = entries(await fill()).map(({ node_id }) => node_id);
  assert.ok(ids.includes(id(5)) && !ids.includes(id(4)));
  const again = entries(await fill()).find(({ node_id }) => node_id === id(5));
  assert.deepEqual([again?.lastGoodMs, again?.useful, again?.source], [1_000, 30, 'built_in']);
});

test('bans outlive a restart, also for who names the peers', async () => {
  const ports = { clock: new ManualClock(), meter: silentMeter };
  const bans = new BanList(ports);
  bans.charge(id(6), '203.0.113.1', BAN_AT.address, 'bad_mac');
  saveAddressBook(new AddressBook(seededRng(1)), folder, silentLog, bans);
  for (const flags of [{}, { peers: `${id(2)}@192.0.2.2` }]) {
    const restored = new BanList(ports);
    const book = new AddressBook(seededRng(1));
    await fillAddressBook(book, config(flags), NETWORKS.bitcoin, silentLog, { bans: restored });
    assert.deepEqual(restored.list(), bans.list());
    assert.ok(restored.isNodeBanned(id(6)) && restored.isHostBanned('203.0.113.1'));
  }
});

test('addresses that nodes announce come into the book, as many as its bounds allow', () => {
  const book = new AddressBook(seededRng(1));
  const announcements = Array.from({ length: 300 }, (_, index) =>
    makeNode(makeIdentity(`announced ${index % 20}`), {
      addresses: [{ kind: 'ipv4', host: `${20 + (index % 20)}.1.1.1`, port: 9735 }],
    }),
  );
  const read = (raw: Uint8Array): Uint8Array => raw;
  const options = { rng: seededRng(2), log: silentLog, nowMs: 0, read, canDial: () => true };
  assert.equal(learnAddresses(book, announcements, options), 20);
  assert.equal(learnAddresses(book, announcements, options), 0);
  assert.ok(entries(book).every(({ source, pinned }) => source === 'gossip' && !pinned));
});

test('an onion peer that was named without a proxy ends the start, with what to do', async () => {
  const named = config({ peers: `${id(2)}@${'a'.repeat(56)}.onion` });
  const book = new AddressBook(seededRng(1));
  const canDial = (host: string): boolean => !host.endsWith('.onion');
  await assert.rejects(
    fillAddressBook(book, named, NETWORKS.bitcoin, silentLog, { canDial }),
    (error: unknown) => error instanceof OperationalError && /--proxy/.test(error.hint),
  );
});

test('who names peers, or wants none, gets none from the map', () => {
  assert.equal(looksForPeers(config()), true);
  assert.equal(looksForPeers(config({ peers: `${id(2)}@192.0.2.2` })), false);
  assert.equal(looksForPeers(config({ outboundPeers: '0' })), false);
});

test('every reason that costs a peer points is one that connections close with or ingest judges by', () => {
  const closes: Readonly<Partial<Record<ClosedBecause, true>>> = {
    bad_mac: true,
    malformed_message: true,
    message_before_init: true,
    unknown_even_type: true,
    handshake_failed: true,
    setup_timeout: true,
    peer_not_reading: true,
    unexpected_pong: true,
    over_memory: true,
  };
  const known = new Set<string>([...Object.keys(closes), ...REASON_CODES]);
  for (const reason of Object.keys(MISBEHAVIOUR)) assert.ok(known.has(reason), reason);
  for (const reason of RULE_BREAKING_REASONS) assert.ok(pointsFor(reason) > 0, `${reason} costs nothing`);
});

test('a folder that cannot be written to is told, not thrown', () => {
  const lines: { level: LogLevel; message: string; fields?: LogFields }[] = [];
  saveAddressBook(new AddressBook(seededRng(1)), join(folder, 'none', 'such'), recordingLog(lines));
  assert.deepEqual(
    lines.map(({ level, message }) => [level, message]),
    [['unusual', 'peers.json cannot be written']],
  );
});
