/**
 * The life and death of channels, told by a Bitcoin node to the daemon as users run it: real blocks, real 2-of-2 outputs,
 * real spends. Held until the sixth confirmation, accepted, relayed; refused when forged; dying when spent, gone after 72
 * blocks; alive again when the spend is reorganised away; patient while the node is away; informed after its own pause.
 *
 * One story in steps: each goes on where the one before ended, and after a failure the rest is skipped. The node mines
 * only when told to, so that every state is asked for at its exact height.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { scidBlock, scidFromParts, scidHi } from '../../src/base/short_channel_id.ts';
import { installBitcoinNode } from '../interop/bitcoin/install.ts';
import { BitcoinNode } from '../interop/bitcoin/node_process.ts';
import type { RawPeer } from '../interop/raw_peer.ts';
import { until } from '../interop/test_daemon.ts';
import {
  ChainScene,
  type FundedChannel,
  hasHeard,
  heardBy,
  hexOf,
  listenToAll,
  signChannel,
} from './chain_scene.ts';

/** B7-13, B7-43 */
const DYING_BLOCKS = 72;
/** B7-07 */
const DEPTH = 6;

const installed = await installBitcoinNode();
const skip = 'reason' in installed ? installed.reason : false;

test('the life of channels over a Bitcoin node', { skip }, async (t) => {
  assert.ok('folder' in installed);
  const node = await BitcoinNode.start(t, installed.folder);
  const scene = new ChainScene(t, node);
  await scene.startDaemon();
  const step = steps(t, scene);

  let alpha!: FundedChannel;
  let beta!: FundedChannel;
  let gamma!: FundedChannel;
  let delta!: FundedChannel;
  let epsilon!: FundedChannel;
  let listener!: RawPeer;

  await step(
    'announced at its first confirmation a channel is held, at its fifth still; at its sixth it is in the map, with its ' +
      'capacity and with what waited for it (B7-05, B7-07)',
    async () => {
      [alpha, beta, gamma, delta, epsilon] = (await scene.fund(
        { name: 'alpha', satoshis: 1_234_567, output: 1 },
        { name: 'beta', satoshis: 16_777_215 },
        { name: 'gamma', satoshis: 500_000 },
        { name: 'delta', satoshis: 600_000 },
        { name: 'epsilon', satoshis: 700_000, output: 1 },
      )) as [FundedChannel, FundedChannel, FundedChannel, FundedChannel, FundedChannel];
      const funded = scidBlock(scidHi(alpha.scid));
      assert.equal(await scene.atTip(), funded);
      scene.announce(...alpha.messages, ...beta.messages, ...gamma.messages);
      await scene.untilVerdicts('not_buried', 3);
      assert.equal((await scene.status()).channels, 0);

      // Epsilon is closed before anybody has heard of it.
      await node.spend(epsilon.funding);
      await node.mine(1);
      await node.mineEmpty(DEPTH - 3);
      assert.equal(await scene.atTip(), funded + DEPTH - 2);
      assert.equal(await scene.serves(alpha), false);
      assert.equal((await scene.status()).channels, 0);

      await node.mineEmpty();
      await scene.untilServed('its sixth confirmation', alpha);
      assert.equal(await scene.atTip(), funded + DEPTH - 1);
      await until(
        'all that waited is in',
        async () => {
          const { channels, half_channels, node_announcements } = await scene.status();
          return channels === 3 && half_channels === 6 && node_announcements === 6;
        },
        () => scene.status(),
      );
      await scene.untilInFile(
        'accepted',
        alpha,
        (info) => info?.half_channels.every((half) => half !== null) === true,
      );
      const info = await scene.inFile(alpha);
      assert.deepEqual(
        [info?.capacity_sat, info?.unverified, info?.dying, info?.node_id_1],
        [1_234_567, false, false, alpha.signed.nodes[0].nodeId],
      );
      assert.equal((await scene.inFile(beta))?.capacity_sat, 16_777_215);
    },
  );

  await step('a peer that comes later is sent all of it, byte for byte (Q-18)', async () => {
    listener = await scene.dial(31);
    listenToAll(listener);
    await until(
      'everything is relayed',
      () => heardBy(listener).length >= 15,
      () => heardBy(listener).length,
    );
    assert.deepEqual(heardBy(listener), hexOf(alpha, beta, gamma));
  });

  await step(
    'announced without an output, for the output of others or for a spent one, a channel is refused and reaches ' +
      'nobody; the owners may still announce theirs (B7-05)',
    async () => {
      const height = scidBlock(scidHi(alpha.scid));
      const noOutput = signChannel('no output', scidFromParts(height, 1, 2), 1_000_000);
      const noTransaction = signChannel('no transaction', scidFromParts(height, 999, 0), 1_000_000);
      const stolen = signChannel('thief', delta.scid, 600_000);
      const forgeries = [noOutput.raw, noTransaction.raw, stolen.raw, epsilon.signed.raw];
      scene.announce(...forgeries);
      await scene.untilVerdicts('output_not_found', 3);
      await scene.untilVerdicts('funding_script_mismatch', 1);
      assert.equal((await scene.status()).channels, 3);
      assert.equal(await scene.serves(epsilon), false);

      scene.announce(...delta.messages);
      await scene.untilServed('the owner says it', delta);
      assert.equal((await scene.status()).channels, 4);
      await until('delta is relayed', () => heardBy(listener).length >= 20);
      assert.deepEqual(heardBy(listener), hexOf(alpha, beta, gamma, delta));
    },
  );

  await step(
    'a spend that only the mempool has changes nothing; one in a block ends the serving (B7-13, Q-20)',
    async () => {
      await node.spend(alpha.funding);
      await node.mineEmpty();
      await scene.atTip();
      assert.equal(await scene.serves(alpha), true);

      const [block] = await node.mine();
      await scene.untilNotServed('spent', alpha);
      assert.equal(await scene.atTip(), block!.height);
      await scene.untilInFile('dying', alpha, (info) => info?.dying === true);
      assert.equal((await scene.inFile(alpha))?.dying_deadline, block!.height + DYING_BLOCKS);
      assert.equal((await scene.status()).channels, 4);
      assert.equal(await scene.serves(beta), true);
    },
  );

  await step(
    'after 71 more blocks a spent channel is still in the file, after 72 it is gone for good (B7-13, B7-43)',
    async () => {
      const deadline = (await scene.inFile(alpha))!.dying_deadline!;
      await node.mineTo(deadline - 1);
      assert.equal(await scene.atTip(), deadline - 1);
      assert.equal((await scene.inFile(alpha))?.dying, true);
      assert.equal(await scene.serves(alpha), false);
      assert.equal((await scene.status()).channels, 4);

      await node.mine();
      await until('alpha leaves', async () => (await scene.status()).channels === 3);
      assert.equal(await scene.atTip(), deadline);
      await scene.untilInFile('gone', alpha, (info) => info === undefined);

      // Other peers have it still, and tell.
      const before = total(await scene.status());
      scene.announce(alpha.signed.raw);
      await until('it is judged', async () => total(await scene.status()) > before);
      assert.equal((await scene.status()).channels, 3);
      assert.equal(await scene.serves(alpha), false);
    },
  );

  await step(
    'a spend that is reorganised away lets the channel live and be served; its next one counts from its own block (B7-13)',
    async () => {
      await node.spend(beta.funding);
      const [first] = await node.mine();
      await scene.untilNotServed('spent', beta);
      await scene.untilInFile('dying', beta, (info) => info?.dying_deadline === first!.height + DYING_BLOCKS);

      await node.reorganise(1);
      await scene.untilServed('not spent after all', beta);
      assert.equal(await scene.atTip(), first!.height + 1);
      await scene.untilInFile('alive', beta, (info) => info?.dying === false);
      assert.equal((await scene.inFile(beta))?.capacity_sat, 16_777_215);

      const [second] = await node.mine();
      assert.equal(second!.height, first!.height + 2);
      await scene.untilNotServed('spent again', beta);
      await scene.untilInFile(
        'dying',
        beta,
        (info) => info?.dying_deadline === second!.height + DYING_BLOCKS,
      );

      await node.forget(1);
      await scene.untilServed('not spent for good', beta);
      assert.equal(await scene.atTip(), second!.height + 1);
      await scene.untilInFile('alive', beta, (info) => info?.dying === false);
    },
  );

  await step(
    'announced while the node is away a channel waits, and is accepted and relayed when it is back (B7-05)',
    async () => {
      const [zeta] = (await scene.fund({ name: 'zeta', satoshis: 800_000 })) as [FundedChannel];
      await node.mine(DEPTH - 1);
      const height = await scene.atTip();
      await node.hide();
      scene.announce(...zeta.messages);
      await scene.untilVerdicts('chain_unavailable', 1);
      assert.equal((await scene.status()).channels, 3);
      assert.equal(await scene.serves(zeta), false);
      assert.equal(await scene.serves(gamma), true);

      await node.mine();
      await node.show();
      await scene.untilServed('the node is back', zeta);
      assert.equal(await scene.atTip(), height + 1);
      assert.equal((await scene.status()).channels, 4);
      await scene.untilInFile('accepted', zeta, (info) => info?.capacity_sat === 800_000);
      await until('zeta is relayed', () => hasHeard(listener, zeta.signed.raw));
    },
  );

  await step(
    'what was spent while the daemon was stopped it notices at its start, at the right height, even if blocks that ' +
      'it knew are gone (B7-43)',
    async () => {
      await scene.stopDaemon();
      await node.spend(gamma.funding);
      await node.reorganise(1);
      const [block] = await node.mine();
      await node.mine(2);
      await scene.startDaemon();
      assert.equal((await scene.status()).loaded_channels, 4);
      await scene.untilNotServed('spent meanwhile', gamma);
      assert.equal(await scene.atTip(), block!.height + 2);
      await scene.untilInFile(
        'dying',
        gamma,
        (info) => info?.dying_deadline === block!.height + DYING_BLOCKS,
      );
      assert.equal(await scene.serves(beta), true);
      assert.equal(await scene.serves(delta), true);
    },
  );

  await step(
    'a channel whose funding itself is reorganised away is dying from that block on (B7-13)',
    async () => {
      const [eta] = (await scene.fund({ name: 'eta', satoshis: 900_000 })) as [FundedChannel];
      await node.mine(DEPTH - 1);
      await scene.atTip();
      scene.announce(...eta.messages);
      await scene.untilServed('buried', eta);

      await node.forget(DEPTH);
      await scene.untilNotServed('its output is gone', eta);
      await scene.atTip();
      const deadline = scidBlock(scidHi(eta.scid)) + DYING_BLOCKS;
      await scene.untilInFile('dying', eta, (info) => info?.dying_deadline === deadline);
      assert.equal(await scene.serves(delta), true);
    },
  );
});

/** Runs parts one after the other; after one that failed, with the daemon's words, the others are skipped. */
const steps = (t: TestContext, scene: ChainScene) => {
  let hasFailed = false;
  return async (title: string, run: () => Promise<void>): Promise<void> => {
    await t.test(title, async (part) => {
      if (hasFailed) return part.skip('a step before it failed');
      try {
        await run();
      } catch (error) {
        hasFailed = true;
        part.diagnostic(scene.daemonLog.slice(-4000));
        throw error;
      }
    });
  };
};

/** Verdicts of any kind. */
const total = ({ verdicts }: { readonly verdicts: Readonly<Record<string, number>> }): number =>
  Object.values(verdicts).reduce((sum, count) => sum + count, 0);
