/**
 * Exactly once, against a model: random writers, torn writes, compactions, kills and restarts, seen by a tail that looks at random
 * moments. A mirror built from the events alone must equal what the writer's complete records say, each time all was read.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRng } from '../base/rng.ts';
import { ManualClock } from '../base/time.ts';
import { MemoryFolder } from './memory_folder.test.support.ts';
import { SimulatedCln } from './simulated_cln.test.support.ts';
import { openTail } from './tail.ts';
import type { Tail, TailNotice } from './tail_event.ts';
import { drain } from './tail_events.test.support.ts';

/** What a consumer knows: for each subject the last event. */
class Mirror {
  readonly known = new Map<string, string>();
  readonly #nodesTold = new Set<string>();
  events = 0;

  take(text: string): void {
    this.events++;
    const [event, subject, detail] = text.split(' ');
    if (event === 'channel_deleted') {
      assert.ok(this.known.has(`channel_announcement ${subject}`), `deleted but not known: ${text}`);
      for (const key of [...this.known.keys()]) if (key.split(' ')[1] === subject) this.known.delete(key);
      return;
    }
    const key = event === 'channel_update' ? `${event} ${subject} ${detail}` : `${event} ${subject}`;
    assert.notEqual(this.known.get(key), text, `told twice: ${text}`);
    if (event === 'node_announcement') assert.ok(!this.#nodesTold.has(text), `told twice: ${text}`);
    if (event === 'node_announcement') this.#nodesTold.add(text);
    if (event === 'channel_update') {
      const before = this.known.get(key)?.split(' ')[3] ?? '0';
      assert.ok(Number(text.split(' ')[3]) > Number(before), `out of order: ${text}`);
    }
    if (event !== 'channel_announcement' && event !== 'node_announcement')
      assert.ok(this.known.has(`channel_announcement ${subject}`), `before its channel: ${text}`);
    this.known.set(key, text);
  }

  get texts(): string[] {
    return [...this.known.values()].sort();
  }
}

interface Run {
  readonly compactions: number;
  readonly events: number;
  readonly notices: readonly TailNotice[];
}

interface Settings {
  readonly version: number;
  readonly seed: number;
  readonly compactions: number;
  /** Kills and opens the tail again now and then. */
  readonly kills: 'no' | 'with_state' | 'with_state_and_cursor';
}

const simulate = async (settings: Settings): Promise<Run> => {
  const { version, seed, kills } = settings;
  const rng = seededRng(seed);
  const folder = new MemoryFolder();
  const clock = new ManualClock();
  const writer = new SimulatedCln(folder, version, rng);
  const mirror = new Mirror();
  const notices: TailNotice[] = [];
  const open = (cursor?: string): Tail =>
    openTail({
      folder,
      clock,
      rng,
      from: 'start',
      ...(cursor === undefined ? {} : { cursor }),
      ...(kills === 'no' ? {} : { state: { folder, name: 'tail.state' } }),
      onNotice: (notice) => notices.push(notice),
    });
  let tail = open();
  let last: string | undefined;
  let rounds = 0;
  while (writer.compactions < settings.compactions || !writer.isIdle) {
    writer.step();
    if (rng.fraction() < 0.4) continue;
    rounds++;
    clock.advance(rng.fraction() < 0.2 ? 400 : 3);
    const told = drain(tail);
    await tail.persist();
    const isKilled = kills !== 'no' && rng.fraction() < 0.1 && rounds > 3;
    const wantsCursor = kills === 'with_state_and_cursor';
    // A killed tail may have handed out more than its consumer took: the cursor says where it was.
    const taken = isKilled && wantsCursor ? told.slice(0, Math.ceil(rng.fraction() * told.length)) : told;
    for (const { text, cursor } of taken) {
      mirror.take(text);
      last = cursor;
    }
    tail.markDelivered();
    if (!isKilled || rng.fraction() < 0.5) await tail.persist();
    if (taken.length === told.length && tail.waitingFor !== 'damage' && !writer.isMoving)
      assert.deepEqual(mirror.texts, [...writer.live.values()].sort(), `seed ${seed}, round ${rounds}`);
    if (!isKilled || (wantsCursor && last === undefined)) continue;
    if (kills === 'with_state') await tail.persist();
    if (rng.fraction() < 0.5) writer.compactAtOnce();
    tail = wantsCursor ? open(last) : open();
  }
  clock.advance(20_000);
  for (const { text } of [...drain(tail), ...drain(tail)]) mirror.take(text);
  assert.deepEqual(mirror.texts, [...writer.live.values()].sort(), `seed ${seed}, at the end`);
  await tail.close();
  return { compactions: writer.compactions, events: mirror.events, notices };
};

const SEEDS = 4;

for (const version of [14, 15, 16]) {
  test(`version ${version}: 20 compactions under torn writes, every event once, none lost, in order`, async () => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const run = await simulate({ version, seed: version * 1000 + seed, compactions: 20, kills: 'no' });
      assert.ok(run.compactions >= 20 && run.events > 200);
      assert.deepEqual(
        run.notices.filter(({ kind }) => kind !== 'file_replaced'),
        [],
      );
    }
  });

  test(`version ${version}: a tail that is killed at random goes on exactly, by its state and by cursors`, async () => {
    for (const kills of ['with_state', 'with_state_and_cursor'] as const) {
      for (let seed = 1; seed <= SEEDS; seed++) {
        const run = await simulate({ version, seed: version * 2000 + seed, compactions: 10, kills });
        assert.ok(!run.notices.some(({ kind }) => kind === 'cursor_unknown' || kind === 'state_damaged'));
      }
    }
  });
}
