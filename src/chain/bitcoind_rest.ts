/**
 * bitcoind over its REST interface as a chain backend: no credentials, read-only, off unless the node runs with -rest. Same answers
 * as bitcoind_rpc, in more and smaller requests.
 *
 * Each round begins with chaininfo, which says where the tip is and whether REST is on at all; heights above the tip need no
 * request. getutxos names the tip it looked from: when that is still the round's tip nothing was reorganised meanwhile, else the
 * hash at the height is asked for again.
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
  readScript,
} from './bitcoind_values.ts';
import type { BlockSource, ChainBackend, ChainTip } from './block_source.ts';
import { BlockTxidsCache } from './block_txids_cache.ts';
import { type ChainFault, chainUnavailable, isFault, prunedAway, REORGANISED } from './chain_fault.ts';
import { ChainGate } from './chain_gate.ts';
import {
  CHAIN_PATIENCE,
  HttpExchange,
  hostOf,
  type Patience,
  quotedBody,
  readJson,
} from './http_exchange.ts';
import type { Http, HttpReply } from './http_port.ts';
import { LookupRounds } from './lookup_rounds.ts';
import { MAX_BLOCK_BYTES } from './raw_block.ts';
import type { TipPush } from './tip_push.ts';

/** REST shares bitcoind's 4 or 16 workers and queue of 16 with RPC. */
export const MAX_REST_REQUESTS_IN_FLIGHT = 8;
/** bitcoind takes no more in one request (MAX_GETUTXOS_OUTPOINTS). */
export const MAX_OUTPOINTS_PER_REQUEST = 15;

/** 16,666 txids (MAX_BLOCK_TXIDS) in 70 bytes each are 1.2 MB. */
export const MAX_REST_TXIDS_BYTES = 1_572_864;
/** 15 outputs of under 60 kB each (scripts of 10,000 bytes as hex, text and descriptor). */
export const MAX_REST_UTXOS_BYTES = 1_048_576;
const MAX_SMALL_ANSWER_BYTES = 65_536;

export interface BitcoindRestOptions {
  /** `http://host:port`. */
  readonly url: string;
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

interface RestParts {
  readonly exchange: HttpExchange;
  readonly health: BackendHealth;
  readonly gate: ChainGate;
  /** Without a slash at the end. */
  readonly url: string;
  readonly service: string;
}

const chunks = <T>(items: readonly T[], size: number): (readonly T[])[] =>
  Array.from({ length: Math.ceil(items.length / size) }, (_, index) =>
    items.slice(index * size, (index + 1) * size),
  );

class BitcoindRest implements BitcoindChain {
  readonly #parts: RestParts;
  /** Tip at the start of the round under way. */
  #roundTip = '';

  constructor(parts: RestParts) {
    this.#parts = parts;
  }

