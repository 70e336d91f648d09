/**
 * A second opinion on what gossip is good: LDK and our ingest judge the same messages, each with nothing but the good messages that
 * come first. They must agree on accepting or not; where they do not, the reason is in EXCEPTIONS, and none of those is idle.
 */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { House } from '../fixtures/ingest_house.ts';
import { LdkGossip, ldkLogger, loadLdk } from './ldk_gossip.ts';
import { bitFlips, goodMessages, lengths, type Mutation, oddMessages, signedBitFlips } from './mutations.ts';

/** `our verdict | LDK's words`, and why both may be right. */
const EXCEPTIONS: Readonly<Record<string, string>> = {
  'ignore too_old | accepted': 'B7-42: this build of LDK has no clock',
  'ignore too_far_in_future | accepted': 'B7-35: this build of LDK has no clock',
  'warn zero_timestamp | accepted': 'B7-39: LDK has no rule of its own for timestamp 0',
  'warn node_ids_not_ordered | accepted': 'B7-03: LDK does not look at the order of node ids',
  'ignore dont_forward | accepted':
    'B7-38: LDK keeps the update for its own payments; we only keep what may be passed on',
  'ignore second_dns | accepted': 'B7-26: LDK does not count hostnames',
  'accept accepted | DecodeError_InvalidValue':
    'LDK refuses an announcement whose hostname has other characters than letters, digits, dot, dash and underscore; we keep the announcement, and its bytes are what others signed for',
  'accept accepted | htlc_maximum_msat is larger than maximum possible msats':
    'LDK refuses more than 21 million bitcoins; for us it is a policy that no payment can reach',
};

interface Opinion {
  readonly name: string;
  readonly ours: string;
  readonly theirs: string;
  readonly agreed: boolean;
}

const opinionOn = async ({ name, before: known, raw }: Mutation): Promise<Opinion> => {
  const house = new House();
  const ldk = new LdkGossip(ldkLogger());
  for (const good of known) {
    assert.equal(await house.offer(good), 'accept accepted', name);
    assert.deepEqual(ldk.offer(good).error, '', name);
  }
  const ours = await house.offer(raw);
  const { accepted, error } = ldk.offer(raw);
  return {
    name,
    ours,
    theirs: accepted ? 'accepted' : error,
    agreed: accepted === (ours === 'accept accepted'),
  };
};

const opinionsOn = async (mutations: readonly Mutation[]): Promise<Opinion[]> => {
  const opinions: Opinion[] = [];
  for (const mutation of mutations) opinions.push(await opinionOn(mutation));
  return opinions;
};

const exceptionOf = ({ ours, theirs }: Opinion): string => `${ours} | ${theirs}`;

/** Those on which the two disagree for a reason that is not listed. */
const unexplained = (opinions: readonly Opinion[]): Opinion[] =>
  opinions.filter((opinion) => !opinion.agreed && !(exceptionOf(opinion) in EXCEPTIONS));

before(() => loadLdk());

test('LDK and we accept the same good messages', async () => {
  const opinions = await opinionsOn(goodMessages());
  assert.ok(opinions.length === 3 && opinions.every(({ agreed, theirs }) => agreed && theirs === 'accepted'));
});

test('LDK and we refuse every message with one flipped bit', async () => {
  const opinions = await opinionsOn(bitFlips(1, 120));
  assert.equal(opinions.length, 360);
  assert.deepEqual(
    opinions.filter(({ agreed, theirs }) => !agreed || theirs === 'accepted'),
    [],
  );
});

test('LDK and we agree on messages cut off at any length, and on longer ones', async () => {
  assert.deepEqual(unexplained(await opinionsOn(lengths())), []);
});

test('LDK and we agree on messages whose fields are odd and whose signatures are good, but for the listed exceptions', async () => {
  const opinions = await opinionsOn([...signedBitFlips(2, 150), ...oddMessages()]);
  assert.deepEqual(unexplained(opinions), []);
  const met = new Set(opinions.filter(({ agreed }) => !agreed).map(exceptionOf));
  assert.deepEqual([...met].sort(), Object.keys(EXCEPTIONS).sort());
});
