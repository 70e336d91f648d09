import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { NETWORKS } from '../base/chain_hash.ts';
import { type LogFields, type LogLevel, recordingLog, silentLog } from '../base/log.ts';
import type { NodeId } from '../base/node_id.ts';
import { seededRng } from '../base/rng.ts';
import { AddressBook, type BookEntry } from '../peer/address_book.ts';
import { KNOWN_NODES } from '../peer/known_nodes.ts';
import { type Config, loadConfig } from './config.ts';
import { fillAddressBook, saveAddressBook } from './peer_sources.ts';

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
  assert.deepEqual(JSON.parse(readFileSync(file, 'utf8')), [
    { node_id: id(5), host: '192.0.2.5', port: 5, last_good_ms: 1_000 },
  ]);
  assert.equal(existsSync(`${file}.tmp`), false);
  const ids = entries(await fill()).map(({ node_id }) => node_id);
  assert.ok(ids.includes(id(5)) && !ids.includes(id(4)));
});

test('a folder that cannot be written to is told, not thrown', () => {
  const lines: { level: LogLevel; message: string; fields?: LogFields }[] = [];
  saveAddressBook(new AddressBook(seededRng(1)), join(folder, 'none', 'such'), recordingLog(lines));
  assert.deepEqual(
    lines.map(({ level, message }) => [level, message]),
    [['unusual', 'peers.json cannot be written']],
  );
});