  readonly hashesAt: BitcoindChain['hashesAt'] = async (heights, signal) => {
    const info = await this.#info(signal);
    if (isFault(info)) return info;
    this.#roundTip = info.hash;
    const hashes = new Map<number, string | 'above_tip' | ChainFault>();
    await Promise.all(
      heights.map(async (height) => {
        if (height > info.height) hashes.set(height, this.#parts.gate.catchingUp ?? 'above_tip');
        else hashes.set(height, await this.#hashAt(height, signal));
      }),
    );
    return hashes;
  };

  readonly txidsOf: BitcoindChain['txidsOf'] = async (hashes, signal) => {
    const blocks = new Map<string, Uint8Array | ChainFault>();
    await Promise.all(hashes.map(async (hash) => blocks.set(hash, await this.#txids(hash, signal))));
    return blocks;
  };

  readonly outputs: BitcoindChain['outputs'] = async (outpoints, signal) => {
    const requests = chunks(outpoints, MAX_OUTPOINTS_PER_REQUEST).map((some) => this.#utxos(some, signal));
    const answers = await Promise.all(requests);
    const moved = new Set<number>();
    for (const [index, { height }] of outpoints.entries()) {
      const answer = answers[Math.floor(index / MAX_OUTPOINTS_PER_REQUEST)];
      if (answer !== undefined && !isFault(answer) && answer.tip !== this.#roundTip) moved.add(height);
    }
    const after = new Map<number, string | ChainFault>();
    await Promise.all(
      [...moved].map(async (height) => after.set(height, await this.#hashAt(height, signal))),
    );
    return outpoints.map(({ height, blockHash }, index) => {
      const answer = answers[Math.floor(index / MAX_OUTPOINTS_PER_REQUEST)] ?? REORGANISED;
      if (isFault(answer)) return answer;
      const now = after.get(height);
      if (isFault(now)) return now;
      if (answer.tip !== this.#roundTip && now !== blockHash) return REORGANISED;
      return answer.outputs[index % MAX_OUTPOINTS_PER_REQUEST] ?? REORGANISED;
    });
  };

  async tip(signal: AbortSignal): Promise<ChainTip | ChainFault> {
    const info = await this.#info(signal);
    return isFault(info) ? info : { height: info.height, hash: info.hash };
  }

  async bestHashAt(height: number, signal: AbortSignal): Promise<string | undefined | ChainFault> {
    const info = await this.#info(signal);
    if (isFault(info)) return info;
    return height > info.height ? this.#parts.gate.catchingUp : this.#hashAt(height, signal);
  }

  rawBlock(hash: string, signal: AbortSignal): Promise<Uint8Array | ChainFault> {
    const read = (reply: HttpReply): Uint8Array | ChainFault => {
      if (reply.status !== 200) return this.#refused('a block', reply);
      return isBlockOf(reply.body, hash) ? reply.body : this.#wrongShape('a block');
    };
    return this.#get(`/rest/block/${hash}.bin`, MAX_BLOCK_BYTES, read, signal);
  }

  /** Where the tip is, of a node that follows our chain. */
  #info(signal: AbortSignal): Promise<ChainInfo | ChainFault> {
    const { service, gate } = this.#parts;
    const read = (reply: HttpReply): ChainInfo | ChainFault => {
      if (reply.status === 404) {
        const reason = `${service} answers 404 to /rest/: start bitcoind with -rest`;
        return { fault: 'not_offered', reason };
      }
      if (reply.status !== 200) return this.#refused('chaininfo', reply);
      const info = readChainInfo(readJson(reply.body));
      return info === undefined ? this.#wrongShape('chaininfo', reply) : (gate.admit(info) ?? info);
    };
    return this.#get('/rest/chaininfo.json', MAX_SMALL_ANSWER_BYTES, read, signal);
  }

  /** Of a height that was not above the tip a moment ago. */
  #hashAt(height: number, signal: AbortSignal): Promise<string | ChainFault> {
    const read = (reply: HttpReply): string | ChainFault => {
      // The chain has become shorter, or the node is older than 0.19 and does not know the path.
      if (reply.status === 404) return REORGANISED;
      if (reply.status !== 200) return this.#refused('blockhashbyheight', reply);
      const body = readJson(reply.body);
      const hash = isRecord(body) ? readHash(body['blockhash']) : undefined;
      return hash ?? this.#wrongShape('blockhashbyheight', reply);
    };
    return this.#get(`/rest/blockhashbyheight/${height}.json`, MAX_SMALL_ANSWER_BYTES, read, signal);
  }

  #txids(hash: string, signal: AbortSignal): Promise<Uint8Array | ChainFault> {
    const read = (reply: HttpReply): Uint8Array | ChainFault => {
      if (reply.status !== 200) return this.#refused('a block', reply);
      const body = readJson(reply.body);
      if (!isRecord(body)) return this.#wrongShape('a block', reply);
      if (body['confirmations'] === -1) return REORGANISED;
      return packTxids(body['tx']) ?? this.#wrongShape('a block', reply);
    };
    return this.#get(`/rest/block/notxdetails/${hash}.json`, MAX_REST_TXIDS_BYTES, read, signal);
  }

  #utxos(
    outpoints: readonly Outpoint[],
    signal: AbortSignal,
  ): Promise<{ readonly tip: string; readonly outputs: readonly (FoundOutput | ChainFault)[] } | ChainFault> {
    const path = outpoints.map(({ txid, vout }) => `${txid}-${vout}`).join('/');
    const read = (reply: HttpReply) => {
      if (reply.status !== 200) return this.#refused('getutxos', reply);
      const body = readJson(reply.body);
      const tip = isRecord(body) ? readHash(body['chaintipHash']) : undefined;
      const outputs = isRecord(body) ? this.#outputs(outpoints, body['bitmap'], body['utxos']) : undefined;
      if (tip === undefined || outputs === undefined) return this.#wrongShape('getutxos', reply);
      const weighed = this.#parts.health.weigh(outputs);
      return isFault(weighed) ? weighed : { tip, outputs: weighed };
    };
    return this.#get(`/rest/getutxos/${path}.json`, MAX_REST_UTXOS_BYTES, read, signal);
  }

  /** `bitmap` has one digit for each outpoint; `utxos` holds those with a 1, in order. */
  #outputs(
    outpoints: readonly Outpoint[],
    bitmap: unknown,
    utxos: unknown,
  ): (FoundOutput | ChainFault)[] | undefined {
    if (typeof bitmap !== 'string' || bitmap.length !== outpoints.length || !Array.isArray(utxos)) {
      return undefined;
    }
    const isUnspent = [...bitmap].map((digit) => digit === '1');
    if (isUnspent.filter((each) => each).length !== utxos.length) return undefined;
    let next = 0;
    return outpoints.map(({ height }, index) => {
      if (isUnspent[index] !== true) return 'absent';
      const utxo: unknown = utxos[next++];
      if (!isRecord(utxo)) return this.#wrongShape('getutxos');
      const satoshis = readBitcoinAmount(utxo['value']);
      const script = readScript(utxo['scriptPubKey']);
      if (satoshis === undefined || script === undefined) return this.#wrongShape('getutxos');
      return readHeight(utxo['height']) === height ? { satoshis, script } : REORGANISED;
    });
  }

  #get<T>(
    path: string,
    maxBytes: number,
    read: (reply: HttpReply) => T | ChainFault,
    signal: AbortSignal,
  ): Promise<T | ChainFault> {
    const { exchange, url } = this.#parts;
    return exchange.ask(async (either) => {
      const reply = await exchange.send({ method: 'GET', url: `${url}${path}`, maxBytes }, either);
      return isFault(reply) ? reply : read(reply);
    }, signal);
  }

  /** A status other than 200; bitcoind says why in the body's first line. */
  #refused(asked: string, reply: HttpReply): ChainFault {
    const { service } = this.#parts;
    const says = quotedBody(reply.body);
    if (/pruned/i.test(says)) return prunedAway(service);
    if (reply.status === 404 && /not found/i.test(says)) return REORGANISED;
    const reason = `${service} refuses ${asked} (${reply.status}: ${says}): check that it runs with -rest; it is asked again by itself`;
    // Also what a node answers while it still starts.
    return { fault: /warm|loading|verifying|starting/i.test(says) ? 'warming_up' : 'garbage', reason };
  }

  /** With the reply that was to be read: also says when that is not even JSON. */
  #wrongShape(asked: string, reply?: HttpReply): ChainFault {
    const { service } = this.#parts;
    const isJson = reply === undefined || readJson(reply.body) !== undefined;
    const what = isJson ? 'something else' : 'something that is not JSON';
    const reason = `${service} answers ${asked} with ${what}: check that the address in utxo is bitcoind's RPC port`;
    return { fault: isJson ? 'wrong_shape' : 'garbage', reason };
  }
}

const blockSource = (chain: BitcoindRest, push: TipPush | undefined): BlockSource => ({
  name: 'bitcoind-rest',
  tip: async (signal) => {
    const tip = await chain.tip(signal);
    if (isFault(tip)) throw chainUnavailable(tip);
    return tip;
  },
  hashAt: async (height, signal) => {
    if (readHeight(height) === undefined) return undefined;
    const hash = await chain.bestHashAt(height, signal);
    if (isFault(hash)) throw chainUnavailable(hash);
    return hash;
  },
  rawBlock: async (hash, signal) => {
    const raw = await chain.rawBlock(hash, signal);
    if (isFault(raw)) throw chainUnavailable(raw);
    return raw;
  },
  onTip: push?.onTip,
});

/** Connects to nothing by itself: the first question does. */
export const openBitcoindRest = (options: BitcoindRestOptions): ChainBackend => {
  const { network, push, http, clock, log, meter, patience = CHAIN_PATIENCE } = options;
  const url = options.url.replace(/\/+$/, '');
  const service = `bitcoind at ${hostOf(url)}`;
  const health = new BackendHealth('bitcoind-rest', log, meter);
  const maxInFlight = MAX_REST_REQUESTS_IN_FLIGHT;
  const exchange = new HttpExchange({ http, clock, health, service, patience, maxInFlight });
  const gate = new ChainGate(network, service);
  const chain = new BitcoindRest({ exchange, health, gate, url, service });
  const rounds = new LookupRounds(bitcoindRound(chain, new BlockTxidsCache()));
  return {
    lookup: { name: 'bitcoind-rest', verifies: true, lookup: rounds.lookup },
    blocks: blockSource(chain, push),
    status: () => gate.status(health.status()),
    close: async () => {
      exchange.close();
      await Promise.all([rounds.close(), push?.close()]);
    },
  };
};
