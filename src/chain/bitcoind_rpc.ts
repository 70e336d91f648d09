/**
 * bitcoind over JSON-RPC as a chain backend: funding outputs (getblockhash, getblock, gettxout) and the chain (getblockchaininfo,
 * getblockhash, getblock). Only calls that every node of the family has; no index of transactions is needed.
 *
 * daemon/ hands in the address, the credentials, the real Http and, when the node publishes `hashblock`, the subscriber of zmq_blocks.
 * An output counts as looked up in the best chain when its block stood at its height before and after gettxout: the second look
 * travels in the same batch, behind it.
 */
import type { NetworkName } from '../base/chain_hash.ts';
import type { Log } from '../base/log.ts';
import type { Meter } from '../base/meter.ts';
import type { Clock } from '../base/time.ts';
import { BackendHealth } from './backend_health.ts';
import { type BitcoindChain, bitcoindRound, type FoundOutput, type Outpoint } from './bitcoind_lookup.ts';
import {
  type ChainInfo,
  isBlockOf,
  isRecord,
  packTxids,
  readBitcoinAmount,
  readChainInfo,
  readHash,
  readHeight,
  readHex,
  readScript,
} from './bitcoind_values.ts';
import type { BlockSource, ChainBackend, ChainTip } from './block_source.ts';
import { BlockTxidsCache } from './block_txids_cache.ts';
import { type ChainFault, chainUnavailable, isFault, prunedAway, REORGANISED } from './chain_fault.ts';
import { ChainGate } from './chain_gate.ts';
import { CHAIN_PATIENCE, HttpExchange, hostOf, type Patience } from './http_exchange.ts';
import type { Http } from './http_port.ts';
import { JsonRpcHttp, type RpcAnswer, type RpcCall, type RpcCredentials } from './json_rpc_http.ts';
import { LookupRounds } from './lookup_rounds.ts';
import { MAX_BLOCK_BYTES } from './raw_block.ts';
import type { TipPush } from './tip_push.ts';

/** bitcoind works on 4 (before v28) or 16 calls at once and queues 16; we take no more than a part of it. */
export const MAX_RPC_REQUESTS_IN_FLIGHT = 4;
/** gettxout calls in one request; getblockhash adds at most as many again. */
export const MAX_OUTPUTS_PER_BATCH = 128;
/** Blocks whose txids are asked for in one request. */
export const MAX_BLOCKS_PER_BATCH = 4;

/**
 * 128 outputs with scripts of at most 10,000 bytes, which bitcoind writes as hex, as text and in a descriptor: under 60 kB each, and
 * some kB for the heights. Longer than any such answer is no answer.
 */
export const MAX_OUTPUTS_ANSWER_BYTES = 8_388_608;
/** 4 blocks of at most 16,666 txids (MAX_BLOCK_TXIDS) in 70 bytes each are 4.7 MB. */
export const MAX_TXIDS_ANSWER_BYTES = 5_242_880;
/** getblockhash answers take some 100 bytes, for at most 256 heights; getblockchaininfo some kB. */
const MAX_SMALL_ANSWER_BYTES = 262_144;
/** MAX_BLOCK_BYTES as hex, and what is around it. */
export const MAX_RAW_BLOCK_ANSWER_BYTES = MAX_BLOCK_BYTES * 2 + 1024;

/** Invalid parameter: a height above the tip. */
const RPC_INVALID_PARAMETER = -8;
/** No such block. */
const RPC_INVALID_ADDRESS_OR_KEY = -5;

export interface BitcoindRpcOptions {
  /** `http://host:port`, without user and password. */
  readonly url: string;
  /** Undefined: the node asks for none. */
  readonly credentials: RpcCredentials | undefined;
  /** The chain that the node must follow. */
  readonly network: NetworkName;
  /** Tells of new tips; closed with the backend. Undefined: the follower polls. */
  readonly push?: TipPush;
  readonly http: Http;
  readonly clock: Clock;
  readonly log: Log;
  readonly meter: Meter;
  readonly patience?: Patience;
}

const call = (method: string, ...params: RpcCall['params']): RpcCall => ({ method, params });

const chunks = <T>(items: readonly T[], size: number): (readonly T[])[] =>
  Array.from({ length: Math.ceil(items.length / size) }, (_, index) =>
    items.slice(index * size, (index + 1) * size),
  );

