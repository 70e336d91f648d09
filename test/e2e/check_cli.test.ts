/** `gossipd check` as a person, a script and systemd run it: the words, the JSON, the exit codes, and that nothing is written. */
import assert from 'node:assert/strict';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { after, test } from 'node:test';
import { concatBytes } from '../../src/base/bytes.ts';
import { encodeUtxoTable } from '../../src/chain/utxo_table.ts';
import {
  append,
  cut,
  filled,
  flipBit,
  goodStore,
  withFlags,
  withVersion,
} from '../../src/store/damaged_stores.test.support.ts';
import { encodeRecord } from '../../src/store/format.ts';
import { SidecarWriter } from '../../src/store/sidecar_writer.ts';
import { nodeStoreFolder } from '../../src/store/store_file.ts';
import { encodeChannelAmount, encodeDeleteChan, encodeUuid } from '../../src/wire/gossip_store_messages.ts';
import { FLAG_COMPLETED, FLAG_DELETED } from '../../src/wire/store_record.ts';
import { sharedData } from '../fixtures/shared_data.ts';
import { flipBit as flipped, makeChannel, makeUpdate } from '../fixtures/signed_gossip.ts';
import { CliHouse, type CliResult } from './cli_process.ts';

const house = new CliHouse('check');
after(() => house.close());

const three = goodStore(16, 3);
const last = three.records.at(-1)!;
const update = three.records.find(({ type }) => type === 258)!;
const broken = filled(three.bytes, update.position + 50, 9, 0xee);

let names = 0;
const fileWith = (bytes: Uint8Array): string => {
  const path = house.path(`store${names++}`);
  writeFileSync(path, bytes);
  return path;
};
const check = (path: string, ...flags: string[]): Promise<CliResult> => house.run(['check', path, ...flags]);
interface Document {
  readonly [field: string]: unknown;
  readonly findings: readonly { readonly id: string; readonly offset: number }[];
  readonly counts: Readonly<Record<string, number>>;
}
const json = async (
  path: string,
  ...flags: string[]
): Promise<Document & { readonly code: number | null }> => {
  const { code, out } = await check(path, '--json', ...flags);
  return { ...(JSON.parse(out) as Document), code };
};
const NO_FUNDS = /No funds are in this file: .+\n$/;

test('a sound store: one sentence, nothing to do, exit code 0, and not a byte of it is touched', async () => {
  const path = fileWith(three.bytes);
  const before = statSync(path);
  const { code, out, err } = await check(path);
  assert.deepEqual([code, err], [0, '']);
  assert.ok(out.startsWith(`${path} is sound: 19 records, 3 channels, version 16.\n`), out);
  assert.match(out, /\nNext: nothing to do\.\n/);
  assert.match(out, NO_FUNDS);
  assert.deepEqual(new Uint8Array(readFileSync(path)), three.bytes);
  assert.equal(statSync(path).mtimeMs, before.mtimeMs);
});

test('a damaged one: the place and what repair would keep come first, one command that can be pasted comes last', async () => {
  const { code, out } = await check(fileWith(broken));
  assert.equal(code, 4);
  const [first = '', ...lines] = out.trimEnd().split('\n');
  assert.match(
    first,
    new RegExp(
      `is damaged at offset ${update.position}: the checksum of a channel_update is wrong; 18 of 19 records are sound\\.$`,
    ),
  );
  assert.match(lines.at(-2)!, /^Next: gossipd repair \S+$/);
  assert.equal(lines.filter((line) => line.startsWith('Next:')).length, 1);
  assert.match(out, /GS-CRC {2}error, 1 place/);
  assert.match(out, /a repair keeps 18 records, cannot save 1, and sets 150 unreadable bytes aside/);
  assert.match(out, NO_FUNDS);
});

test('a path with a blank is quoted in the command', async () => {
  mkdirSync(house.path('my node'));
  writeFileSync(house.path('my node', 'gossip_store'), broken);
  const { out } = await check(house.path('my node'));
  assert.match(out, /\nNext: gossipd repair '.*my node\/gossip_store'\n/);
});

