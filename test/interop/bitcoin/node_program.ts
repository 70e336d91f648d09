/**
 * A Bitcoin node on regtest in a process of its own, in memory: bcoin with its RPC, and the questions of node_protocol.ts.
 * Starts with as many blocks as segwit needs to be active. Ends with its parent.
 *
 * Started by node_process.ts with its settings as one JSON argument.
 */
import { type FullNode, loadBcoin } from './bcoin_surface.ts';
import { Miner } from './miner.ts';
import type { NodeQuestion, NodeSettings } from './node_protocol.ts';
import { Wallet } from './wallet.ts';

// First of all: whatever becomes of the test, nothing of it stays behind.
process.once('disconnect', () => process.exit(0));
const { folder, password } = JSON.parse(process.argv[2] ?? '') as NodeSettings;
const bcoin = loadBcoin(folder);
const node: FullNode = new bcoin.FullNode({
  network: 'regtest',
  memory: true,
  httpHost: '127.0.0.1',
  httpPort: 0,
  apiKey: password,
  workers: false,
  listen: false,
  logLevel: 'none',
});
await node.open();
const { port } = node.http.address();
// So that it opens the same one again.
node.http.config.port = port;
const wallet = new Wallet(bcoin, node);
const miner = new Miner(node, wallet.address);
while (!node.chain.state.hasWitness()) await miner.mine(1, true);

const setRpc = async (open: boolean): Promise<void> => {
  if (open) {
    await node.http.open();
    return;
  }
  const closed = node.http.close();
  node.http.http.closeAllConnections();
  await closed;
};

const answer = async (question: NodeQuestion): Promise<unknown> => {
  switch (question.verb) {
    case 'mine':
      return { blocks: await miner.mine(question.takes.blocks, question.takes.empty) };
    case 'reorganise':
      return { blocks: await miner.reorganise(question.takes.depth, question.takes.forget) };
    case 'fund':
      return wallet.fund(question.takes.keys, question.takes.satoshis, question.takes.output);
    case 'spend':
      return wallet.spend(question.takes.txid, question.takes.output, question.takes.secrets);
    case 'mempool':
      return { txids: [...node.mempool.map.values()].map(({ tx }) => tx.txid()) };
    case 'block':
      return miner.block(question.takes.height);
    case 'rpc':
      await setRpc(question.takes.open);
      return {};
  }
};

// One after the other: a block is mined on what the question before it has left.
let previous: Promise<void> = Promise.resolve();
process.on('message', (question: NodeQuestion) => {
  previous = previous.then(async () => {
    try {
      process.send?.({ id: question.id, answer: await answer(question) });
    } catch (error) {
      process.send?.({ id: question.id, error: error instanceof Error ? error.message : String(error) });
    }
  });
});
process.send?.({ port, height: node.chain.height });
