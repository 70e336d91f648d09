import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ReplyChannelRange } from '../wire/reply_channel_range.ts';
import { scidOf } from './memory_store.test.support.ts';
import {
  MAX_FAULTS_IN_A_ROW,
  MAX_REPLIES_PER_QUERY,
  MAX_SCIDS_PER_ANSWER,
  type RangeFault,
  RangeInquiry,
  type RangeStep,
} from './range_inquiry.ts';

const reply = (
  first_blocknum: number,
  number_of_blocks: number,
  sync_complete: boolean,
  scids: bigint[] = [],
): ReplyChannelRange => ({
  chain_hash: new Uint8Array(32),
  first_blocknum,
  number_of_blocks,
  sync_complete,
  short_channel_ids: BigUint64Array.from(scids),
});

/** After one faulty answer to the whole chain, so that the query is for blocks [0, 32768). */
const smaller = (): RangeInquiry => {
  const inquiry = new RangeInquiry();
  inquiry.next();
  inquiry.failQuery();
  assert.deepEqual(inquiry.next(), { first: 0, count: 32_768 });
  return inquiry;
};

const faultOf = (step: RangeStep): RangeFault | undefined => step.fault;

test('Q-12 Q-13 replies that follow each other complete the whole chain, with and without a split block', () => {
  const inquiry = new RangeInquiry();
  assert.deepEqual(inquiry.next(), { first: 0, count: 0xffffffff });
  assert.deepEqual(inquiry.judge(reply(0, 101, false, [scidOf(5)])), { use: true, over: false });
  assert.deepEqual(inquiry.judge(reply(100, 50, false, [scidOf(100), scidOf(120)])), {
    use: true,
    over: false,
  });
  assert.deepEqual(inquiry.judge(reply(150, 0xffffffff - 150, true, [scidOf(151)])), {
    use: true,
    over: true,
  });
  assert.equal(inquiry.finishQuery(), false);
  assert.equal(inquiry.next(), 'complete');
  assert.equal(inquiry.scids, 4);
});

test('Q-12 a reply may cover more than was asked, and one that ends at the last possible block is enough', () => {
  const inquiry = smaller();
  assert.deepEqual(inquiry.judge(reply(0, 0xffffffff, true, [scidOf(900_000)])), { use: true, over: true });
  const whole = new RangeInquiry();
  whole.next();
  assert.deepEqual(whole.judge(reply(0, 0x1000000, true)), { use: true, over: true });
});

test('ids in the order of the peer’s map, spread over replies of the right ranges, are taken', () => {
  // Core Lightning 26.06 splits a long answer by block but lists its channels in the order of its map. Each such list was
  // refused, asked for again in smaller ranges, and cost five times its size.
  const inquiry = new RangeInquiry();
  inquiry.next();
  assert.deepEqual(inquiry.judge(reply(0, 500, false, [scidOf(900), scidOf(3)])), { use: true, over: false });
  assert.deepEqual(inquiry.judge(reply(500, 0xfffffe0b, true, [scidOf(7), scidOf(501)])), {
    use: true,
    over: true,
  });
  assert.equal(inquiry.finishQuery(), false);
  assert.equal(inquiry.next(), 'complete');
  assert.equal(inquiry.scids, 4);
});

const hostile: [RangeFault, ReplyChannelRange[]][] = [
  ['range_no_blocks', [reply(0, 0, true)]],
  ['range_outside_query', [reply(32_768, 10, true)]],
  ['range_decreasing', [reply(0, 100, false), reply(100, 100, false), reply(99, 200, false)]],
  ['range_gap', [reply(0, 100, false), reply(101, 5, false)]],
  ['range_not_covered', [reply(0, 32_767, true)]],
  ['scid_outside_query', [reply(0, 100, false, [scidOf(99), scidOf(40_000)])]],
  [
    'timestamps_mismatch',
    [{ ...reply(0, 100, false, [scidOf(1)]), timestamps: new Uint32Array(4), checksums: new Uint32Array(2) }],
  ],
  ['timestamps_mismatch', [{ ...reply(0, 100, false, [scidOf(1)]), checksums: new Uint32Array(0) }]],
];
for (const [fault, replies] of hostile) {
  test(`Q-12 Q-13 ${fault}`, () => {
    const inquiry = smaller();
    const last = replies.map((one) => faultOf(inquiry.judge(one)));
    assert.deepEqual(last, [...replies.slice(1).map(() => undefined), fault]);
  });
}

test('too_many_replies: a peer that never ends is stopped', () => {
  const inquiry = smaller();
  for (let count = 0; count < MAX_REPLIES_PER_QUERY; count++) {
    assert.equal(faultOf(inquiry.judge(reply(0, 32_768, false))), undefined);
  }
  assert.equal(faultOf(inquiry.judge(reply(0, 32_768, false))), 'too_many_replies');
});

