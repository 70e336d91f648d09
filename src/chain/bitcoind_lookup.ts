/**
 * From short_channel_ids to outputs, the way both interfaces of bitcoind are asked: the hash at each height, the transaction ids
 * of each block (kept, see block_txids_cache), the outputs. Each thing is asked for once in a round, however many questions need it.
 *
 * What bitcoind_rpc and bitcoind_rest differ in is behind BitcoindChain. It vouches that an output was looked up while the block
 * stood in the best chain; a reorganisation in between is a fault, and the question comes back later.
 */
import { toHex } from '../base/bytes.ts';
import { type BlockTxidsCache, TXID_BYTES } from './block_txids_cache.ts';
import { type ChainFault, isFault, unavailable } from './chain_fault.ts';
import type { AnswerRound, Question } from './lookup_rounds.ts';
import type { UtxoResult } from './utxo_lookup.ts';

export interface Outpoint {
  /** As people write it. */
  readonly txid: string;
  readonly vout: number;
  /** The block that holds the transaction, as this round saw it. */
  readonly height: number;
  readonly blockHash: string;
}

/** `absent`: made by the block, and spent since, or the transaction has no such output. */
export type FoundOutput = { readonly script: Uint8Array; readonly satoshis: bigint } | 'absent';

/** All questions of one round; never rejects. Lists and maps answer each thing that was asked, unless the whole is a fault. */
export interface BitcoindChain {
  readonly hashesAt: (
    heights: readonly number[],
    signal: AbortSignal,
  ) => Promise<ReadonlyMap<number, string | 'above_tip' | ChainFault> | ChainFault>;
  /** The block's transaction ids, packed; the caller owns them. */
  readonly txidsOf: (
    hashes: readonly string[],
    signal: AbortSignal,
  ) => Promise<ReadonlyMap<string, Uint8Array | ChainFault>>;
  /** In the order of the outpoints. */
  readonly outputs: (
    outpoints: readonly Outpoint[],
    signal: AbortSignal,
  ) => Promise<readonly (FoundOutput | ChainFault)[]>;
}

const NO_BLOCK: UtxoResult = { found: 'none', why: 'no_block' };
const NO_TRANSACTION: UtxoResult = { found: 'none', why: 'no_transaction' };
/** bitcoind does not say whether the output was spent or never was. */
const ABSENT: UtxoResult = { found: 'none' };

const NOT_ANSWERED: ChainFault = { fault: 'wrong_shape', reason: 'bitcoind left a question open' };

/** Groups in order of first appearance. */
const groupBy = <T, K>(items: readonly T[], keyOf: (item: T) => K): Map<K, T[]> => {
  const groups = new Map<K, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return groups;
};

const settleAll = (questions: readonly Question[], result: UtxoResult): void => {
  for (const question of questions) question.settle(result);
};

/** The hashes of the blocks in question, with their questions; settles those that have no block. */
const findBlocks = async (
  chain: BitcoindChain,
  questions: readonly Question[],
  signal: AbortSignal,
): Promise<Map<string, Question[]>> => {
  const blocks = new Map<string, Question[]>();
  const byHeight = groupBy(questions, ({ height }) => height);
  const hashes = await chain.hashesAt([...byHeight.keys()], signal);
  if (isFault(hashes)) {
    settleAll(questions, unavailable(hashes));
    return blocks;
  }
  for (const [height, group] of byHeight) {
    const hash = hashes.get(height) ?? NOT_ANSWERED;
    if (isFault(hash)) settleAll(group, unavailable(hash));
    else if (hash === 'above_tip') settleAll(group, NO_BLOCK);
    else blocks.set(hash, group);
  }
  return blocks;
};

const asWritten = (packed: Uint8Array, index: number): string =>
  toHex(packed.slice(index * TXID_BYTES, (index + 1) * TXID_BYTES).reverse());

interface Wanted extends Outpoint {
  readonly question: Question;
  /** In the order in which it is hashed. */
  readonly txidBytes: Uint8Array;
}

/** The outpoints of the questions; settles those that name no transaction. */
const findTransactions = async (
  chain: BitcoindChain,
  cache: BlockTxidsCache,
  blocks: ReadonlyMap<string, readonly Question[]>,
  signal: AbortSignal,
): Promise<Wanted[]> => {
  const lists = new Map<string, Uint8Array | ChainFault>();
  for (const hash of blocks.keys()) {
    const known = cache.get(hash);
    if (known !== undefined) lists.set(hash, known);
  }
  const missing = [...blocks.keys()].filter((hash) => !lists.has(hash));
  if (missing.length > 0) {
    for (const [hash, txids] of await chain.txidsOf(missing, signal)) {
      lists.set(hash, txids);
      if (!isFault(txids)) cache.put(hash, txids);
    }
  }
  const wanted: Wanted[] = [];
  for (const [blockHash, questions] of blocks) {
    const txids = lists.get(blockHash) ?? NOT_ANSWERED;
    if (isFault(txids)) {
      settleAll(questions, unavailable(txids));
      continue;
    }
    for (const question of questions) {
      const { index, height, output: vout } = question;
      if (index >= txids.length / TXID_BYTES) {
        question.settle(NO_TRANSACTION);
        continue;
      }
      const txidBytes = txids.slice(index * TXID_BYTES, (index + 1) * TXID_BYTES);
      wanted.push({ question, txidBytes, txid: asWritten(txids, index), vout, height, blockHash });
    }
  }
  return wanted;
};

/** The AnswerRound of a bitcoind. */
export const bitcoindRound =
  (chain: BitcoindChain, cache: BlockTxidsCache): AnswerRound =>
  async (questions, signal) => {
    const blocks = await findBlocks(chain, questions, signal);
    if (blocks.size === 0) return;
    const wanted = await findTransactions(chain, cache, blocks, signal);
    // Several may ask for one output.
    const groups = [...groupBy(wanted, ({ txid, vout }) => `${txid}:${vout}`).values()];
    const outpoints = groups.flatMap(([first]) => (first === undefined ? [] : [first]));
    if (outpoints.length === 0) return;
    const outputs = await chain.outputs(outpoints, signal);
    for (const [index, group] of groups.entries()) {
      const output = outputs[index] ?? NOT_ANSWERED;
      for (const { question, txidBytes } of group) {
        if (isFault(output)) question.settle(unavailable(output));
        else if (output === 'absent') question.settle(ABSENT);
        else question.settle({ found: 'unspent', ...output, txid: txidBytes });
      }
    }
  };
