/** What the tests use of bcoin, with types, because it has none. Loaded from the folder that install.ts made; never bundled. */
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

export type Address = { readonly __brand: 'bcoin address' };

export interface Script {
  toRaw(): Buffer;
}

export interface KeyRing {
  witness: boolean;
  readonly publicKey: Buffer;
  getAddress(): Address;
}

export interface Output {
  /** Satoshi. */
  readonly value: number;
  readonly script: Script;
}

export interface Transaction {
  readonly outputs: readonly Output[];
  /** Hex in the order in which it is hashed. */
  hash(encoding: 'hex'): string;
  /** As people write it. */
  txid(): string;
  toRaw(): Buffer;
}

export interface MutableTransaction {
  readonly inputs: readonly { readonly witness: Witness }[];
  addTX(transaction: Transaction, index: number): void;
  addOutput(to: Script | Address, satoshis: number): void;
  /** True if the ring's key signed every input. */
  sign(ring: KeyRing): number;
  /** One signature with its type byte; version 1 is BIP 143. */
  signature(
    index: number,
    script: Script,
    satoshis: number,
    secret: Buffer,
    type: number,
    version: 0 | 1,
  ): Buffer;
  verify(): boolean;
  toTX(): Transaction;
}

interface Witness {
  fromItems(items: readonly Buffer[]): Witness;
}

export interface Block {
  readonly txs: readonly Transaction[];
  toRaw(): Buffer;
}

export interface ChainEntry {
  readonly height: number;
  /** As people write it. */
  rhash(): string;
}

export interface MiningJob {
  readonly attempt: { items: unknown[]; fees: number };
  refresh(): void;
  mineAsync(): Promise<Block | null>;
}

export interface MempoolEntry {
  readonly tx: Transaction;
}

export interface FullNode {
  open(): Promise<void>;
  close(): Promise<void>;
  readonly chain: {
    readonly tip: ChainEntry;
    readonly height: number;
    readonly state: { hasWitness(): boolean };
    add(block: Block): Promise<ChainEntry | null>;
    getEntry(height: number): Promise<ChainEntry | null>;
    getBlock(height: number): Promise<Block | null>;
  };
  readonly mempool: {
    readonly map: ReadonlyMap<string, MempoolEntry>;
    /** Gives the hashes of inputs that it does not know, or null. Rejects for what breaks a rule. */
    addTX(transaction: Transaction): Promise<readonly string[] | null>;
    getEntry(hash: string): MempoolEntry | undefined;
    /** With everything that spends it. */
    evictEntry(entry: MempoolEntry): void;
  };
  readonly miner: {
    readonly cpu: { createJob(tip: ChainEntry, address: Address): Promise<MiningJob> };
  };
  readonly http: {
    readonly http: { closeAllConnections(): void };
    readonly config: { port: number };
    address(): AddressInfo;
    open(): Promise<unknown>;
    close(): Promise<void>;
  };
}

export interface FullNodeOptions {
  readonly network: 'regtest';
  readonly memory: true;
  readonly httpHost: string;
  /** 0: any free one. */
  readonly httpPort: number;
  /** The password; any user is let in with it. */
  readonly apiKey: string;
  readonly workers: false;
  /** No Bitcoin peers. */
  readonly listen: false;
  readonly logLevel: 'none';
}

export interface Bcoin {
  readonly FullNode: new (options: FullNodeOptions) => FullNode;
  readonly KeyRing: { fromPrivate(secret: Buffer, isCompressed: true): KeyRing };
  readonly MTX: new () => MutableTransaction;
  readonly Script: {
    /** Sorts the keys, lesser first. */
    fromMultisig(needed: number, of: number, keys: readonly Buffer[]): Script;
    fromRaw(raw: Buffer): Script;
    readonly hashType: { readonly ALL: number };
  };
}

/** The package in `folder`/node_modules, on its JavaScript cryptography: its native parts are not built. */
export const loadBcoin = (folder: string): Bcoin => {
  process.env['NODE_BACKEND'] = 'js';
  return createRequire(join(folder, 'package.json'))('bcoin') as Bcoin;
};
