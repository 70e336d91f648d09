import { silentLog } from '../../src/base/log.ts';
import { MemoryMeter } from '../../src/base/meter.ts';
import { openBitcoindRest } from '../../src/chain/bitcoind_rest.ts';
import { openBitcoindRpc } from '../../src/chain/bitcoind_rpc.ts';
import { fetchHttp } from '../../src/chain/fetch_http.ts';
import { encodeUtxoTable, openUtxoTable } from '../../src/chain/utxo_table.ts';
import { openZmqBlocks } from '../../src/chain/zmq_blocks.ts';
import { systemClock } from '../../src/observe/system_clock.ts';
import { dialTcp } from '../../src/peer/tcp.ts';
import { BITCOIND_FAULTS, FakeBitcoind, LOOKUP_FAULTS, RPC_FAULTS } from './fake_bitcoind.ts';
import type { FakeChain } from './fake_chain.ts';
import { FakeZmq } from './fake_zmq.ts';
import {
  blocksContract,
  type ContractLimits,
  type ContractService,
  outputsContract,
  utxoContract,
} from './utxo_contract.ts';

const ports = () => ({
  network: 'regtest' as const,
  http: fetchHttp,
  clock: systemClock(),
  log: silentLog,
  meter: new MemoryMeter(),
});

const serve = async (
  chain: FakeChain,
  open: (node: FakeBitcoind) => ContractService['backend'],
  isRpc: boolean,
): Promise<ContractService> => {
  const node = new FakeBitcoind(chain);
  if (isRpc) node.login = 'user:pass:wörd';
  await node.listen();
  return {
    backend: open(node),
    faults: isRpc ? [...BITCOIND_FAULTS, ...RPC_FAULTS] : BITCOIND_FAULTS,
    lookupFaults: LOOKUP_FAULTS,
    play: (fault) => node.play(fault),
    requests: () => node.requests,
    close: () => node.close(),
  };
};

const patience = ({ timeoutMs, firstRetryMs }: ContractLimits) => ({ timeoutMs, firstRetryMs, tries: 2 });

outputsContract('table', async (chain, fundings) => {
  const entries = fundings.map((funding) => ({ ...funding, scid: chain.scidOf(funding)! }));
  return { lookup: openUtxoTable(encodeUtxoTable(entries)), close: async () => {} };
});

const credentials = { user: 'user', password: 'pass:wörd' };

utxoContract(
  'bitcoind',
  (chain, limits) =>
    serve(
      chain,
      ({ url }) => openBitcoindRpc({ ...ports(), url, credentials, patience: patience(limits) }),
      true,
    ),
  // Two rounds of 256: the hashes, ten blocks in batches of four (once), outputs in batches of 128.
  { maxRequestsFor500: 2 + 3 + 4 },
);

utxoContract(
  'bitcoind, one call at a time',
  async (chain, limits) => ({
    ...(await serve(
      chain,
      (node) => {
        node.refusesBatches = true;
        return openBitcoindRpc({ ...ports(), url: node.url, credentials, patience: patience(limits) });
      },
      true,
    )),
    faults: ['status_401', 'garbage', 'warming_up', 'foreign_ids', 'a_fault'],
    lookupFaults: ['bad_txids', 'bad_value'],
  }),
  // An output and the height behind it, and some batches that are refused first.
  { maxRequestsFor500: 500 + 40 + 10 },
);

utxoContract(
  'bitcoind-rest',
  (chain, limits) =>
    serve(chain, ({ url }) => openBitcoindRest({ ...ports(), url, patience: patience(limits) }), false),
  // Two rounds: chaininfo, ten or eleven heights, ten blocks (once), 500 outputs by fifteen.
  { maxRequestsFor500: 2 + 12 + 10 + 36 },
);

blocksContract(
  'bitcoind with zmq',
  async (chain, limits) => {
    const publisher = new FakeZmq(chain);
    await publisher.listen();
    const { clock, log, meter } = ports();
    const push = openZmqBlocks({ host: '127.0.0.1', port: publisher.port, dial: dialTcp, clock, log, meter });
    const service = await serve(
      chain,
      ({ url }) => openBitcoindRpc({ ...ports(), url, credentials, push, patience: patience(limits) }),
      true,
    );
    while (publisher.subscriptions.length === 0) await new Promise((resolve) => setTimeout(resolve, 2));
    return {
      ...service,
      close: async () => {
        await service.close();
        await publisher.close();
      },
    };
  },
  { maxRequestsFor500: 9, hasPush: true },
);