class BitcoindRpc implements BitcoindChain {
  readonly #rpc: JsonRpcHttp;
  readonly #gate: ChainGate;
  readonly #health: BackendHealth;
  readonly #service: string;

  constructor(rpc: JsonRpcHttp, gate: ChainGate, health: BackendHealth, service: string) {
    this.#rpc = rpc;
    this.#gate = gate;
    this.#health = health;
    this.#service = service;
  }

  readonly hashesAt: BitcoindChain['hashesAt'] = (heights, signal) => {
    // Which chain it is on, and whether it has all of it, is asked along each time: a node may be restarted as another one.
    const calls = [call('getblockchaininfo'), ...heights.map((height) => call('getblockhash', height))];
    const read = ([first, ...answers]: readonly RpcAnswer[]) => {
      const info = this.#admit(first);
      if (isFault(info)) return info;
      const hashes = this.#health.weigh(answers.map((answer) => this.#hash(answer)));
      if (isFault(hashes)) return hashes;
      return new Map(heights.map((height, index) => [height, hashes[index] ?? REORGANISED]));
    };
    return this.#rpc.calls(calls, MAX_SMALL_ANSWER_BYTES, read, signal);
  };

  readonly txidsOf: BitcoindChain['txidsOf'] = async (hashes, signal) => {
    const blocks = new Map<string, Uint8Array | ChainFault>();
    const batches = chunks(hashes, MAX_BLOCKS_PER_BATCH).map(async (batch) => {
      const calls = batch.map((hash) => call('getblock', hash, 1));
      const read = (answers: readonly RpcAnswer[]) =>
        this.#health.weigh(answers.map((answer) => this.#txids(answer)));
      const lists = await this.#rpc.calls(calls, MAX_TXIDS_ANSWER_BYTES, read, signal);
      for (const [index, hash] of batch.entries()) {
        blocks.set(hash, isFault(lists) ? lists : (lists[index] ?? REORGANISED));
      }
    });
    await Promise.all(batches);
    return blocks;
  };

  readonly outputs: BitcoindChain['outputs'] = async (outpoints, signal) => {
    const batches = chunks(outpoints, MAX_OUTPUTS_PER_BATCH).map((batch) => this.#outputs(batch, signal));
    return (await Promise.all(batches)).flat();
  };

  tip(signal: AbortSignal): Promise<ChainTip | ChainFault> {
    const read = ([answer]: readonly RpcAnswer[]) => {
      const info = this.#admit(answer);
      return isFault(info) ? info : { height: info.height, hash: info.hash };
    };
    return this.#rpc.calls([call('getblockchaininfo')], MAX_SMALL_ANSWER_BYTES, read, signal);
  }

  rawBlock(hash: string, signal: AbortSignal): Promise<Uint8Array | ChainFault> {
    const read = ([answer]: readonly RpcAnswer[]) => {
      if (answer !== undefined && 'code' in answer) return this.#refused('getblock', answer);
      const raw = readHex(answer?.result, MAX_BLOCK_BYTES);
      return raw !== undefined && isBlockOf(raw, hash) ? raw : this.#wrongShape('getblock');
    };
    return this.#rpc.calls([call('getblock', hash, 0)], MAX_RAW_BLOCK_ANSWER_BYTES, read, signal);
  }

  async #outputs(
    outpoints: readonly Outpoint[],
    signal: AbortSignal,
  ): Promise<readonly (FoundOutput | ChainFault)[]> {
    const heights = [...new Set(outpoints.map(({ height }) => height))];
    const calls = [
      ...outpoints.map(({ txid, vout }) => call('gettxout', txid, vout, false)),
      ...heights.map((height) => call('getblockhash', height)),
    ];
    const read = (answers: readonly RpcAnswer[]) => {
      const each = outpoints.map(({ height, blockHash }, index) => {
        const after = answers[outpoints.length + heights.indexOf(height)];
        if (after === undefined || this.#hash(after) !== blockHash) return REORGANISED;
        const answer = answers[index];
        return answer === undefined ? this.#wrongShape('gettxout') : this.#output(answer);
      });
      return this.#health.weigh(each);
    };
    const outputs = await this.#rpc.calls(calls, MAX_OUTPUTS_ANSWER_BYTES, read, signal);
    return isFault(outputs) ? outpoints.map(() => outputs) : outputs;
  }

  #output(answer: RpcAnswer): FoundOutput | ChainFault {
    if ('code' in answer) return this.#refused('gettxout', answer);
    if (answer.result === null) return 'absent';
    if (!isRecord(answer.result)) return this.#wrongShape('gettxout');
    const satoshis = readBitcoinAmount(answer.result['value']);
    const script = readScript(answer.result['scriptPubKey']);
    return satoshis === undefined || script === undefined
      ? this.#wrongShape('gettxout')
      : { satoshis, script };
  }

