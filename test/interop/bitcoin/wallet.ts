/**
 * Makes the two transactions of a channel's life: one that pays to 2-of-2 behind a witness script hash, one that spends it.
 * Scripts and signatures are bcoin's, so that ours are held against another hand's. Each funding takes one ripe coinbase.
 */
import { createHash } from 'node:crypto';
import type { Address, Bcoin, FullNode, KeyRing, MutableTransaction, Transaction } from './bcoin_surface.ts';

/** Satoshi; far above what a node asks for transactions of this size. */
const FEE = 10_000;
/** Blocks until a coinbase may be spent. */
const COINBASE_MATURITY = 100;

const P2WSH_HEAD = Buffer.from('0020', 'hex');

const sha256 = (bytes: Buffer): Buffer => createHash('sha256').update(bytes).digest();

export class Wallet {
  readonly address: Address;
  readonly #bcoin: Bcoin;
  readonly #node: FullNode;
  readonly #ring: KeyRing;
  /** Height of the next coinbase to spend. */
  #nextCoinbase = 1;
  /** What was funded, by txid. */
  readonly #funded = new Map<string, Transaction>();

  constructor(bcoin: Bcoin, node: FullNode) {
    this.#bcoin = bcoin;
    this.#node = node;
    this.#ring = bcoin.KeyRing.fromPrivate(Buffer.alloc(32, 7), true);
    this.#ring.witness = true;
    this.address = this.#ring.getAddress();
  }

  async fund(
    keys: readonly [string, string],
    satoshis: number,
    output: 0 | 1,
  ): Promise<{ readonly txid: string; readonly script: string }> {
    const { MTX, Script } = this.#bcoin;
    const witnessScript = Script.fromMultisig(
      2,
      2,
      keys.map((key) => Buffer.from(key, 'hex')),
    );
    const script = Buffer.concat([P2WSH_HEAD, sha256(witnessScript.toRaw())]);
    const coinbase = await this.#coinbase();
    const change = (coinbase.outputs[0]?.value ?? 0) - satoshis - FEE;
    if (change <= 0) throw new Error(`a channel of ${satoshis} sat is more than a coinbase pays`);
    const funding = new MTX();
    funding.addTX(coinbase, 0);
    if (output === 1) funding.addOutput(this.address, change);
    funding.addOutput(Script.fromRaw(script), satoshis);
    if (output === 0) funding.addOutput(this.address, change);
    if (funding.sign(this.#ring) !== 1) throw new Error('the coinbase cannot be signed for');
    const transaction = await this.#send(funding);
    this.#funded.set(transaction.txid(), transaction);
    return { txid: transaction.txid(), script: script.toString('hex') };
  }

  async spend(
    txid: string,
    output: 0 | 1,
    secrets: readonly [string, string],
  ): Promise<{ readonly txid: string }> {
    const { KeyRing, MTX, Script } = this.#bcoin;
    const funding = this.#funded.get(txid);
    const satoshis = funding?.outputs[output]?.value;
    if (funding === undefined || satoshis === undefined) throw new Error(`${txid} was not funded here`);
    const signers = secrets
      .map((hex) => Buffer.from(hex, 'hex'))
      .map((secret) => ({ secret, key: KeyRing.fromPrivate(secret, true).publicKey }))
      .sort((left, right) => Buffer.compare(left.key, right.key));
    const witnessScript = Script.fromMultisig(
      2,
      2,
      signers.map(({ key }) => key),
    );
    const spending = new MTX();
    spending.addTX(funding, output);
    spending.addOutput(this.address, satoshis - FEE);
    // The first item is what CHECKMULTISIG takes too many; the signatures stand in the order of the keys.
    spending.inputs[0]?.witness.fromItems([
      Buffer.alloc(0),
      ...signers.map(({ secret }) =>
        spending.signature(0, witnessScript, satoshis, secret, Script.hashType.ALL, 1),
      ),
      witnessScript.toRaw(),
    ]);
    return { txid: (await this.#send(spending)).txid() };
  }

  async #coinbase(): Promise<Transaction> {
    const height = this.#nextCoinbase++;
    if (this.#node.chain.height + 1 - height < COINBASE_MATURITY) throw new Error('no coinbase is ripe');
    const transaction = (await this.#node.chain.getBlock(height))?.txs[0];
    if (transaction === undefined) throw new Error(`there is no block ${height}`);
    return transaction;
  }

  async #send(draft: MutableTransaction): Promise<Transaction> {
    if (!draft.verify()) throw new Error('a signature does not hold');
    const transaction = draft.toTX();
    const missing = await this.#node.mempool.addTX(transaction);
    if (missing !== null) throw new Error(`the mempool misses ${missing.length} inputs`);
    return transaction;
  }
}
