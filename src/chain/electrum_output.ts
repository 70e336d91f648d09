/**
 * Finds the output that a short_channel_id names on an Electrum server, and proves it: header, merkle branch, txid over the raw bytes.
 *
 * electrum.ts calls it with a way to ask. A step that does not hold ends with a Halt; nothing is believed that a hash can decide. What no
 * hash decides is absence: that a block has no transaction at a position is the server's word. It is taken only when
 * the server says so twice and shows, with a proof, another transaction of the same block in between, so that a passing fault is not absence.
 * Protocol: Electrum 1.4 (blockchain.block.header, blockchain.transaction.id_from_pos, get_merkle, get).
 */
import { bytesEqual } from '../base/bytes.ts';
import { CHAIN_CHANGED, type ElectrumHeaders } from './electrum_headers.ts';
import type { Ask, ElectrumAnswer } from './electrum_session.ts';
import { asRecord } from './electrum_wire.ts';
import { Halt, haltFault, haltNone, haltUnavailable } from './halt.ts';
import { bytesFromHexText, hashFromText, hashToText } from './hash_text.ts';
import type { BlockHeader } from './header_proof.ts';
import { MAX_MERKLE_BRANCH, merkleFault, NODE_BYTES } from './merkle_proof.ts';
import { readTransaction, type TransactionView, transactionOutput } from './transaction_output.ts';

export interface ElectrumChainView {
  readonly headers: ElectrumHeaders;
  readonly ask: Ask;
}

export interface OutputPlace {
  readonly height: number;
  readonly position: number;
  readonly vout: number;
}

export interface ProvenOutput {
  /** 32 bytes as hashed. */
  readonly txid: Uint8Array;
  readonly vout: number;
  readonly height: number;
  readonly script: Uint8Array;
  readonly satoshis: bigint;
}

const electrumFault = (fault: Parameters<typeof haltFault>[0], what: string): Halt =>
  haltFault(fault, 'Electrum', what);

/** A refusal is no answer either, where the server had to know. */
const noAnswer = (answer: Exclude<ElectrumAnswer, { kind: 'result' }>, what: string): Halt =>
  answer.kind === 'unavailable'
    ? haltUnavailable(answer.reason)
    : haltUnavailable(`the Electrum server refused ${what} (${answer.message}); it is asked again by itself`);

/** The judged header at a height that the tip has reached. */
export const headerAt = async (view: ElectrumChainView, height: number): Promise<BlockHeader | Halt> => {
  const tip = view.headers.tip;
  if (tip === undefined || height > tip.height) return haltUnavailable(CHAIN_CHANGED);
  const found = await view.headers.at(height, (at) => view.ask('blockchain.block.header', [at]));
  if (found.kind === 'header') return found.header;
  return found.kind === 'fault'
    ? electrumFault('bad_header', `is wrong: ${found.reason}`)
    : haltUnavailable(found.reason);
};

/** The branch of an answer, in the order in which it is hashed. */
const branchOf = (merkle: unknown): readonly Uint8Array[] | undefined => {
  if (!Array.isArray(merkle) || merkle.length > MAX_MERKLE_BRANCH) return undefined;
  const branch = merkle.map(hashFromText).filter((hash) => hash !== undefined);
  return branch.length === merkle.length ? branch : undefined;
};

