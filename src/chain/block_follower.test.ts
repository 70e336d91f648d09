import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ChainSource, type ChainSourceOptions, FakeChain } from '../../test/fixtures/chain_source.ts';
import { own } from '../base/bytes.ts';
import { type LogLevel, recordingLog } from '../base/log.ts';
import { MemoryMeter } from '../base/meter.ts';
import { ManualClock } from '../base/time.ts';
import {
  BlockFollower,
  type ChainPoint,
  MAX_BLOCKS_BACK,
  MAX_FOLLOWED_HASHES,
  MAX_SAVED_POINTS,
} from './block_follower.ts';

const turns = async (count = 1): Promise<void> => {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
};

/** A follower of a chain, with what it told in order: `+5` connected, `-5` disconnected, `=5` settled, `!5` missed. */
const follow = (
  chain: FakeChain,
  { resumeFrom = [], ...options }: ChainSourceOptions & { readonly resumeFrom?: readonly ChainPoint[] } = {},
) => {
  const clock = new ManualClock();
  const source = new ChainSource(chain, options);
  const lines: { level: LogLevel; message: string }[] = [];
  const told: string[] = [];
  const row: string[] = [];
  const spends: number[] = [];
  const follower = new BlockFollower({
    source,
    clock,
    log: recordingLog(lines),
    meter: new MemoryMeter(),
    resumeFrom,
    connected: ({ height, hash, previous, spends: found }) => {
      if (row.length > 0) assert.equal(previous, row.at(-1), 'the sequence has no gap');
      row.push(hash);
      told.push(`+${height}`);
      spends.push(found.length);
    },
    disconnected: ({ height, hash }) => {
      if (row.length > 0) assert.equal(row.pop(), hash);
      told.push(`-${height}`);
    },
    settled: ({ height }) => told.push(`=${height}`),
    missed: ({ height, hash }) => {
      row.splice(0, row.length, hash);
      told.push(`!${height}`);
    },
  });
  const later = async (ms = 5000): Promise<string> => {
    clock.advance(ms);
    await turns(3);
    return told.splice(0).join(' ');
  };
  return { clock, source, follower, told, lines, later, spends };
};

const pointsOf = (chain: FakeChain, from: number, to: number): ChainPoint[] =>
  Array.from({ length: to - from + 1 }, (_, index) => ({
    height: from + index,
    hash: chain.hashAt(from + index)!,
  }));

test('the first start begins at the tip; each new block is told of once', async () => {
  const chain = new FakeChain(1, 5);
  const { follower, later } = follow(chain);
  assert.equal(follower.tipHeight, undefined);
  follower.start();
  assert.equal(await later(0), '!5 =5');
  assert.equal(follower.tipHeight, 5);
  assert.equal(await later(), '', 'nothing new');
  chain.mine();
  chain.mine();
  assert.equal(await later(), '+6 +7 =7');
  assert.deepEqual(
    { ...follower.status(), hash: '' },
    {
      ...{ height: 7, hash: '', synced: true, behind: 0, connected_blocks: 2, disconnected_blocks: 0 },
      trouble: '',
    },
  );
  await follower.stop();
  chain.mine();
  assert.equal(await later(), '', 'nothing is told after the stop');
});

test('a source that pushes is asked when it does', async () => {
  const chain = new FakeChain(1, 5);
  const { follower, later } = follow(chain, { pushes: true });
  follower.start();
  await later(0);
  chain.mine();
  assert.equal(await later(0), '+6 =6');
  await follower.stop();
});

test('spends of two-of-two outputs come with their block', async () => {
  const chain = new FakeChain(1, 5);
  const [channel] = chain.fundAndMine(5000n);
  const { follower, later, spends } = follow(chain);
  follower.start();
  await later(0);
  chain.spend(channel!.funding);
  chain.mine();
  chain.mine();
  await later();
  assert.deepEqual(spends, [1, 0]);
  await follower.stop();
});

