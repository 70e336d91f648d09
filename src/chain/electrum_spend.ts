/**
 * Is a proven output unspent, by the blocks that an Electrum server knows?
 *
 * electrum.ts calls it after electrum_output.ts. The server's list of unspent outputs leaves out what the mempool spends, so an output
 * that is missing there is looked for in the history of its script: a transaction in a block that spends it, proven by its merkle branch,
 * is `spent` with its height; one in the mempool does not count. A spend is thus proven, its absence is not: a server
 * can hide a spend, by naming the output unspent. A script with a longer history than MAX_SPENDER_CANDIDATES (no channel has one:
 * its keys are used once) is `spent` on the server's word, without a height.
 * Protocol: Electrum 1.4 (blockchain.scripthash.listunspent, get_history).
 */
import { sha256 } from '../crypto/hash.ts';
import {
  type ElectrumChainView,
  type ProvenOutput,
  proveInBlock,
  provenTransaction,
} from './electrum_output.ts';
import { asRecord } from './electrum_wire.ts';
import { Halt, haltFault, haltNone, haltUnavailable } from './halt.ts';
import { hashFromText, hashToText, isHashText } from './hash_text.ts';
import { spendsOutput } from './transaction_output.ts';

/** Transactions of a script's history that are fetched to see which one spends: each costs up to two questions. */
export const MAX_SPENDER_CANDIDATES = 16;

interface HistoryEntry {
  readonly txid: string;
  readonly height: number;
}

const listOf = (value: unknown): readonly unknown[] | undefined => (Array.isArray(value) ? value : undefined);

const askList = async (
  view: ElectrumChainView,
  method: string,
  scripthash: string,
): Promise<readonly unknown[] | Halt> => {
  const answer = await view.ask(method, [scripthash]);
  if (answer.kind === 'unavailable') return haltUnavailable(answer.reason);
  if (answer.kind === 'refused') {
    return haltUnavailable(
      `the Electrum server refused ${method} (${answer.message}); it is asked again by itself`,
    );
  }
  return listOf(answer.result) ?? haltFault('malformed', 'Electrum', `answered ${method} without a list`);
};

/** Entries that are none are left out; the list is as long as a line can be, so only what is needed is kept. */
const historyOf = (list: readonly unknown[]): readonly HistoryEntry[] =>
  list.flatMap((item) => {
    const { tx_hash, height } = asRecord(item) ?? {};
    if (!isHashText(tx_hash) || typeof height !== 'number' || !Number.isSafeInteger(height)) return [];
    return [{ txid: tx_hash.toLowerCase(), height }];
  });

/** The first of the candidates that spends the output; undefined when none does. */
const spenderAmong = async (
  view: ElectrumChainView,
  output: ProvenOutput,
  candidates: readonly HistoryEntry[],
): Promise<{ readonly txid: Uint8Array; readonly height: number } | Halt | undefined> => {
  for (const { txid: text, height } of candidates) {
    const txid = hashFromText(text);
    if (txid === undefined) continue;
    const transaction = await provenTransaction(view, txid);
    if (transaction instanceof Halt) return transaction;
    if (spendsOutput(transaction, output.txid, output.vout)) return { txid, height };
  }
  return undefined;
};

const LIST_AND_HISTORY_DIFFER = haltUnavailable(
  'the Electrum server lists the output neither as unspent nor as spent; it is asked again by itself',
);

/** The list has no such output: undefined when only the mempool spends it, else the Halt. */
const whoSpent = async (
  view: ElectrumChainView,
  output: ProvenOutput,
  history: readonly HistoryEntry[],
): Promise<Halt | undefined> => {
  const funding = hashToText(output.txid);
  const isFunded = history.some(({ txid, height }) => txid === funding && height === output.height);
  if (!isFunded)
    return haltFault('contradiction', 'Electrum', `leaves ${funding} out of the history of its own script`);
  const others = history.filter(({ txid }) => txid !== funding);
  const confirmed = others.filter(({ height }) => height >= output.height);
  const waiting = others.filter(({ height }) => height <= 0);
  const isLong = confirmed.length > MAX_SPENDER_CANDIDATES;
  if (!isLong) {
    const spender = await spenderAmong(view, output, confirmed);
    if (spender instanceof Halt) return spender;
    if (spender !== undefined) {
      return (await proveInBlock(view, spender.txid, spender.height)) ?? haltNone('spent', spender.height);
    }
  }
  if (waiting.length > MAX_SPENDER_CANDIDATES) {
    return haltUnavailable(
      'too many transactions of the script wait for a block; it is asked again by itself',
    );
  }
  const unconfirmed = await spenderAmong(view, output, waiting);
  if (unconfirmed !== undefined) return unconfirmed instanceof Halt ? unconfirmed : undefined;
  return isLong ? haltNone('spent') : LIST_AND_HISTORY_DIFFER;
};

/** Undefined when no block has spent the output, as far as the server tells; else a Halt with the answer to give. */
export const spendOf = async (view: ElectrumChainView, output: ProvenOutput): Promise<Halt | undefined> => {
  const scripthash = hashToText(sha256(output.script));
  const unspent = await askList(view, 'blockchain.scripthash.listunspent', scripthash);
  if (unspent instanceof Halt) return unspent;
  const funding = hashToText(output.txid);
  const isListed = unspent.some((item) => {
    const { tx_hash, tx_pos, height } = asRecord(item) ?? {};
    return tx_hash === funding && tx_pos === output.vout && typeof height === 'number' && height > 0;
  });
  if (isListed) return undefined;
  const history = await askList(view, 'blockchain.scripthash.get_history', scripthash);
  return history instanceof Halt ? history : whoSpent(view, output, historyOf(history));
};
