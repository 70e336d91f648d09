/**
 * chain_hash: the genesis block's hash in wire order, naming the chain a message speaks of (BOLT 0 and BOLT 7),
 * and what gossipd knows of each network it can run on.
 */
import { fromHex } from './bytes.ts';

/** Lowercase hex of the 32 bytes in wire order. */
export type ChainHash = string & { readonly __brand: 'ChainHash' };

export type NetworkName = 'bitcoin' | 'testnet' | 'testnet4' | 'signet' | 'regtest';

export interface Network {
  readonly name: NetworkName;
  readonly chain_hash: ChainHash;
  /** 32 bytes in wire order; never written to. */
  readonly chainHashBytes: Uint8Array;
  /** Default TCP port of Lightning peers. */
  readonly port: number;
  /** Funding depth from which a channel may be announced (BOLT 7: 6). */
  readonly announcementDepth: number;
}

const network = (name: NetworkName, port: number, chain_hash: string): Network => ({
  name,
  chain_hash: chain_hash as ChainHash,
  chainHashBytes: fromHex(chain_hash) ?? new Uint8Array(32),
  port,
  announcementDepth: 6,
});

export const NETWORKS: Readonly<Record<NetworkName, Network>> = {
  bitcoin: network('bitcoin', 9735, '6fe28c0ab6f1b372c1a6a246ae63f74f931e8365e15a089c68d6190000000000'),
  testnet: network('testnet', 19735, '43497fd7f826957108f4a30fd9cec3aeba79972084e90ead01ea330900000000'),
  testnet4: network('testnet4', 49735, '43f08bdab050e35b567c864b91f47f50ae725ae2de53bcfbbaf284da00000000'),
  signet: network('signet', 39735, 'f61eee3b63a380a477a063af32b2bbc97c9ff9f01f2c4225e973988108000000'),
  regtest: network('regtest', 19846, '06226e46111a0b59caaf126043eb5bbf28c34f3a5e332a1fc7b2b73cf188910f'),
};
