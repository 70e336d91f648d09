/**
 * A bitcoin chain in memory for tests of the chain backends: blocks of real bytes over the real genesis of regtest, a mempool,
 * the set of outputs, reorganisations. Fake servers (bitcoind, Electrum, Esplora) serve it; nothing here knows of them.
 *
 *   const chain = new FakeChain(1);
 *   const funding = chain.fundChannel(key1, key2, 100_000n);   // in the mempool
 *   chain.mine();                                              // in a block: chain.scidOf(funding)
 *   chain.spend(funding); chain.mine();                        // closed, with the real witness script
 *   chain.reorganise(2);                                       // the last two blocks go, three others come
 *
 * Deterministic by seed. Funding inputs spend outputs that nobody made: the chain checks nothing but its own bookkeeping.
 * Hashes and txids are text as people write them.
 */
import { concatBytes } from '../../src/base/bytes.ts';
import { seededRng } from '../../src/base/rng.ts';
import { type ShortChannelId, scidFromParts } from '../../src/base/short_channel_id.ts';
import { doubleSha256 } from '../../src/crypto/hash.ts';
import {
  compactSize,
  type FakeOutput,
  type FakeTx,
  fromText,
  fundingWitnessScript,
  madeUpSignature,
  makeCoinbase,
  makeHeader,
  makeTx,
  merkleBranch,
  p2wpkh,
  p2wsh,
  regtestGenesis,
  scripthashOf,
  toText,
} from './fake_block.ts';

export interface FakeBlock {
  readonly height: number;
  readonly hash: string;
  readonly previous: string;
  readonly header: Uint8Array;
  readonly txs: readonly FakeTx[];
  readonly txids: readonly string[];
  readonly raw: Uint8Array;
}

export interface FakeUnspent extends FakeOutput {
  readonly txid: string;
  readonly vout: number;
  readonly height: number;
  readonly isCoinbase: boolean;
  /** Where a block has spent it. */
  readonly spentBy?: { readonly txid: string; readonly vin: number; readonly height: number };
}

/** A channel's funding output, from the mempool on. */
export interface FakeFunding extends FakeOutput {
  readonly tx: FakeTx;
  readonly vout: number;
  readonly witnessScript: Uint8Array;
}

export interface FundOptions {
  /** Output index; else one of 0 to 2 by the seed. */
  readonly vout?: number;
  /** In place of the funding script, to fund something that is no channel. */
  readonly script?: Uint8Array;
}

export interface ReorganiseOptions {
  /**
   * What becomes of the transactions of the dropped blocks: mined again in the first new block (`return`, the default), left
   * in the mempool (`hold`), or gone with everything that spends them (`drop`).
   */
  readonly transactions?: 'return' | 'hold' | 'drop';
  /** How many blocks come in place of the dropped ones; depth + 1 unless told. */
  readonly blocks?: number;
}

const FIRST_TIME = 1_600_000_000;
const BLOCK_SECONDS = 600;

const outpoint = (txid: string, vout: number): string => `${txid}:${vout}`;

export class FakeChain {
  /** Transactions that no block holds, in order of arrival. */
  readonly mempool: FakeTx[] = [];
  readonly #rng;
  readonly #best: FakeBlock[] = [];
  /** Every block that ever was, as a node keeps stale ones. */
  readonly #known = new Map<string, FakeBlock>();
  readonly #outputs = new Map<string, FakeUnspent>();
  /** Confirmed transactions of the best chain. */
  readonly #places = new Map<string, { height: number; index: number; tx: FakeTx }>();
  readonly #scripthashes = new Map<Uint8Array, string>();
  readonly #listeners = new Set<() => void>();
  #nonce = 0;

  constructor(seed = 1, blocks = 1) {
    this.#rng = seededRng(seed);
    const { header, coinbase } = regtestGenesis();
    this.#connect(this.#join(0, '00'.repeat(32), header, [coinbase]));
    for (let index = 0; index < blocks; index++) this.mine();
  }

  get height(): number {
    return this.#best.length - 1;
  }