for (const hasBlocks of [true, false]) {
  test(`a reorganisation goes back to the fork and forward again (B7-13), ${hasBlocks ? 'with' : 'without'} blocks`, async () => {
    const chain = new FakeChain(2, 20);
    const { follower, later } = follow(chain, { hasBlocks, resumeFrom: pointsOf(chain, 5, 20) });
    follower.start();
    assert.equal(await later(0), '=20');
    chain.reorganise(3);
    assert.equal(await later(), '-20 -19 -18 +18 +19 +20 +21 =21');
    chain.reorganise(1, { blocks: 1 });
    assert.equal(await later(), '-21 +21 =21', 'of the same length');
    assert.deepEqual(follower.points(), pointsOf(chain, 5, 21));
    await follower.stop();
  });
}

test('a stop, a reorganisation and new blocks: the resumed follower sees all of it (B7-43)', async () => {
  const chain = new FakeChain(3, 30);
  const before = follow(chain, { resumeFrom: pointsOf(chain, 10, 30) });
  before.follower.start();
  await before.later(0);
  const points = before.follower.points();
  await before.follower.stop();
  chain.reorganise(2);
  chain.mine();
  const { follower, later } = follow(chain, { resumeFrom: points });
  follower.start();
  assert.equal(await later(0), '-30 -29 +29 +30 +31 +32 =32');
  await follower.stop();
});

test('deeper than all points: everything is told to go, and the row begins anew at the tip', async () => {
  const chain = new FakeChain(3, 30);
  const { follower, later } = follow(chain, { resumeFrom: pointsOf(chain, 27, 30) });
  follower.start();
  await later(0);
  chain.reorganise(10);
  assert.equal(await later(), '-30 -29 -28 -27 !31 =31');
  await follower.stop();
});

test('a source whose chain is the beginning of ours is behind: nothing is undone, however long it takes', async () => {
  const chain = new FakeChain(4, 30);
  const points = pointsOf(chain, 20, 30);
  const behind = new FakeChain(4, 25);
  assert.equal(behind.hashAt(25), chain.hashAt(25));
  const { follower, later, lines } = follow(behind, { resumeFrom: points });
  follower.start();
  assert.equal(await later(0), '');
  for (let count = 0; count < 4; count++) {
    behind.mine();
    assert.equal(await later(), '');
  }
  assert.equal(lines.filter(({ message }) => message.includes('behind')).length, 1);
  behind.mine();
  behind.mine();
  assert.equal(await later(), '+31 =31');
  await follower.stop();
});

test('more than MAX_BLOCKS_BACK blocks: not looked at one by one', async () => {
  const chain = new FakeChain(5, MAX_BLOCKS_BACK + 12);
  const { follower, later, source, lines } = follow(chain, { resumeFrom: pointsOf(chain, 1, 10) });
  follower.start();
  assert.equal(await later(0), `!${chain.height} =${chain.height}`);
  assert.equal(source.blocksAsked, 0);
  assert.ok(lines.some(({ message }) => message.includes('too many blocks')));
  await follower.stop();
});

test('MAX_FOLLOWED_HASHES and MAX_SAVED_POINTS: older hashes are forgotten', async () => {
  const chain = new FakeChain(6, 2);
  const { follower, later, told } = follow(chain, { resumeFrom: pointsOf(chain, 1, 2), hasBlocks: false });
  const reach = async (): Promise<string[]> => {
    const all = (await later()).split(' ');
    for (let tries = 0; !all.at(-1)?.startsWith('=') && tries < 1000; tries++) {
      await turns(20);
      all.push(...told.splice(0));
    }
    return all;
  };
  follower.start();
  for (let part = 0; part < 2; part++) {
    for (let count = 0; count < MAX_FOLLOWED_HASHES / 2 + 200; count++) chain.mine([]);
    await reach();
  }
  assert.equal(follower.points().length, MAX_SAVED_POINTS);
  chain.reorganise(chain.height - 10, { blocks: chain.height });
  const all = await reach();
  const gone = all.filter((entry) => entry.startsWith('-')).length;
  assert.ok(gone >= MAX_FOLLOWED_HASHES && gone < MAX_FOLLOWED_HASHES + MAX_SAVED_POINTS, `${gone}`);
  assert.deepEqual(all.slice(-2), [`!${chain.height}`, `=${chain.height}`]);
  await follower.stop();
});