  #hash(answer: RpcAnswer): string | 'above_tip' | ChainFault {
    if ('code' in answer) {
      if (answer.code !== RPC_INVALID_PARAMETER) return this.#refused('getblockhash', answer);
      return this.#gate.catchingUp ?? 'above_tip';
    }
    return readHash(answer.result) ?? this.#wrongShape('getblockhash');
  }

  #txids(answer: RpcAnswer): Uint8Array | ChainFault {
    if ('code' in answer) return this.#refused('getblock', answer);
    if (!isRecord(answer.result)) return this.#wrongShape('getblock');
    // Present everywhere; -1 for a block that is no longer in the best chain.
    if (answer.result['confirmations'] === -1) return REORGANISED;
    return packTxids(answer.result['tx']) ?? this.#wrongShape('getblock');
  }

  /** Looks at getblockchaininfo; a fault when this node cannot answer for our network. */
  #admit(answer: RpcAnswer | undefined): ChainInfo | ChainFault {
    if (answer !== undefined && 'code' in answer) return this.#refused('getblockchaininfo', answer);
    const info = readChainInfo(answer?.result);
    return info === undefined ? this.#wrongShape('getblockchaininfo') : (this.#gate.admit(info) ?? info);
  }

  #refused(method: string, answer: { readonly code: number; readonly message: string }): ChainFault {
    if (/pruned/i.test(answer.message)) return prunedAway(this.#service);
    // bcoin gives this text another code.
    if (answer.code === RPC_INVALID_ADDRESS_OR_KEY || answer.message === 'Block not found')
      return REORGANISED;
    const reason = `${this.#service} refuses ${method} (${answer.code}: ${answer.message}): see its debug.log`;
    // Without this one nothing can be asked.
    return { fault: method === 'getblockchaininfo' ? 'wrong_shape' : 'refused_call', reason };
  }

  #wrongShape(method: string): ChainFault {
    const reason = `${this.#service} answers ${method} with something else: check that the address in utxo is bitcoind's RPC port`;
    return { fault: 'wrong_shape', reason };
  }
}

const blockSource = (chain: BitcoindRpc, push: TipPush | undefined): BlockSource => ({
  name: 'bitcoind',
  tip: async (signal) => {
    const tip = await chain.tip(signal);
    if (isFault(tip)) throw chainUnavailable(tip);
    return tip;
  },
  hashAt: async (height, signal) => {
    if (readHeight(height) === undefined) return undefined;
    const hashes = await chain.hashesAt([height], signal);
    if (isFault(hashes)) throw chainUnavailable(hashes);
    const hash = hashes.get(height);
    if (isFault(hash)) throw chainUnavailable(hash);
    return hash === 'above_tip' ? undefined : hash;
  },
  rawBlock: async (hash, signal) => {
    const raw = await chain.rawBlock(hash, signal);
    if (isFault(raw)) throw chainUnavailable(raw);
    return raw;
  },
  onTip: push?.onTip,
});

/** Connects to nothing by itself: the first question does. */
export const openBitcoindRpc = (options: BitcoindRpcOptions): ChainBackend => {
  const { url, credentials, network, push, http, clock, log, meter, patience = CHAIN_PATIENCE } = options;
  const service = `bitcoind at ${hostOf(url)}`;
  const health = new BackendHealth('bitcoind', log, meter);
  const maxInFlight = MAX_RPC_REQUESTS_IN_FLIGHT;
  const exchange = new HttpExchange({ http, clock, health, service, patience, maxInFlight });
  const rpc = new JsonRpcHttp({ url, credentials, exchange, service });
  const gate = new ChainGate(network, service);
  const chain = new BitcoindRpc(rpc, gate, health, service);
  const rounds = new LookupRounds(bitcoindRound(chain, new BlockTxidsCache()));
  return {
    lookup: { name: 'bitcoind', verifies: true, lookup: rounds.lookup },
    blocks: blockSource(chain, push),
    status: () => gate.status(health.status()),
    close: async () => {
      exchange.close();
      await Promise.all([rounds.close(), push?.close()]);
    },
  };
};