  get tip(): { readonly height: number; readonly hash: string } {
    return { height: this.height, hash: this.#at(this.height).hash };
  }

  hashAt(height: number): string | undefined {
    return this.#best[height]?.hash;
  }

  /** Also blocks that were reorganised away; see isBest. */
  block(hash: string): FakeBlock | undefined {
    return this.#known.get(hash);
  }

  isBest(hash: string): boolean {
    const block = this.#known.get(hash);
    return block !== undefined && this.hashAt(block.height) === hash;
  }

  rawBlock(hash: string): Uint8Array | undefined {
    return this.#known.get(hash)?.raw;
  }

  /** 80 bytes. */
  header(height: number): Uint8Array | undefined {
    return this.#best[height]?.header;
  }

  /** An output that a block of the best chain made, spent or not. */
  output(txid: string, vout: number): FakeUnspent | undefined {
    return this.#outputs.get(outpoint(txid, vout));
  }

  /** A transaction of the best chain with its place, or one of the mempool with height undefined. */
  transaction(
    txid: string,
  ): { readonly tx: FakeTx; readonly height: number | undefined; readonly index: number } | undefined {
    const place = this.#places.get(txid);
    if (place !== undefined) return place;
    const index = this.mempool.findIndex((tx) => tx.txid === txid);
    const tx = this.mempool[index];
    return tx === undefined ? undefined : { tx, height: undefined, index };
  }

  /** The branch of a transaction of the best chain, in Electrum's form: lowest first, as people write hashes. */
  merkleProof(
    height: number,
    index: number,
  ): { readonly merkle: string[]; readonly pos: number } | undefined {
    const block = this.#best[height];
    if (block?.txids[index] === undefined) return undefined;
    return { merkle: merkleBranch(block.txids.map(fromText), index), pos: index };
  }

  /** Transactions that pay to or spend from a script, in order of the chain, then those of the mempool (height 0). */
  history(scripthash: string): { readonly txid: string; readonly height: number }[] {
    const touches = (tx: FakeTx): boolean =>
      tx.outputs.some(({ script }) => this.#scripthash(script) === scripthash) ||
      tx.inputs.some(({ txid, vout }) => {
        const spent = this.transaction(txid)?.tx.outputs[vout];
        return spent !== undefined && this.#scripthash(spent.script) === scripthash;
      });
    const confirmed = this.#best.flatMap(({ height, txs }) =>
      txs.filter(touches).map(({ txid }) => ({ txid, height })),
    );
    return [...confirmed, ...this.mempool.filter(touches).map(({ txid }) => ({ txid, height: 0 }))];
  }

  /** Called after each change of the tip; answers with how to stop it. */
  onTip(changed: () => void): () => void {
    this.#listeners.add(changed);
    return () => this.#listeners.delete(changed);
  }

  /** Puts a transaction with a P2WSH two-of-two output into the mempool; keys of 33 bytes in any order. */
  fundChannel(key1: Uint8Array, key2: Uint8Array, satoshis: bigint, options: FundOptions = {}): FakeFunding {
    const witnessScript = fundingWitnessScript(key1, key2);
    const script = options.script ?? p2wsh(witnessScript);
    const vout = options.vout ?? Math.floor(this.#rng.fraction() * 3);
    const outputs: FakeOutput[] = Array.from({ length: vout + 2 }, () => ({
      satoshis: BigInt(1000 + Math.floor(this.#rng.fraction() * 1_000_000)),
      script: p2wpkh(this.#rng.bytes(20)),
    }));
    outputs[vout] = { satoshis, script };
    const tx = this.#foreign(outputs, true);
    this.mempool.push(tx);
    return { tx, vout, witnessScript, satoshis, script };
  }

  /** Puts a transaction of no interest into the mempool; every other one has no witness. */
  filler(count = 1): void {
    for (let index = 0; index < count; index++) {
      const output = { satoshis: 12_345n, script: p2wpkh(this.#rng.bytes(20)) };
      this.mempool.push(this.#foreign([output], index % 2 === 0));
    }
  }

  /** Puts the spend of a funding output into the mempool: witness of nothing, two signatures and the witness script. */
  spend(funding: FakeFunding): FakeTx {
    const { tx, vout, witnessScript, satoshis } = funding;
    const signatures = [madeUpSignature(this.#rng.bytes(62)), madeUpSignature(this.#rng.bytes(62))];
    const spending = makeTx({
      inputs: [{ txid: tx.txid, vout, witness: [new Uint8Array(0), ...signatures, witnessScript] }],
      outputs: [{ satoshis: satoshis > 300n ? satoshis - 300n : 0n, script: p2wpkh(this.#rng.bytes(20)) }],
    });
    this.mempool.push(spending);
    return spending;
  }

  /** Where the best chain holds a funding output now; undefined while it is in the mempool or gone. */
  scidOf(funding: FakeFunding): ShortChannelId | undefined {
    const place = this.#places.get(funding.tx.txid);
    return place === undefined ? undefined : scidFromParts(place.height, place.index, funding.vout);
  }

  /** Funds and mines channels in one block, in this order, with random keys. */
  fundAndMine(...satoshis: readonly bigint[]): { funding: FakeFunding; scid: ShortChannelId }[] {
    const fundings = satoshis.map((value) => this.fundChannel(this.#key(), this.#key(), value));
    this.mine();
    return fundings.map((funding) => ({ funding, scid: this.scidOf(funding) ?? scidFromParts(0, 0, 0) }));
  }

  /** A block of the whole mempool, or of exactly these transactions (which leave the mempool). */
  mine(txs: readonly FakeTx[] = [...this.mempool]): FakeBlock {
    const block = this.#mineQuietly(txs);
    this.#announce();
    return block;
  }

  /** Drops the last `depth` blocks and mines others in their place; listeners hear of it once, at the end. */
  reorganise(depth: number, options: ReorganiseOptions = {}): void {
    const { transactions = 'return', blocks = depth + 1 } = options;
    if (depth >= this.#best.length) throw new Error('the genesis block stays');
    const returned: FakeTx[] = [];
    for (let index = 0; index < depth; index++) returned.unshift(...this.#disconnect());
    if (transactions === 'drop') this.#dropSpendersOf(new Set(returned.map(({ txid }) => txid)));
    else this.mempool.unshift(...returned);
    for (let index = 0; index < blocks; index++) {
      this.#mineQuietly(index === 0 && transactions === 'return' ? returned : []);
    }
    this.#announce();
  }

  #at(height: number): FakeBlock {
    const block = this.#best[height];
    if (block === undefined) throw new Error(`no block at ${height}`);
    return block;
  }

  #announce(): void {
    for (const changed of this.#listeners) changed();
  }

  /** 33 bytes with the head of a compressed point. */
  #key(): Uint8Array {
    return concatBytes(Uint8Array.of(2), this.#rng.bytes(32));
  }

  #foreign(outputs: readonly FakeOutput[], isSegwit: boolean): FakeTx {
    const witness = isSegwit ? [madeUpSignature(this.#rng.bytes(62)), this.#key()] : [];
    return makeTx({ inputs: [{ txid: toText(this.#rng.bytes(32)), vout: 0, witness }], outputs });
  }

  #scripthash(script: Uint8Array): string {
    const known = this.#scripthashes.get(script);
    if (known !== undefined) return known;
    const hash = scripthashOf(script);
    this.#scripthashes.set(script, hash);
    return hash;
  }

  #join(height: number, previous: string, header: Uint8Array, txs: readonly FakeTx[]): FakeBlock {
    return {
      height,
      previous,
      header,
      hash: toText(doubleSha256(header)),
      txs,
      txids: txs.map(({ txid }) => txid),
      raw: concatBytes(header, compactSize(txs.length), ...txs.map(({ raw }) => raw)),
    };
  }

  #mineQuietly(txs: readonly FakeTx[]): FakeBlock {
    const height = this.#best.length;
    const { hash: previous } = this.#at(height - 1);
    const nonce = this.#nonce++;
    const coinbase = makeCoinbase(
      height,
      this.#rng.bytes(8),
      txs.map(({ wtxid }) => wtxid),
    );
    const all = [coinbase, ...txs];
    const time = FIRST_TIME + height * BLOCK_SECONDS;
    const txids = all.map(({ txid }) => txid);
    const block = this.#join(height, previous, makeHeader(previous, txids, time, nonce), all);
    this.#connect(block);
    return block;
  }

  #connect(block: FakeBlock): void {
    const { height } = block;
    this.#best.push(block);
    this.#known.set(block.hash, block);
    const mined = new Set(block.txids);
    for (let index = this.mempool.length - 1; index >= 0; index--) {
      if (mined.has(this.mempool[index]?.txid ?? '')) this.mempool.splice(index, 1);
    }
    for (const [index, tx] of block.txs.entries()) {
      const { txid } = tx;
      this.#places.set(txid, { height, index, tx });
      for (const [vin, input] of tx.inputs.entries()) {
        const key = outpoint(input.txid, input.vout);
        const spent = this.#outputs.get(key);
        if (spent !== undefined) this.#outputs.set(key, { ...spent, spentBy: { txid, vin, height } });
      }
      for (const [vout, output] of tx.outputs.entries()) {
        this.#outputs.set(outpoint(txid, vout), { ...output, txid, vout, height, isCoinbase: index === 0 });
      }
    }
  }

  /** Takes the last block off; its transactions but the coinbase. */
  #disconnect(): FakeTx[] {
    const block = this.#best.pop();
    if (block === undefined) return [];
    for (const tx of [...block.txs].reverse()) {
      this.#places.delete(tx.txid);
      for (const vout of tx.outputs.keys()) this.#outputs.delete(outpoint(tx.txid, vout));
      for (const input of tx.inputs) {
        const key = outpoint(input.txid, input.vout);
        const spent = this.#outputs.get(key);
        if (spent === undefined) continue;
        const { spentBy: _, ...unspent } = spent;
        this.#outputs.set(key, unspent);
      }
    }
    return block.txs.slice(1);
  }

  #dropSpendersOf(gone: Set<string>): void {
    for (let index = 0; index < this.mempool.length; index++) {
      const tx = this.mempool[index];
      if (tx === undefined || !tx.inputs.some(({ txid }) => gone.has(txid))) continue;
      gone.add(tx.txid);
      this.mempool.splice(index, 1);
      index = -1;
    }
  }
}