test('--json is one document with every figure', async () => {
  const path = fileWith(broken);
  const { findings, ...document } = await json(path);
  assert.deepEqual(document, {
    code: 4,
    path,
    verdict: 'problems',
    version_byte: 16,
    version: 16,
    bytes: broken.length,
    level: 'order',
    records: {
      live: 18,
      deleted: 0,
      malformed: 0,
      by_type: {
        channel_announcement: 3,
        node_announcement: 6,
        channel_update: 5,
        channel_amount: 3,
        uuid: 1,
      },
    },
    channels: 3,
    half_channels: 5,
    nodes: 6,
    records_sound: 18,
    records_kept: 18,
    records_lost: 1,
    bytes_lost: 150,
    dead_bytes: 0,
    private_records: 0,
    signatures_checked: 0,
    outputs_checked: 0,
    outputs_unknown: 0,
    records_unjudged: 0,
    partial: false,
    counts: { 'GS-CRC': 1 },
    severities: { info: 0, warn: 0, error: 1 },
    findings_total: 1,
    exit_code: 4,
    next: `gossipd repair ${path}`,
  });
  assert.deepEqual(findings, [
    {
      id: 'GS-CRC',
      severity: 'error',
      offset: update.position,
      length: 150,
      record_no: 3,
      type: 'channel_update',
      reason: 'the checksum of a channel_update is wrong',
      hint: 'Memory or disk may be failing: test both. Repair puts a single flipped bit right, and leaves out what is worse.',
      fix: 'quarantine',
      fixed_in: 'v25.02',
    },
  ]);
  const clean = await json(fileWith(three.bytes));
  assert.deepEqual([clean.code, clean['verdict'], clean['next']], [0, 'clean', null]);
});

test('--jsonl is a line for each finding and one with the figures; --quiet is nothing but the code', async () => {
  const path = fileWith(append(broken, new Uint8Array(64)));
  const { code, out } = await check(path, '--jsonl');
  const lines = out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, Record<string, unknown>>);
  assert.equal(code, 4);
  assert.deepEqual(
    lines.slice(0, -1).map((line) => line['id']),
    ['GS-CRC', 'GS-ZERO-HOLE'],
  );
  assert.equal(lines.at(-1)?.['summary']?.['exit_code'], 4);
  const quiet = await check(path, '--quiet', '--json');
  assert.deepEqual([quiet.code, quiet.out, quiet.err], [4, '', '']);
});

test('--ignore and --fail-on decide what counts', async () => {
  const orphan = append(three.bytes, encodeRecord(0, encodeChannelAmount(5n)));
  const path = fileWith(orphan);
  assert.equal((await json(path)).code, 4);
  assert.equal((await json(path, '--fail-on', 'error')).code, 0);
  const ignored = await json(path, '--ignore', 'gs-orphan-amount');
  assert.deepEqual(
    [ignored.code, ignored.findings, ignored.counts, ignored['verdict']],
    [0, [], {}, 'clean'],
  );
  const wrong = await check(path, '--ignore', 'GS-NONSENSE');
  assert.equal(wrong.code, 16);
  assert.match(wrong.err, /there is no such finding/);
});

test('--max-findings bounds what is listed, not what is counted; people get twenty', async () => {
  const orphans = Array.from({ length: 50 }, () => encodeRecord(0, encodeChannelAmount(5n)));
  const path = fileWith(concatBytes(three.bytes, ...orphans));
  const three_ = await json(path, '--max-findings', '3');
  assert.deepEqual([three_.findings.length, three_.counts], [3, { 'GS-ORPHAN-AMOUNT': 50 }]);
  assert.equal((await json(path)).findings.length, 50);
  const { out } = await check(path);
  assert.equal(out.match(/\n {2}at /g)?.length, 20);
  assert.match(out, /… and 30 more/);
  assert.match(out, /can be read, but is not in order at offset/);
});

test('--preen: one line; 0 when a start is safe, 4 when it is not, 0 where there is no store yet', async () => {
  const safe = await check(
    fileWith(append(three.bytes, encodeRecord(0, encodeChannelAmount(5n)))),
    '--preen',
  );
  assert.equal(safe.code, 0);
  assert.equal(safe.out.trimEnd().split('\n').length, 1);
  const unsafe = await check(fileWith(cut(three.bytes, three.bytes.length - 9)), '--preen');
  assert.equal(unsafe.code, 4);
  assert.match(unsafe.out, /^\S+ is damaged at offset .*Next: gossipd repair \S+\n$/);
  const none = await check(house.path('nothing here'), '--preen');
  assert.deepEqual([none.code, none.err], [0, '']);
  assert.equal((await check(fileWith(new Uint8Array(0)), '--preen')).code, 4);
});