/** The txid at a position as the server proves it; undefined when the server refuses; Halt when it lies or is away. */
const provenTxid = async (
  view: ElectrumChainView,
  header: Promise<BlockHeader | Halt>,
  height: number,
  position: number,
): Promise<Uint8Array | Halt | undefined> => {
  const answer = await view.ask('blockchain.transaction.id_from_pos', [height, position, true]);
  if (answer.kind === 'unavailable') return haltUnavailable(answer.reason);
  const judged = await header;
  if (judged instanceof Halt) return judged;
  if (answer.kind === 'refused') return undefined;
  // Blockstream's electrs and electrs up to 0.9 say tx_id, everybody else tx_hash.
  const { tx_hash, tx_id, merkle } = asRecord(answer.result) ?? {};
  const txid = hashFromText(tx_hash ?? tx_id);
  const branch = branchOf(merkle);
  if (txid === undefined || branch === undefined) {
    return electrumFault('malformed', 'sent a transaction place without a hash and a branch');
  }
  const fault = merkleFault(txid, position, branch, judged.merkleRoot);
  if (fault === undefined) return txid;
  return electrumFault('false_proof', `sent a proof that does not hold for ${height}:${position} (${fault})`);
};

/** The transaction of these bytes must be the one that was asked for. */
export const provenTransaction = async (
  view: ElectrumChainView,
  txid: Uint8Array,
): Promise<TransactionView | Halt> => {
  const text = hashToText(txid);
  const answer = await view.ask('blockchain.transaction.get', [text]);
  if (answer.kind !== 'result') return noAnswer(answer, `the transaction ${text}`);
  const raw = bytesFromHexText(answer.result);
  const transaction = raw === undefined ? undefined : readTransaction(raw);
  if (transaction === undefined)
    return electrumFault('malformed', `sent bytes for ${text} that are no transaction`);
  if (!bytesEqual(transaction.txid, txid) || transaction.strippedBytes === NODE_BYTES) {
    return electrumFault('wrong_transaction', `sent another transaction in place of ${text}`);
  }
  return transaction;
};

/** Proves that a block at this height holds the transaction: undefined. Else the Halt. */
export const proveInBlock = async (
  view: ElectrumChainView,
  txid: Uint8Array,
  height: number,
): Promise<Halt | undefined> => {
  const header = headerAt(view, height);
  const text = hashToText(txid);
  const answer = await view.ask('blockchain.transaction.get_merkle', [text, height]);
  const judged = await header;
  if (judged instanceof Halt) return judged;
  if (answer.kind !== 'result') return noAnswer(answer, `the proof of ${text}`);
  const { merkle, pos } = asRecord(answer.result) ?? {};
  const branch = branchOf(merkle);
  if (branch === undefined || typeof pos !== 'number' || !Number.isSafeInteger(pos)) {
    return electrumFault('malformed', `sent no proof for ${text}`);
  }
  const fault = merkleFault(txid, pos, branch, judged.merkleRoot);
  if (fault === undefined) return undefined;
  return electrumFault('false_proof', `sent a proof that does not hold for ${text} (${fault})`);
};

/** The server refused the position: is that because the block ends before it? */
const confirmAbsence = async (
  view: ElectrumChainView,
  header: Promise<BlockHeader | Halt>,
  { height, position }: OutputPlace,
): Promise<Uint8Array | Halt> => {
  const [first, again] = await Promise.all([
    provenTxid(view, header, height, 0),
    provenTxid(view, header, height, position),
  ]);
  if (again !== undefined) return again;
  if (first instanceof Halt) return first;
  if (first !== undefined && position > 0) return haltNone('no_transaction');
  return haltUnavailable(
    `the Electrum server cannot show the first transaction of block ${height}; it is asked again by itself, and needs a server that knows id_from_pos`,
  );
};

/** The proven output at or below the tip, or a Halt with the answer to give. Asks two questions at once, then one. */
export const provenOutput = async (
  view: ElectrumChainView,
  place: OutputPlace,
): Promise<ProvenOutput | Halt> => {
  const { height, position, vout } = place;
  const header = headerAt(view, height);
  const said = await provenTxid(view, header, height, position);
  const txid = said ?? (await confirmAbsence(view, header, place));
  if (txid instanceof Halt) return txid;
  const transaction = await provenTransaction(view, txid);
  if (transaction instanceof Halt) return transaction;
  const output = transactionOutput(transaction, vout);
  return output === undefined ? haltNone('no_output') : { txid, vout, height, ...output };
};
