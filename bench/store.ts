/**
 * How fast the store loads, appends, syncs and reads back.
 *
 * Takes the real map of 2026-02-03 from ../shared beside the repository, or makes one of the same size where that is absent.
 * Works in a temporary folder on the disk that holds the system's temporary files. Run by scripts/bench.
 */
import { seededRng } from '../src/base/rng.ts';
import { type Accepted, mintAccepted } from '../src/store/accepted.ts';
import { scanStore } from '../src/store/scan.ts';
import { nodeStoreFolder } from '../src/store/store_file.ts';
import { announcementOf, updateOf } from '../src/store/store_samples.test.support.ts';
import { storeOffset } from '../src/wire/store_record.ts';
import { ignore, median, open, prepareMap, update, withFolder } from './mainnet_map.ts';

const ROUNDS = 9;
const APPENDS = 200_000;
const READS = 200_000;

interface Row {
  readonly measure: string;
  /** Median where there is more than one round. */
  readonly milliseconds: number;
  readonly records_per_second?: number;
  readonly megabytes_per_second?: number;
}

const row = (measure: string, milliseconds: number, records: number, bytes?: number): Row => ({
  measure,
  milliseconds,
  records_per_second: (records / milliseconds) * 1000,
  ...(bytes === undefined ? {} : { megabytes_per_second: bytes / milliseconds / 1000 }),
});

const benchReading = (): Promise<Row[]> =>
  withFolder(async (path) => {
    const name = await prepareMap(path);
    const folder = nodeStoreFolder(path);
    const file = folder.open('gossip_store', 'read');
    const { records } = scanStore(file, ignore);
    const bytes = file.size();
    const rows = [
      row(`scan (${name})`, await median(ROUNDS, () => void scanStore(file, ignore)), records, bytes),
    ];
    file.close();
    const load = await median(ROUNDS, async () => {
      const store = await open(folder);
      await store.close();
    });
    rows.push(row('open with lock, load rules and sync, and close', load, records, bytes));
    const store = await open(folder);
    const offsets: number[] = [];
    const walk = await median(ROUNDS, () => {
      offsets.length = 0;
      const cursor = store.cursor('start');
      for (let record = cursor.next(); record !== undefined; record = cursor.next())
        offsets.push(record.offset);
    });
    rows.push(row('cursor from start to end', walk, records, bytes));
    const draw = seededRng(2).fraction;
    const reads = await median(1, () => {
      for (let count = 0; count < READS; count++) {
        store.readMessage(storeOffset(offsets[Math.floor(draw() * offsets.length)] ?? 13));
      }
    });
    rows.push(row('readMessage at random', reads, READS));
    await store.close();
    return rows;
  });

/** Appends in turns of `perTurn`, with a sync after every `turnsPerSync` turns (0: by the store's own timer). */
const benchAppend = (perTurn: number, turnsPerSync: number, appends: number): Promise<number> =>
  withFolder(async (path) => {
    const store = await open(nodeStoreFolder(path));
    const contents: Accepted[] = [];
    for (let number = 0; number < appends / 3; number++) {
      contents.push(
        mintAccepted({ kind: 'channel_announcement', raw: announcementOf(number), satoshis: 1_000_000n }),
        update(number, 0),
        update(number, 1),
      );
    }
    const started = performance.now();
    for (let index = 0, turn = 1; index < contents.length; index += perTurn, turn++) {
      for (const content of contents.slice(index, index + perTurn)) store.append(content, ignore);
      store.flush();
      if (turnsPerSync > 0 && turn % turnsPerSync === 0) await store.sync();
      else if (turn % 256 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await store.sync();
    const elapsed = performance.now() - started;
    await store.close();
    return elapsed;
  });

const benchReplace = (): Promise<number> =>
  withFolder(async (path) => {
    const store = await open(nodeStoreFolder(path));
    let replaces = store.append(update(0, 0), ignore);
    const started = performance.now();
    for (let count = 1; count <= APPENDS; count++) {
      const timestamp = 1_700_000_000 + count;
      const number = 0;
      const content = mintAccepted({
        kind: 'channel_update',
        raw: updateOf(number, 0, timestamp),
        timestamp,
        replaces,
        announcement: undefined,
      });
      replaces = store.append(content, ignore);
      if (count % 64 === 0) store.flush();
      if (count % 8192 === 0) await store.sync();
    }
    await store.close();
    return performance.now() - started;
  });

export const run = async (): Promise<Row[]> => [
  ...(await benchReading()),
  row('append, 64 in a turn, synced once a second', await benchAppend(64, 0, APPENDS), APPENDS),
  row('append, 1 in a turn, synced once a second', await benchAppend(1, 0, APPENDS), APPENDS),
  row('append, 64 in a turn, each turn synced', await benchAppend(64, 1, 20_000), 20_000),
  row('append, 1 in a turn, each synced', await benchAppend(1, 1, 3000), 3000),
  row('updates that replace one another, flags set', await benchReplace(), APPENDS),
];