test('what cannot be checked says why in one sentence: exit code 8', async () => {
  mkdirSync(house.path('empty folder'));
  const noise = Uint8Array.from({ length: 5000 }, (_, index) => (index * index * 31 + 7) & 0xff);
  for (const [path, why] of [
    [house.path('missing'), /no gossip_store at/],
    [house.path('empty folder'), /no gossip_store at/],
    [
      fileWith(new TextEncoder().encode('just some text\n'.repeat(20))),
      /is not a gossip_store: its first byte, 106,/,
    ],
    [fileWith(withVersion(noise, 16)), /is not a gossip_store: no record can be recognised/],
    [fileWith(withVersion(noise, 0)), /is not a gossip_store/],
    [fileWith(withVersion(noise, 2)), /has version 2, which no release since 2018 reads/],
  ] as const) {
    const { code, out, err } = await check(path);
    assert.deepEqual([code, out], [8, ''], err);
    assert.match(err, why);
    assert.match(err, /\n {2}Next: /);
    const asJson = await check(path, '--json');
    assert.equal(asJson.code, 8);
    assert.equal(typeof (JSON.parse(asJson.out) as { error: { code: string } }).error.code, 'string');
  }
});

test('an empty file is a finding; a version byte alone is an empty store, but for version 16', async () => {
  const empty = await json(fileWith(new Uint8Array(0)));
  assert.deepEqual([empty.code, empty.counts], [4, { 'GS-VERSION': 1 }]);
  assert.equal((await json(fileWith(Uint8Array.of(15)))).code, 0);
  assert.deepEqual((await json(fileWith(Uint8Array.of(16)))).counts, { 'GS-NO-UUID': 1 });
});

test('--level signature and chain: wrong ones are found, and what they need is said', async () => {
  const channel = makeChannel({ seed: 1 });
  const messages = [
    encodeUuid(new Uint8Array(32)),
    channel.raw,
    encodeChannelAmount(1_000_000n),
    makeUpdate(channel),
  ];
  const storeOf = (list: readonly Uint8Array[]): string =>
    fileWith(concatBytes(Uint8Array.of(16), ...list.map((message) => encodeRecord(0, message))));
  const good = await json(storeOf(messages), '--level', 'signature');
  assert.deepEqual([good.code, good['signatures_checked']], [0, 5]);
  const wrong = storeOf([...messages.slice(0, 3), flipped(messages[3]!, 125)]);
  const bad = await json(wrong, '--level', 'signature');
  assert.deepEqual(
    [bad.code, bad.counts, bad['next']],
    [4, { 'GS-BAD-SIG': 1 }, `gossipd repair ${wrong} --level signature`],
  );
  const part = await json(wrong, '--level', 'signature', '--subset', '1/2');
  assert.equal(part['signatures_checked'], 4);

  const { scid, satoshis, script } = channel;
  const table = fileWith(encodeUtxoTable([{ scid, satoshis, script }]));
  const nothing = fileWith(encodeUtxoTable([]));
  const chain = await json(storeOf(messages), '--level', 'chain', '--utxo', `table:${table}`);
  assert.deepEqual([chain.code, chain['outputs_checked']], [0, 1]);
  const gone = await json(storeOf(messages), '--level', 'chain', '--utxo', `table:${nothing}`);
  assert.deepEqual(gone.counts, { 'GS-NOT-ON-CHAIN': 3 });

  for (const [flags, why] of [
    [['--level', 'chain'], /--level chain needs a chain backend/],
    [['--level', 'deep'], /deep/],
    [['--subset', '1/2'], /--subset is for the levels signature and chain/],
    [['--level', 'signature', '--subset', '3/2'], /no part of a whole/],
  ] as const) {
    const { code, err } = await check(wrong, ...flags);
    assert.equal(code, 16, err);
    assert.match(err, why);
  }
});

test('GS-WRONG-CHAIN: a network that is named is what all messages must be of', async () => {
  const path = fileWith(three.bytes);
  assert.equal((await json(path, '--network', 'regtest')).code, 0);
  const other = await json(path, '--network', 'bitcoin');
  assert.deepEqual(other.counts, { 'GS-WRONG-CHAIN': 12, 'GS-ORPHAN-NODE': 6 });
});

test('GS-IN-FLIGHT: a tail that changes while one looks is a writer at work', async () => {
  const path = fileWith(withFlags(three.bytes, last.position, 0));
  assert.deepEqual((await json(path)).counts, { 'GS-INCOMPLETE': 1 });
  // Changes ten times as often as the check looks; the file itself is open only for moments.
  const writer = setInterval(() => appendFileSync(path, Uint8Array.of(0)), 20);
  try {
    const seen = await json(path);
    assert.equal(seen.code, 0);
    assert.ok((seen.counts['GS-IN-FLIGHT'] ?? 0) >= 1, JSON.stringify(seen.counts));
    assert.equal(seen['next'], null);
  } finally {
    clearInterval(writer);
  }
});