test('the source is away: asked again with growing pauses, told once, and once that it is back', async () => {
  const chain = new FakeChain(7, 5);
  const { follower, later, source, lines } = follow(chain);
  source.isAway = true;
  follower.start();
  await later(0);
  assert.equal(follower.status().trouble, 'connection refused');
  for (let minute = 0; minute < 30; minute++) await later(60_000);
  assert.equal(lines.filter(({ level }) => level === 'unusual').length, 1);
  assert.equal(follower.status().synced, false);
  source.isAway = false;
  assert.equal(await later(60_000), '!5 =5');
  assert.equal(
    lines.filter(({ message }) => message.includes('again')).length,
    2,
    'the hint, and that it is back',
  );
  assert.equal(lines.filter(({ level }) => level === 'broken').length, 0);
  assert.equal(follower.status().synced, true);
  await follower.stop();
});

test('a backend that gives other bytes than it was asked for is not believed, and asked again', async () => {
  const chain = new FakeChain(8, 5);
  const { follower, later, source, lines } = follow(chain);
  follower.start();
  await later(0);
  source.spoil = (raw) => {
    const other = own(raw);
    other[other.length - 1] = 1;
    return other;
  };
  chain.mine();
  assert.equal(await later(), '');
  assert.match(follower.status().trouble, /not that block \(merkle_root_mismatch\)/);
  assert.equal(lines.filter(({ level }) => level === 'unusual').length, 1);
  source.spoil = (raw) => raw;
  assert.equal(await later(60_000), '+6 =6');
  await follower.stop();
});

test('a source that changes its mind on the way forward is followed to where it ends', async () => {
  const chain = new FakeChain(9, 10);
  const { follower, later, source, told } = follow(chain, { resumeFrom: pointsOf(chain, 3, 10) });
  follower.start();
  await later(0);
  for (let count = 0; count < 6; count++) chain.mine();
  let asked = 0;
  source.meanwhile = () => {
    if (++asked === 4) chain.reorganise(5);
  };
  const all = await later();
  await turns(5);
  assert.equal(follower.status().hash, chain.tip.hash, all);
  assert.ok(told.length + all.length > 0);
  await follower.stop();
});

test('an answer that never comes is given up, and the stop does not wait for it', async () => {
  const chain = new FakeChain(10, 3);
  const { follower, later, source } = follow(chain);
  let asked = 0;
  Object.assign(source, {
    tip: () => {
      asked++;
      return new Promise(() => {});
    },
  });
  follower.start();
  await later(0);
  await later(120_000);
  assert.match(follower.status().trouble, /did not answer/);
  await later(1000);
  assert.equal(asked, 2);
  await follower.stop();
});

test('what a listener throws is a bug of ours: logged as broken, and the follower goes on', async () => {
  const chain = new FakeChain(11, 3);
  const lines: { level: LogLevel; message: string }[] = [];
  const clock = new ManualClock();
  const follower = new BlockFollower({
    source: new ChainSource(chain),
    clock,
    log: recordingLog(lines),
    meter: new MemoryMeter(),
    resumeFrom: [],
    connected: () => {},
    disconnected: () => {},
    settled: () => {
      throw new Error('oops');
    },
    missed: () => {},
  });
  follower.start();
  await turns(3);
  assert.deepEqual(
    lines.map(({ level }) => level),
    ['broken'],
  );
  chain.mine();
  clock.advance(60_000);
  await turns(3);
  assert.equal(follower.status().height, 4);
  await follower.stop();
});