test('a list that is too long for one answer goes on in ranges from where it ran over', () => {
  // lnd 0.21 counts the ids of a whole answer, stops at 100,000, and its historical sync never recovers from that. Here the rest of
  // such an answer goes by, and is asked for again.
  const inquiry = new RangeInquiry({ maxScidsPerAnswer: 4 });
  inquiry.next();
  assert.deepEqual(inquiry.judge(reply(0, 500, false, [scidOf(1), scidOf(2), scidOf(3)])), {
    use: true,
    over: false,
  });
  assert.deepEqual(inquiry.judge(reply(500, 500, false, [scidOf(500), scidOf(501)])), {
    use: false,
    over: false,
  });
  assert.equal(inquiry.reached, 500);
  assert.deepEqual(inquiry.judge(reply(1_000, 0xffffffff, true, [scidOf(1_000)])), {
    use: false,
    over: true,
  });
  assert.equal(inquiry.finishQuery(), false, 'no room has to be waited for');
  assert.deepEqual(inquiry.next(), { first: 500, count: 32_768 });
  // Even the first reply of the smaller range is too much: four times smaller.
  const five = [500, 501, 502, 503, 504].map((block) => scidOf(block));
  assert.equal(faultOf(inquiry.judge(reply(500, 32_768, true, five))), undefined);
  assert.equal(inquiry.finishQuery(), false);
  assert.deepEqual(inquiry.next(), { first: 500, count: 8_192 });
});

test('too_many_scids: one block with more than an answer may have cannot be asked for in smaller ranges', () => {
  const inquiry = new RangeInquiry({ first: 7, stop: 8, maxScidsPerAnswer: 2 });
  assert.deepEqual(inquiry.next(), { first: 7, count: 1 });
  const three = [0, 1, 2].map((transaction) => scidOf(7, transaction));
  assert.equal(faultOf(inquiry.judge(reply(7, 1, true, three))), 'too_many_scids');
  assert.ok(MAX_SCIDS_PER_ANSWER > 1_000_000);
});

test('an inquiry may begin where another one stopped, and may be for a few blocks only', () => {
  const rest = new RangeInquiry({ first: 500_000 });
  assert.deepEqual(rest.next(), { first: 500_000, count: 0xffffffff - 500_000 });
  assert.deepEqual(rest.judge(reply(500_000, 0xffffffff - 500_000, true)), { use: true, over: true });
  rest.finishQuery();
  assert.equal(rest.next(), 'complete');
  const few = new RangeInquiry({ first: 100, stop: 130 });
  assert.deepEqual(few.next(), { first: 100, count: 30 });
  assert.equal(faultOf(few.judge(reply(100, 30, true, [scidOf(130)]))), 'scid_outside_query');
  few.failQuery();
  assert.deepEqual(few.next(), { first: 100, count: 30 });
  few.judge(reply(100, 30, true, [scidOf(129)]));
  few.finishQuery();
  assert.equal(few.next(), 'complete');
});

test('what is reached: never a block that may be split, nor anything of an unordered answer before its end', () => {
  const ordered = new RangeInquiry();
  ordered.next();
  assert.equal(ordered.reached, 0);
  ordered.judge(reply(0, 501, false, [scidOf(3), scidOf(500)]));
  assert.equal(ordered.reached, 500);
  ordered.judge(reply(500, 100, false, [scidOf(500, 9)]));
  assert.equal(ordered.reached, 599);
  ordered.judge(reply(600, 5, false, [scidOf(7)]));
  assert.equal(ordered.reached, 0);
});

test('broken answers lead to smaller ranges from the same block, and in the end to failure', () => {
  const inquiry = new RangeInquiry();
  const counts: unknown[] = [];
  for (let fault = 0; fault < MAX_FAULTS_IN_A_ROW; fault++) {
    const query = inquiry.next();
    assert.ok(typeof query === 'object' && query.first === 0);
    counts.push(query.count);
    inquiry.failQuery();
  }
  assert.deepEqual(counts, [0xffffffff, 32_768, 8_192, 2_048, 512, 128]);
  assert.equal(inquiry.next(), 'failed');
});

test('smaller ranges cover the whole chain, crossing empty stretches fast', () => {
  const inquiry = smaller();
  let covered = 0;
  let queries = 0;
  for (
    let query: ReturnType<RangeInquiry['next']> = { first: 0, count: 32_768 };
    typeof query === 'object';
  ) {
    assert.equal(query.first, covered);
    covered += query.count;
    // Dense between 500,000 and 950,000: a channel in nine blocks.
    const from = Math.max(query.first, 500_000);
    const count = Math.max(0, Math.floor((Math.min(covered, 950_000) - from) / 9));
    const scids = Array.from({ length: Math.min(count, 8000) }, (_, index) => scidOf(from + index * 9));
    assert.equal(faultOf(inquiry.judge(reply(query.first, query.count, true, scids))), undefined);
    assert.equal(inquiry.finishQuery(), false);
    queries++;
    query = inquiry.next();
  }
  assert.equal(covered, 0x1000000);
  assert.ok(queries < 100, `${queries} queries`);
});

test('a list that does not fit is resumed from the first reply that did not', () => {
  const inquiry = new RangeInquiry();
  inquiry.next();
  inquiry.judge(reply(0, 500, false, [scidOf(1)]));
  const tooMuch = reply(500, 500, false, [scidOf(600)]);
  assert.deepEqual(inquiry.judge(tooMuch), { use: true, over: false });
  inquiry.postpone(tooMuch);
  assert.deepEqual(inquiry.judge(reply(1000, 0xffffffff, true, [scidOf(1001)])), { use: false, over: true });
  assert.equal(inquiry.finishQuery(), true);
  assert.deepEqual(inquiry.next(), { first: 500, count: 32_768 });
});

test('a peer that covers everything and never says so is recognised', () => {
  const inquiry = new RangeInquiry();
  inquiry.next();
  assert.equal(inquiry.covered, false);
  inquiry.judge(reply(0, 0xffffffff, false));
  assert.equal(inquiry.covered, true);
});
