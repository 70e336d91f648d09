/**
 * A writer that does nothing but replace every update of its store, sync, and compact, for ever: whoever kills it hits a
 * rewrite more often than not. Round after round gives each update the timestamp FIRST_ROUND_SECONDS plus its number.
 *
 * Started with the folder of the store as its argument. Prints the number of each round once it is durable.
 */
import { writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { readU64, writeU32 } from '../../src/base/bytes.ts';
import { recordingLog } from '../../src/base/log.ts';
import { MemoryMeter } from '../../src/base/meter.ts';
import { systemClock } from '../../src/observe/system_clock.ts';
import { systemRng } from '../../src/observe/system_rng.ts';
import { mintAccepted } from '../../src/store/accepted.ts';
import { GossipStore } from '../../src/store/gossip_store.ts';
import { nodeStoreFolder } from '../../src/store/store_file.ts';
import { channelUpdateDirection } from '../../src/wire/channel_update.ts';
import { MESSAGE_TYPE } from '../../src/wire/message_types.ts';
import type { StoreOffset } from '../../src/wire/store_record.ts';
import { FIRST_ROUND_SECONDS } from './compaction_kill_runs.ts';

const folder = process.argv[2] ?? '';
process.stdin.on('end', () => process.exit(0)).resume();
/** In every channel_update. */
const CHANNEL_UPDATE_TIMESTAMP_AT = 106;
const CHANNEL_UPDATE_SCID_AT = 98;
/** By channel and direction; the later one where a kill left two. */
const updates = new Map<string, { raw: Uint8Array; offset: StoreOffset }>();
let round = 0;
const store = await GossipStore.open(
  {
    folder: nodeStoreFolder(folder),
    clock: systemClock(),
    rng: systemRng(),
    log: recordingLog([]),
    meter: new MemoryMeter(),
    syncIntervalMs: 20,
    onRelocate: (translate) => {
      for (const update of updates.values()) update.offset = translate(update.offset);
      return [];
    },
  },
  ({ type, bytes, at, length, offset, timestamp }) => {
    if (type !== MESSAGE_TYPE.channel_update) return;
    const key = `${readU64(bytes, at + CHANNEL_UPDATE_SCID_AT)}/${channelUpdateDirection(bytes, at)}`;
    updates.set(key, { raw: bytes.slice(at, at + length), offset });
    round = Math.max(round, timestamp - FIRST_ROUND_SECONDS);
  },
);

for (;;) {
  round++;
  const timestamp = FIRST_ROUND_SECONDS + round;
  let index = 0;
  for (const update of updates.values()) {
    writeU32(update.raw, CHANNEL_UPDATE_TIMESTAMP_AT, timestamp);
    const { raw, offset } = update;
    update.offset = store.append(
      mintAccepted({ kind: 'channel_update', raw, timestamp, replaces: offset, announcement: undefined }),
      () => {},
    );
    if (update.offset === 0) throw new Error(`nothing was taken: ${store.stateReason}`);
    // In several batches, some of them beside the copying.
    if (++index % 200 === 0) await sleep(0);
  }
  await store.sync();
  if (store.state !== 'ok' || store.durableBytes < store.publishedBytes)
    throw new Error(String(store.stateReason));
  writeSync(1, `${round}\n`);
  store.compact();
  // Every other time the next round comes beside the compaction.
  if (round % 2 === 0) for (const { generation } = store; store.generation === generation; ) await sleep(1);
}
