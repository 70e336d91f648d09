import assert from 'node:assert/strict';
import test from 'node:test';
import { fromHex, toHex } from '../base/bytes.ts';
import { OperationalError } from '../base/errors.ts';
import {
  encodeChanDying,
  encodeChannelAmount,
  encodeDeleteChan,
  encodeEnded,
  encodeUuid,
} from '../wire/gossip_store_messages.ts';
import { mintAccepted } from './accepted.ts';
import { EMPTY_STORE_BYTES, encodeEmptyStore, encodeRecord, requireVersion } from './format.ts';
import { MemoryFolder } from './memory_folder.test.support.ts';
import { benchOn, ignore } from './store_samples.test.support.ts';

const UUID = new Uint8Array(32);
const ZEROS = '00'.repeat(32);
/** Channel 103x1x1. */
const [HI, LO] = [0x00006700, 0x00010001];
const AMOUNT = '2000000a99dc98b40000000010050000000001000000';
const DELETE_CHAN = '2000000af39b48db0000000010070000670000010001';
const CHAN_DYING = '2000000e3223219300000000100a0000670000010001000000af';

const VECTORS: readonly [string, Uint8Array, string][] = [
  ['channel_amount', encodeChannelAmount(0x1000000n), AMOUNT],
  ['delete_chan', encodeDeleteChan(HI, LO), DELETE_CHAN],
  ['chan_dying', encodeChanDying(HI, LO, 175), CHAN_DYING],
  ['uuid', encodeUuid(UUID), `200000221bad8d9b00000000100b${ZEROS}`],
  ['ended', encodeEnded(47n, UUID), `2000002a3cd66c07000000001009000000000000002f${ZEROS}`],
  ['ended of version 15', encodeEnded(1n), '2000000ad04e81ab0000000010090000000000000001'],
];

for (const [name, message, hex] of VECTORS) {
  test(`the ${name} record is byte for byte what CLN writes`, () => {
    assert.equal(toHex(encodeRecord(0, message)), hex);
  });
}

test('an empty store is the version byte and a uuid record, 47 bytes', () => {
  const bytes = encodeEmptyStore(UUID);
  assert.equal(bytes.length, EMPTY_STORE_BYTES);
  assert.equal(toHex(bytes), `10200000221bad8d9b00000000100b${ZEROS}`);
});

test('appended store messages are byte for byte what CLN writes', async () => {
  const folder = new MemoryFolder();
  folder.place('gossip_store', encodeEmptyStore(UUID));
  const store = await benchOn(folder).open();
  store.append(mintAccepted({ kind: 'chan_dying', scidHi: HI, scidLo: LO, deadline: 175, mark: [] }), ignore);
  store.append(mintAccepted({ kind: 'delete_chan', scidHi: HI, scidLo: LO, remove: [] }), ignore);
  await store.close();
  const expected = fromHex(toHex(encodeEmptyStore(UUID)) + CHAN_DYING + DELETE_CHAN);
  assert.deepEqual(folder.contents('gossip_store'), expected);
});

test('store_version_unsupported for every version but 16', () => {
  requireVersion(16, 'f');
  for (const version of [0, 1, 14, 15, 17, 0x30]) {
    assert.throws(
      () => requireVersion(version, 'f'),
      (error) =>
        error instanceof OperationalError &&
        error.code === 'store_version_unsupported' &&
        error.action === 'stop',
    );
  }
});
