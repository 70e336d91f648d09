/** Mines blocks on the tip or beside it. Regtest's proof of work takes two tries on average. */
import type { Address, Block, ChainEntry, FullNode, Transaction } from './bcoin_surface.ts';
import type { MinedBlock } from './node_protocol.ts';

export class Miner {
  readonly #node: FullNode;
  readonly #address: Address;

  constructor(node: FullNode, address: Address) {
    this.#node = node;
    this.#address = address;
  }

  /** On the tip. The first block takes what the mempool has, unless they are to be empty. */
  async mine(count: number, empty: boolean): Promise<MinedBlock[]> {
    const mined: MinedBlock[] = [];
    for (let index = 0; index < count; index++) {
      mined.push((await this.#mineOn(this.#node.chain.tip, empty)).mined);
    }
    return mined;
  }

  /**
   * Mines `depth` + 1 empty blocks on the block that is `depth` below the tip: the last of them makes this the best chain.
   * What the blocks left behind had in them goes into the mempool, or nowhere.
   */
  async reorganise(depth: number, forget: boolean): Promise<MinedBlock[]> {
    const { chain, mempool } = this.#node;
    const fork = chain.height - depth;
    const dropped: Transaction[] = [];
    for (let height = fork + 1; height <= chain.height; height++) {
      dropped.push(...((await chain.getBlock(height))?.txs.slice(1) ?? []));
    }
    if (!forget) dropped.push(...[...mempool.map.values()].map(({ tx }) => tx));
    let parent = await chain.getEntry(fork);
    const mined: MinedBlock[] = [];
    for (let index = 0; index <= depth; index++) {
      if (parent === null) throw new Error(`there are no ${depth} blocks to leave behind`);
      const block = await this.#mineOn(parent, true);
      parent = block.entry;
      mined.push(block.mined);
    }
    if (chain.tip.rhash() !== mined.at(-1)?.hash) throw new Error('the longer chain is not the best one');
    for (const transaction of dropped) await this.#putBack(transaction, forget);
    return mined;
  }

  /** bcoin's mempool takes some back by itself, but none while it is empty, and nothing that descends from a coinbase. */
  async #putBack(transaction: Transaction, forget: boolean): Promise<void> {
    const { mempool } = this.#node;
    const entry = mempool.getEntry(transaction.hash('hex'));
    if (forget) {
      if (entry !== undefined) mempool.evictEntry(entry);
      return;
    }
    if (entry === undefined && (await mempool.addTX(transaction)) !== null)
      throw new Error(`the mempool does not take ${transaction.txid()} back`);
  }

  async block(height: number): Promise<MinedBlock & { readonly raw: string }> {
    const { chain } = this.#node;
    const [entry, block] = [await chain.getEntry(height), await chain.getBlock(height)];
    if (entry === null || block === null) throw new Error(`there is no block ${height}`);
    return { ...described(entry, block), raw: block.toRaw().toString('hex') };
  }

  async #mineOn(
    parent: ChainEntry,
    empty: boolean,
  ): Promise<{ readonly entry: ChainEntry; readonly mined: MinedBlock }> {
    const job = await this.#node.miner.cpu.createJob(parent, this.#address);
    if (empty) {
      job.attempt.items = [];
      job.attempt.fees = 0;
      job.refresh();
    }
    const block = await job.mineAsync();
    const entry = block === null ? null : await this.#node.chain.add(block);
    if (block === null || entry === null) throw new Error(`no block was added to ${parent.height}`);
    return { entry, mined: described(entry, block) };
  }
}

const described = (entry: ChainEntry, block: Block): MinedBlock => ({
  height: entry.height,
  hash: entry.rhash(),
  txids: block.txs.map((transaction) => transaction.txid()),
});
