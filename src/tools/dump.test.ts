import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { concatBytes, toHex } from '../base/bytes.ts';
import type { BuiltMap } from '../simnet/build_map.ts';
import { goodStore } from '../store/damaged_stores.test.support.ts';
import { encodeRecord } from '../store/format.ts';
import { encodeChanDying, encodeDeleteChan } from '../wire/gossip_store_messages.ts';
import { FLAG_COMPLETED, FLAG_DELETED, FLAG_DYING } from '../wire/store_record.ts';
import { runTool, smallMap, type ToolResult } from './tool_process.test.support.ts';

const folder = mkdtempSync(join(tmpdir(), 'gossipd-dump-'));
after(() => rmSync(folder, { recursive: true, force: true }));
let map: BuiltMap;
let image: Uint8Array;
before(async () => {
  map = await smallMap(folder);
  image = new Uint8Array(readFileSync(map.storePath));
});
let names = 0;
const fileWith = (bytes: Uint8Array): string => {
  const path = join(folder, `store${names++}`);
  writeFileSync(path, bytes);
  return path;
};

const dump = (
  path: string,
  { json = false, raw = false, deleted = false } = {},
  leaveAfter?: number,
): Promise<ToolResult> =>
  runTool(
    ['dump', 'store_argument'],
    'return tools.dump(tools.openStoreArgument(tools.findStore(args[0], args[0], "regtest")), args[1]);',
    [path, { json, raw, deleted }],
    leaveAfter,
  );
interface Row {
  readonly offset: number;
  readonly length: number;
  readonly type: number;
  readonly name: string;
  readonly flags: readonly string[];
  readonly [field: string]: unknown;
}
const rows = (result: ToolResult): Row[] =>
  result.out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Row);

test('every record is one line, with its place, time, name and what it says', async () => {
  const result = await dump(map.storePath);
  assert.deepEqual([result.code, result.err], [0, '']);
  const lines = result.out.trimEnd().split('\n');
  assert.equal(lines.length, 1 + 2 * map.channels + map.updates + map.nodes);
  assert.match(lines[0]!, /^@13 t=0 gossip_store_uuid uuid=[0-9a-f]{64}$/);
  assert.match(
    lines[1]!,
    /^@59 t=\d+ channel_announcement short_channel_id=\d+x\d+x\d+ node_id_1=0[23][0-9a-f]{64} node_id_2=/,
  );
  assert.match(lines[2]!, /^@\d+ t=0 gossip_store_channel_amount satoshis=\d+$/);
  assert.match(
    lines[3]!,
    /channel_update short_channel_id=\S+ direction=[01] disabled=(true|false) cltv_expiry_delta=\d+ /,
  );
  assert.match(lines.at(-1)!, /node_announcement node_id=\S+ alias=simnet-\d+$/);
});

test('as JSON every line is an object whose offset and length point at its message', async () => {
  const found = rows(await dump(map.storePath, { json: true, raw: true }));
  for (const { offset, length, raw, flags } of found) {
    assert.equal(raw, toHex(image, offset, offset + length));
    assert.deepEqual(flags, []);
  }
  const last = found.at(-1)!;
  assert.equal(last.offset + last.length, image.length);
});

test('records that are flagged deleted are shown only when asked for; dying ones say so', async () => {
  const path = fileWith(
    concatBytes(
      image,
      encodeRecord(0, encodeChanDying(0x07ef40_00, 0x00e80000, 900), FLAG_COMPLETED | FLAG_DYING),
      encodeRecord(0, encodeDeleteChan(1, 2), FLAG_COMPLETED | FLAG_DELETED),
    ),
  );
  const shown = rows(await dump(path, { json: true }));
  assert.equal(shown.at(-1)?.name, 'gossip_store_chan_dying');
  assert.deepEqual([shown.at(-1)?.flags, shown.at(-1)?.['deadline']], [['DYING'], 900]);
  const all = rows(await dump(path, { json: true, deleted: true }));
  assert.equal(all.length, shown.length + 1);
  assert.equal(all.at(-1)?.name, 'gossip_store_delete_chan');
  assert.deepEqual(all.at(-1)?.flags, ['DELETED']);
  assert.match((await dump(path, { deleted: true })).out, /DELETED short_channel_id=/);
});

test('a record of a known type that does not fit it is shown as malformed, and the rest follows', async () => {
  const path = fileWith(
    concatBytes(image, encodeRecord(0, Uint8Array.of(1, 2, 3)), encodeRecord(0, encodeDeleteChan(1, 2))),
  );
  const found = rows(await dump(path, { json: true }));
  assert.equal(typeof found.at(-2)?.['malformed'], 'string');
  assert.equal(found.at(-1)?.name, 'gossip_store_delete_chan');
});