test('--redact writes a new file for others, and never over one that is there', async () => {
  const path = fileWith(broken);
  const report = house.path('report.json');
  const { code, out } = await check(path, '--redact', report);
  assert.equal(code, 4);
  assert.match(out, /The report is in .*report\.json\./);
  const evidence = JSON.parse(readFileSync(report, 'utf8')) as Record<string, unknown>;
  assert.match(String(evidence['node']), /^v\d+/);
  assert.equal((evidence['findings'] as unknown[]).length, 1);
  assert.equal(statSync(report).mode & 0o777, 0o600);
  const over = await check(path, '--redact', path);
  assert.equal(over.code, 8);
  assert.deepEqual(new Uint8Array(readFileSync(path)), broken);
});

test('GS-INDEX: an index of another store is named, one that fits is not', async () => {
  mkdirSync(house.path('indexed'));
  const folder = nodeStoreFolder(house.path('indexed'));
  writeFileSync(house.path('indexed', 'gossip_store'), three.bytes);
  const fits = SidecarWriter.create(folder, 'gossip_store', new Uint8Array(32).fill(0x5a), 16);
  fits.close();
  assert.ok(existsSync(house.path('indexed', 'gossip_store.index')));
  assert.deepEqual((await json(house.path('indexed'))).counts, {});
  SidecarWriter.create(folder, 'gossip_store', new Uint8Array(32).fill(1), 16).close();
  assert.deepEqual((await json(house.path('indexed'))).counts, { 'GS-INDEX': 1 });
});

/** Large enough for several pieces of work; all of it but the first records is dead. */
const largeStore = (): string => {
  const path = fileWith(three.bytes);
  const dead = encodeRecord(0, new Uint8Array(65_000), FLAG_COMPLETED | FLAG_DELETED);
  const piece = concatBytes(...Array.from({ length: 160 }, () => dead));
  for (let count = 0; count < 3; count++) appendFileSync(path, piece);
  return path;
};

test('--max-duration and Ctrl-C: a partial result that says so, bit 32', async () => {
  const path = largeStore();
  const short = await json(path, '--io-limit', '1M', '--max-duration', '1s');
  assert.deepEqual([short.code, short['partial']], [32, 'max_duration']);
  assert.equal(short['next'], `gossipd check ${path}`);

  const running = house.start(['check', path, '--io-limit', '1M']);
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  running.kill('SIGINT');
  const { code, out } = await running.ended;
  assert.equal(code, 32);
  assert.match(out, /^Stopped by you before the end, so this is only a part: /);
});

test('GS-DEAD-WEIGHT is worth knowing and no problem', async () => {
  const found = await json(largeStore());
  assert.deepEqual([found.code, found.counts], [0, { 'GS-DEAD-WEIGHT': 1 }]);
});

test('the seven files: each one sentence with the exact place, and at least 203,232 records', async (t) => {
  const map = sharedData(t, 'gossip_store-2026-02-03-v16.xz');
  if (map === undefined) return;
  const path = fileWith(map);
  const clean = await json(path);
  assert.deepEqual([clean.code, clean.counts, clean['records_kept']], [0, {}, 203_233]);
  const lastAt = 38_918_825;
  const cases: readonly (readonly [Uint8Array, string, number, number])[] = [
    [flipBit(map, 19_149_897 + 60, 2), 'GS-CRC', 19_149_897, 203_233],
    [withFlags(map, lastAt, 0), 'GS-INCOMPLETE', lastAt, 203_233],
    [cut(map, map.length - 50), 'GS-TORN-TAIL', lastAt, 203_232],
    [flipBit(map, 19_149_897 + 3, 4), 'GS-LEN', 19_149_897, 203_233],
    [append(map, new Uint8Array(4096)), 'GS-ZERO-HOLE', map.length, 203_233],
    [withVersion(map, 0), 'GS-VERSION', 0, 203_233],
  ];
  for (const [bytes, id, offset, kept] of cases) {
    writeFileSync(path, bytes);
    const found = await json(path);
    assert.deepEqual([found.code, found.findings.map((each) => [each.id, each.offset])], [4, [[id, offset]]]);
    assert.equal(found['records_kept'], kept, id);
  }
  truncateSync(path, 0);
});

test('a delete_chan without a channel, and everything that CLN leaves behind, is no finding', async () => {
  const { code } = await json(fileWith(append(three.bytes, encodeRecord(0, encodeDeleteChan(1, 2)))));
  assert.equal(code, 0);
});
