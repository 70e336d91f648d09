/**
 * Peers of other makes that a developer has running: one test for each that the environment names, skipped with the reason
 * where it names none. README.md says how to name them.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NETWORKS, type NetworkName } from '../../src/base/chain_hash.ts';
import { parsePeerAddress } from '../../src/peer/peer_address.ts';
import { startDaemon, until } from './test_daemon.ts';

const OTHER_PEERS = [
  ['Core Lightning', 'INTEROP_CLN'],
  ['lnd', 'INTEROP_LND'],
  ['Eclair', 'INTEROP_ECLAIR'],
  ['another LDK', 'INTEROP_LDK'],
] as const;

const isNetwork = (name: string): name is NetworkName => Object.hasOwn(NETWORKS, name);

for (const [maker, variable] of OTHER_PEERS) {
  const address = process.env[variable] ?? '';
  const skip = address === '' && `${variable} is not set; set it to NODE_ID@HOST:PORT of a running node`;
  test(`full sync from ${maker}: everything that it lists is known in the end, and nothing of it is refused`, {
    skip,
  }, async (t) => {
    const network = process.env['INTEROP_NETWORK'] ?? 'regtest';
    assert.ok(isNetwork(network), `INTEROP_NETWORK=${network} is no network`);
    const peer = parsePeerAddress(address, NETWORKS[network].port);
    assert.ok(peer !== undefined, `${variable}=${address} is not NODE_ID@HOST:PORT`);
    const daemon = await startDaemon(t, { network, peers: [address] });
    await until(
      'the seeker calls the sync complete',
      () => daemon.parts.seeker.status().complete,
      () => daemon.parts.seeker.status(),
    );
    const { sync, peers, rejected } = daemon.status();
    assert.deepEqual(
      peers.map(({ node_id }) => node_id),
      [peer.node_id],
    );
    assert.equal(sync.peers[0]?.known, sync.peers[0]?.has);
    assert.equal(rejected, 0);
  });
}
