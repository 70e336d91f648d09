/**
 * The chain backend over an Esplora server (Blockstream's electrs, mempool.space): plain HTTP questions, few at once.
 *
 * daemon/ opens it; ingest/ asks its lookup, block_follower.ts follows its blocks. The txid is computed again from the raw bytes, and a raw
 * block's hash from its header; where a transaction stands, and whether it is spent, is the server's word (docs/decisions/electrum.md:
 * who does not run the server himself is better off with Electrum, whose answers are proven). A block near the tip is asked
 * for again at the end of a lookup, so that no answer comes from a block that a reorganisation took away.
 * Bounds: those of esplora_requests.ts, MAX_ESPLORA_HASHES, MAX_ESPLORA_OUTPUTS.
 */
import { bytesEqual } from '../base/bytes.ts';
import { NETWORKS, type NetworkName } from '../base/chain_hash.ts';
import { OperationalError } from '../base/errors.ts';
import {
  type ShortChannelId,
  scidBlock,
  scidHi,
  scidLo,
  scidOutput,
  scidTransaction,
} from '../base/short_channel_id.ts';
import type { BlockSource, ChainBackend, ChainTip } from './block_source.ts';
import { EsploraRequests, type EsploraRequestsOptions } from './esplora_requests.ts';
import { Halt, haltFault, haltNone, haltUnavailable } from './halt.ts';
import { bytesFromHexText, hashFromText, hashToText } from './hash_text.ts';
import { HEADER_BYTES, isOldTip, readHeader } from './header_proof.ts';
import { MAX_BLOCK_BYTES } from './raw_block.ts';
import { RecentMap } from './recent_map.ts';
import { readTransaction, transactionOutput } from './transaction_output.ts';
import type { UtxoResult } from './utxo_lookup.ts';

/** Hashes of buried blocks by height. At some 150 bytes: 600 kB. */
export const MAX_ESPLORA_HASHES = 4096;
/** Outputs found lately, so that asking again for spends costs one or two requests. At some 500 bytes: 2 MB. */
export const MAX_ESPLORA_OUTPUTS = 4096;

/** Heights, hashes and the state of an output are short. */
const MAX_SHORT_BYTES = 4096;
/** How long a tip is good enough to say that a block is below it. */
const TIP_AGE_MS = 10_000;
/** Deeper blocks stay: a coinbase may not be spent sooner for the same reason. */
const BURIED_DEPTH = 100;
/** Longer scripts are no channel's and are not remembered. */
const MAX_REMEMBERED_SCRIPT_BYTES = 64;

export interface EsploraOptions extends EsploraRequestsOptions {
  /** When given, the server's first block must be that of this network. */
  readonly network?: NetworkName;
}

interface FoundOutput {
  readonly blockHash: string;
  readonly txid: Uint8Array;
  readonly script: Uint8Array;
  readonly satoshis: bigint;
}

const text = new TextDecoder();
const CHAIN_CHANGED = 'the chain changed while the question was answered; it is asked again by itself';

const esploraFault = (fault: Parameters<typeof haltFault>[0], what: string): Halt =>
  haltFault(fault, 'Esplora', what);

const parseJson = (body: Uint8Array): Readonly<Record<string, unknown>> | undefined => {
  try {
    const value: unknown = JSON.parse(text.decode(body));
    return typeof value === 'object' && value !== null
      ? Object.fromEntries(Object.entries(value))
      : undefined;
  } catch {
    return undefined;
  }
};

class EsploraBackend {
  readonly #options: EsploraOptions;
  readonly #requests: EsploraRequests;
  readonly #hashes = new RecentMap<number, string>(MAX_ESPLORA_HASHES);
  readonly #outputs = new RecentMap<ShortChannelId, FoundOutput>(MAX_ESPLORA_OUTPUTS);
  #height: { readonly value: number; readonly atMs: number } | undefined;
  #isNetworkKnown: boolean;

  constructor(options: EsploraOptions) {
    this.#options = options;
    this.#requests = new EsploraRequests(options);
    this.#isNetworkKnown = options.network === undefined;
  }

  readonly lookup = async (scid: ShortChannelId, signal: AbortSignal): Promise<UtxoResult> => {
    const found = await this.#find(scid, signal);
    if (!(found instanceof Halt)) {
      const { script, satoshis, txid } = found;
      return { found: 'unspent', script, satoshis, txid };
    }
    this.#convict(found);
    return found.result;
  };

  readonly tip = async (signal: AbortSignal): Promise<ChainTip> => {
    const height = this.#must(await this.#askHeight(signal));
    const hash = this.#must(await this.#askHash(height, signal));
    return { height, hash };
  };