test('damage is a line between the records, which go on behind it; named with a next step; exit code 4', async () => {
  const flipped = Uint8Array.from(image);
  flipped[59 + 300]! ^= 1;
  const torn = image.subarray(0, image.length - 5);
  const all = 1 + 2 * map.channels + map.updates + map.nodes;
  for (const [bytes, kind, place] of [
    [flipped, 'bad_checksum', 1],
    [torn, 'torn_tail', all - 1],
  ] as const) {
    const path = fileWith(bytes);
    const result = await dump(path);
    assert.equal(result.code, 4);
    const lines = result.out.trimEnd().split('\n');
    assert.equal(lines.length, all);
    assert.match(lines[place]!, new RegExp(`^#\\d+ DAMAGED ${kind} length=\\d+ \\w+_announcement$`));
    assert.match(result.err, /1 damaged place \(\d+ bytes\), 0 damaged headers\. /);
    assert.match(result.err, /No funds are in this file\. Next: gossipd check \//);
    const found = rows(await dump(path, { json: true }));
    assert.deepEqual([found[place]?.['gap'], found.length], [kind, all]);
    assert.equal(found[place]?.['position'], place === 1 ? 47 : Number(/^#(\d+)/.exec(lines[place]!)?.[1]));
  }
});

test('a record whose header was damaged is shown, and what was wrong with it', async () => {
  const incomplete = Uint8Array.from(image);
  incomplete[47] = 0;
  const result = await dump(fileWith(incomplete), { json: true });
  const found = rows(result);
  assert.deepEqual(
    [result.code, found[1]?.['restored'], found[1]?.name],
    [4, 'completed', 'channel_announcement'],
  );
  assert.equal(found.length, 1 + 2 * map.channels + map.updates + map.nodes);
  assert.match(result.err, /0 damaged places \(0 bytes\), 1 damaged header/);
});

test('every version from 3 to 16 is shown, with the flags and records of its time', async () => {
  for (let version = 3; version <= 16; version++) {
    const store = goodStore(version, 2, { withPrivate: true, withDeleted: true, withShortUpdates: true });
    const path = fileWith(store.bytes);
    const result = await dump(path, { json: true, deleted: true });
    assert.deepEqual([result.code, result.err], [0, ''], `version ${version}`);
    const found = rows(result);
    assert.equal(found.length, store.records.length);
    found.forEach((row, index) => {
      const record = store.records[index]!;
      assert.deepEqual(
        [row.offset, row.length, row.type],
        [record.position + store.format.headerBytes, record.length, record.type],
      );
      assert.ok(!/unknown/.test(row.name), `${row.type} in version ${version}`);
      assert.equal(row.flags.includes('DELETED'), (record.flags & FLAG_DELETED) !== 0);
      assert.ok(!row.flags.includes('INCOMPLETE') && !row.flags.includes('RATELIMIT'));
    });
    assert.ok(found.some((row) => row['short_channel_id'] === '100000x1x0' && row['direction'] === 0));
  }
});

test('a wrong version byte is seen through; no store, an empty one and a missing one are errors with a code', async () => {
  const other = Uint8Array.from(image);
  other[0] = 9;
  const result = await dump(fileWith(other));
  assert.equal(result.out.split('\n').length, 2 + 2 * map.channels + map.updates + map.nodes);
  assert.match(result.err, /the version byte is 9, the records are of version 16/);
  for (const [path, code] of [
    [fileWith(Uint8Array.of(200, 1, 2, 3)), 'store_version_unsupported'],
    [fileWith(new Uint8Array(0)), 'store_version_unsupported'],
    [join(folder, 'none'), 'store_missing'],
  ] as const) {
    const result = await dump(path);
    assert.deepEqual([result.code, result.out], [8, '']);
    assert.ok(result.err.startsWith(`${code}: `), result.err);
  }
});

test('a reader that leaves early ends the dump, quietly', async () => {
  // Larger than a pipe holds, so that the dump is in the middle when the reader leaves.
  const messages = Array.from({ length: 20_000 }, () => encodeRecord(0, encodeDeleteChan(1, 2)));
  const result = await dump(fileWith(concatBytes(image, ...messages)), { raw: true }, 10);
  assert.deepEqual([result.code, result.signal, result.err], [0, null, '']);
  assert.ok(result.out.startsWith('@13 '));
});
