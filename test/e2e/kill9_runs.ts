/**
 * Kills the network in a box with SIGKILL at moments drawn from a seed, again and again on one data folder, and holds it to
 * its promises: it always starts again, at once; what it called durable is still there; nothing outlives it; and in the end
 * the map is as complete as if nothing had happened.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { callRpc } from '../../src/api/json_rpc_socket.ts';
import { type Rng, seededRng } from '../../src/base/rng.ts';
import { CliHouse, type CliProcess, processesWith } from './cli_process.ts';
import { countStore, type StoreCount } from './store_counter.ts';

const CHANNELS = 4_000;
/** From each of two peers; the map has 3.3 MB, so that no run comes to its end before it is killed. */
const KILLED_BYTES_PER_SECOND = 100_000;
/** Every other kill comes up to so long after the start of a run, which takes about half a second: at any moment of it. */
const LATEST_KILL_MS = 2_000;
/** The others come up to so long after something new has become durable: in the middle of the sync, on any machine. */
const LATEST_AFTER_GROWTH_MS = 400;

/** The version byte and the uuid. */
const EMPTY_STORE_BYTES = 47;

interface Status {
  readonly loaded_channels: number;
  readonly store: { readonly durable_bytes: number; readonly state: string };
}

export interface KillReport {
  readonly seed: number;
  /** For each kill: what was durable then, in bytes, and how many channels the next run found. */
  readonly kills: readonly { durableBytes: number; channelsAfter: number }[];
}

const counts = ({ channel_announcements, channel_updates, node_announcements, amounts }: StoreCount) => ({
  channel_announcements,
  channel_updates,
  node_announcements,
  amounts,
});

/** Asks the daemon again and again until it is over; `last` is the last status that it gave. */
class Watch {
  last: Status | undefined;
  isOver = false;
  readonly ended: Promise<void>;

  constructor(socket: string, run: CliProcess) {
    void run.ended.then(() => {
      this.isOver = true;
    });
    this.ended = this.#ask(socket);
  }

  /** Resolves when more is durable than `bytes`, or the daemon has ended. */
  async untilDurable(bytes: number): Promise<void> {
    while (!this.isOver && (this.last?.store.durable_bytes ?? 0) <= bytes) await sleep(5);
  }

  async #ask(socket: string): Promise<void> {
    while (!this.isOver) {
      try {
        this.last = (await callRpc(socket, 'status')) as Status;
      } catch {
        // Not there yet, or not there any more.
      }
      await sleep(5);
    }
  }
}

const noneLeft = async (house: CliHouse, text: string): Promise<void> => {
  for (let tries = 0; processesWith(text).length > 0; tries++) {
    assert.ok(tries < 1_000, `still running: ${processesWith(text).join(', ')} of ${house.folder}`);
    await sleep(20);
  }
};

class Runs {
  readonly folder: string;
  readonly store: string;
  readonly #house: CliHouse;
  readonly #rng: Rng;
  /** What the last kill left that was durable. */
  #floor: StoreCount | undefined;

  constructor(house: CliHouse, seed: number) {
    this.#house = house;
    this.#rng = seededRng(seed);
    this.folder = house.path('killed');
    this.store = house.path('killed', 'gossip_store');
  }

  async kill(
    when: 'at_any_moment' | 'in_the_sync',
  ): Promise<{ durableBytes: number; channelsAfter: number }> {
    const slowly = ['--bytes-per-second-in', String(KILLED_BYTES_PER_SECOND)];
    const run = this.#house.start([...simnetArgs(this.#house, this.folder), ...slowly]);
    const watch = new Watch(`${this.folder}/gossipd.sock`, run);
    if (when === 'in_the_sync') {
      await watch.untilDurable(Math.max(this.#floor?.bytes ?? 0, EMPTY_STORE_BYTES));
      await sleep(this.#rng.fraction() * LATEST_AFTER_GROWTH_MS);
    } else await sleep(this.#rng.fraction() * LATEST_KILL_MS);
    run.kill('SIGKILL');
    const { code, signal, err } = await run.ended;
    // It may have been done before: then it ended well.
    assert.ok(signal === 'SIGKILL' || code === 0, err);
    await watch.ended;
    const status = watch.last;
    const durableBytes = status?.store.durable_bytes ?? 0;
    if (status !== undefined) this.#holdsWhatItHad(status);
    if (!existsSync(this.store)) return { durableBytes, channelsAfter: 0 };
    const left = countStore(this.store);
    assert.ok(left.bytes >= durableBytes, `${durableBytes} bytes were durable, ${left.bytes} are whole`);
    const floor = durableBytes === 0 ? undefined : countStore(this.store, durableBytes);
    assert.ok(floor === undefined || floor.isWhole, 'what is durable ends with a whole record');
    this.#floor = floor ?? this.#floor;
    return { durableBytes, channelsAfter: left.channel_announcements };
  }

  /** Runs to the end. */
  async finish(): Promise<StoreCount> {
    const run = this.#house.start(simnetArgs(this.#house, this.folder));
    const { code, out, err } = await run.ended;
    assert.equal(code, 0, err);
    const result = JSON.parse(out) as { complete: boolean; rejected: number; resumed_channels: number };
    assert.deepEqual([result.complete, result.rejected], [true, 0], err);
    assert.ok(result.resumed_channels >= (this.#floor?.channel_announcements ?? 0));
    return countStore(this.store);
  }

  #holdsWhatItHad(status: Status): void {
    assert.equal(status.store.state, 'ok');
    const least = this.#floor?.channel_announcements ?? 0;
    assert.ok(
      status.loaded_channels >= least,
      `${least} channels were durable, ${status.loaded_channels} loaded`,
    );
    assert.ok(status.store.durable_bytes >= (this.#floor?.bytes ?? 0), 'durable bytes never become fewer');
  }
}

const simnetArgs = (house: CliHouse, folder: string): string[] => [
  ...[
    'simnet',
    '--seed',
    '9',
    '--channels',
    String(CHANNELS),
    '--cache-dir',
    house.path('cache'),
    '--data-dir',
    folder,
  ],
  ...['--simnet-peers', '2', '--verify-workers', '0', '--sync-interval-ms', '50', '--once', '--json'],
];

/** Throws when a promise is broken. */
export const killRuns = async (kills: number, seed: number): Promise<KillReport> => {
  const house = new CliHouse('kill9');
  try {
    const undisturbed = await house.run(simnetArgs(house, house.path('undisturbed')));
    assert.equal(undisturbed.code, 0, undisturbed.err);
    const expected = countStore(house.path('undisturbed', 'gossip_store'));
    assert.equal(expected.channel_announcements, CHANNELS);

    const runs = new Runs(house, seed);
    const report: { durableBytes: number; channelsAfter: number }[] = [];
    // The next run starts while the peers of the killed one are perhaps still ending.
    for (let kill = 0; kill < kills; kill++)
      report.push(await runs.kill(kill % 2 === 0 ? 'in_the_sync' : 'at_any_moment'));
    await noneLeft(house, house.folder);
    const final = await runs.finish();
    assert.deepEqual(counts(final), counts(expected));
    assert.ok(final.isWhole);
    await noneLeft(house, house.folder);
    return { seed, kills: report };
  } finally {
    await house.close();
  }
};