  readonly hashAt = async (height: number, signal: AbortSignal): Promise<string | undefined> => {
    const tip = this.#must(await this.#heightFor(height, signal));
    return height > tip ? undefined : this.#must(await this.#hash(height, tip, signal));
  };

  readonly rawBlock = async (hash: string, signal: AbortSignal): Promise<Uint8Array> => {
    const path = `/block/${encodeURIComponent(hash)}/raw`;
    const body = this.#must(await this.#body(path, MAX_BLOCK_BYTES, signal));
    if (readHeader(body.subarray(0, HEADER_BYTES))?.hash === hash) return body;
    return this.#must<Uint8Array>(esploraFault('contradiction', `sent another block in place of ${hash}`));
  };

  readonly status = (): ReturnType<EsploraRequests['status']> => this.#requests.status();

  readonly close = (): Promise<void> => this.#requests.close();

  #convict({ fault, result }: Halt): void {
    if (fault === undefined || result.found !== 'unavailable') return;
    this.#requests.convict(fault, result.why ?? '');
  }

  #must<Value>(value: Value | Halt): Value {
    if (!(value instanceof Halt)) return value;
    this.#convict(value);
    const why = value.result.found === 'unavailable' ? (value.result.why ?? '') : '';
    const hint = 'It is asked again by itself; see the chain backend in the status.';
    throw new OperationalError('chain_unavailable', 'retry', why, hint);
  }

  /** An answer that must be there. */
  async #body(path: string, maxBytes: number, signal: AbortSignal): Promise<Uint8Array | Halt> {
    const reply = await (maxBytes <= MAX_SHORT_BYTES
      ? this.#requests.getShared(path, maxBytes, signal)
      : this.#requests.get(path, maxBytes, signal));
    if (reply.kind === 'found') return reply.body;
    if (reply.kind === 'unavailable') return haltUnavailable(reply.reason);
    return esploraFault('contradiction', `does not have ${path}, which it must have`);
  }

  /** Undefined when the server says that there is none. */
  async #hashText(path: string, signal: AbortSignal): Promise<string | Halt | undefined> {
    const reply = await this.#requests.getShared(path, MAX_SHORT_BYTES, signal);
    if (reply.kind === 'missing') return undefined;
    if (reply.kind === 'unavailable') return haltUnavailable(reply.reason);
    const hash = hashFromText(text.decode(reply.body).trim());
    return hash === undefined
      ? esploraFault('malformed', `answered ${path} without a hash`)
      : hashToText(hash);
  }

  async #askHeight(signal: AbortSignal): Promise<number | Halt> {
    const wrong = await this.#wrongNetwork(signal);
    if (wrong !== undefined) return wrong;
    const body = await this.#body('/blocks/tip/height', MAX_SHORT_BYTES, signal);
    if (body instanceof Halt) return body;
    const digits = text.decode(body).trim();
    if (!/^\d{1,8}$/.test(digits))
      return esploraFault('malformed', 'answered /blocks/tip/height without a number');
    const value = Number(digits);
    this.#height = { value, atMs: this.#options.clock.monotonicMs() };
    return value;
  }

  async #wrongNetwork(signal: AbortSignal): Promise<Halt | undefined> {
    const { network } = this.#options;
    if (network === undefined || this.#isNetworkKnown) return undefined;
    const hash = await this.#hashText('/block-height/0', signal);
    if (hash instanceof Halt) return hash;
    const genesis = hashFromText(hash);
    if (genesis !== undefined && bytesEqual(genesis, NETWORKS[network].chainHashBytes)) {
      this.#isNetworkKnown = true;
      return undefined;
    }
    return esploraFault(
      'contradiction',
      `does not serve the chain of ${network}, which gossipd is to follow`,
    );
  }

  /** A tip that is young enough to judge this height: never an old one to say that a block is above it. */
  async #heightFor(height: number, signal: AbortSignal): Promise<number | Halt> {
    const known = this.#height;
    const isYoung = known !== undefined && this.#options.clock.monotonicMs() - known.atMs < TIP_AGE_MS;
    return isYoung && height <= known.value ? known.value : this.#askHeight(signal);
  }

  /** At or below the tip, where there must be one. */
  async #askHash(height: number, signal: AbortSignal): Promise<string | Halt> {
    const hash = await this.#hashText(`/block-height/${height}`, signal);
    if (hash !== undefined) return hash;
    // The tip may have gone down with a reorganisation.
    this.#height = undefined;
    return esploraFault('contradiction', `has no block at height ${height}, below its own tip`);
  }

  async #hash(height: number, tip: number, signal: AbortSignal): Promise<string | Halt> {
    const known = this.#hashes.get(height);
    if (known !== undefined) return known;
    const hash = await this.#askHash(height, signal);
    if (!(hash instanceof Halt) && tip - height >= BURIED_DEPTH) this.#hashes.set(height, hash);
    return hash;
  }

  async #find(scid: ShortChannelId, signal: AbortSignal): Promise<FoundOutput | Halt> {
    const [hi, lo] = [scidHi(scid), scidLo(scid)];
    const height = scidBlock(hi);
    const tip = await this.#heightFor(height, signal);
    if (tip instanceof Halt) return tip;
    if (height > tip) return this.#noBlock(tip, signal);
    const blockHash = await this.#hash(height, tip, signal);
    if (blockHash instanceof Halt) return blockHash;
    const known = this.#outputs.get(scid);
    const answer =
      known?.blockHash === blockHash
        ? ((await this.#spend(known, scidOutput(lo), signal)) ?? known)
        : await this.#output(blockHash, scidTransaction(hi, lo), scidOutput(lo), signal);
    if (answer instanceof Halt && answer.result.found === 'unavailable') return answer;
    if (tip - height < BURIED_DEPTH) {
      const now = await this.#askHash(height, signal);
      if (now instanceof Halt) return now;
      if (now !== blockHash) return haltUnavailable(CHAIN_CHANGED);
    }
    if (!(answer instanceof Halt) && answer.script.length <= MAX_REMEMBERED_SCRIPT_BYTES) {
      this.#outputs.set(scid, answer);
    }
    return answer;
  }

  /** A server that still catches up with the chain must not say that a channel's block does not exist. */
  async #noBlock(tip: number, signal: AbortSignal): Promise<Halt> {
    const { clock, network } = this.#options;
    if (network === undefined || network === 'regtest') return haltNone('no_block');
    const hash = await this.#askHash(tip, signal);
    if (hash instanceof Halt) return hash;
    const body = await this.#body(`/block/${hash}/header`, MAX_SHORT_BYTES, signal);
    if (body instanceof Halt) return body;
    const raw = bytesFromHexText(text.decode(body).trim());
    const header = raw === undefined ? undefined : readHeader(raw);
    if (header?.hash !== hash) return esploraFault('malformed', `sent no header for ${hash}`);
    if (!isOldTip(header, clock.nowMs(), network)) return haltNone('no_block');
    return haltUnavailable(
      `the Esplora server is at block ${tip}, which is more than a day old; wait until it has caught up, or choose another server`,
    );
  }

  /** The output at this place, if no block has spent it. */
  async #output(
    blockHash: string,
    position: number,
    vout: number,
    signal: AbortSignal,
  ): Promise<FoundOutput | Halt> {
    const txidText = await this.#hashText(`/block/${blockHash}/txid/${position}`, signal);
    if (txidText === undefined) return haltNone('no_transaction');
    if (txidText instanceof Halt) return txidText;
    const txid = hashFromText(txidText);
    const raw = await this.#body(`/tx/${txidText}/raw`, MAX_BLOCK_BYTES, signal);
    if (raw instanceof Halt) return raw;
    const transaction = readTransaction(raw);
    if (transaction === undefined)
      return esploraFault('malformed', `sent bytes for ${txidText} that are no transaction`);
    if (txid === undefined || !bytesEqual(transaction.txid, txid)) {
      return esploraFault('wrong_transaction', `sent another transaction in place of ${txidText}`);
    }
    const output = transactionOutput(transaction, vout);
    if (output === undefined) return haltNone('no_output');
    const found = { blockHash, txid, ...output };
    return (await this.#spend(found, vout, signal)) ?? found;
  }

  /** Undefined when no block has spent it. */
  async #spend({ txid }: FoundOutput, vout: number, signal: AbortSignal): Promise<Halt | undefined> {
    const path = `/tx/${hashToText(txid)}/outspend/${vout}`;
    const body = await this.#body(path, MAX_SHORT_BYTES, signal);
    if (body instanceof Halt) return body;
    const { spent, status } = parseJson(body) ?? {};
    if (spent === false) return undefined;
    const { confirmed, block_height } =
      typeof status === 'object' && status !== null ? Object.fromEntries(Object.entries(status)) : {};
    if (spent !== true || typeof confirmed !== 'boolean') {
      return esploraFault('malformed', `answered ${path} without saying whether it is spent`);
    }
    if (!confirmed) return undefined;
    return Number.isSafeInteger(block_height) ? haltNone('spent', Number(block_height)) : haltNone('spent');
  }
}

/** Asks nothing until it is asked; never throws. */
export const openEsplora = (options: EsploraOptions): ChainBackend => {
  const { lookup, tip, hashAt, rawBlock, status, close } = new EsploraBackend(options);
  const blocks: BlockSource = { name: 'esplora', tip, hashAt, rawBlock, onTip: undefined };
  return { lookup: { name: 'esplora', verifies: true, lookup }, blocks, status, close };
};
