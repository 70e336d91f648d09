/**
 * Lets a bitcoind answer only when it follows our chain, and remembers whether it still catches up with it: a node that is years
 * behind must not tell us that a channel's block does not exist.
 */
import type { NetworkName } from '../base/chain_hash.ts';
import { CHAIN_NAMES, type ChainInfo } from './bitcoind_values.ts';
import type { ChainBackendStatus } from './block_source.ts';
import type { ChainFault } from './chain_fault.ts';

export class ChainGate {
  readonly #network: NetworkName;
  readonly #service: string;
  #catchingUp: ChainFault | undefined;

  constructor(network: NetworkName, service: string) {
    this.#network = network;
    this.#service = service;
  }

  /** What to say of a height above the tip while the node does not have the whole chain. */
  get catchingUp(): ChainFault | undefined {
    return this.#catchingUp;
  }

  /** The backend's status, which is `connecting` while the node catches up. */
  status(health: ChainBackendStatus): ChainBackendStatus {
    if (health.state !== 'ok' || this.#catchingUp === undefined) return health;
    return { ...health, state: 'connecting', reason: this.#catchingUp.reason };
  }

  /** A fault when the node is on another chain. On regtest a chain whose last block is old counts as complete. */
  admit(info: ChainInfo): ChainFault | undefined {
    if (!CHAIN_NAMES[this.#network].includes(info.chain)) {
      const reason = `${this.#service} is on the chain "${info.chain.replace(/[^\w-]/g, '?')}" and gossipd on ${this.#network}: set network, or utxo to a node of ${this.#network}`;
      return { fault: 'wrong_chain', reason };
    }
    this.#catchingUp =
      info.isCatchingUp && this.#network !== 'regtest'
        ? {
            fault: 'catching_up',
            reason: `${this.#service} is at block ${info.height} and still catches up with the chain: wait, it is asked again by itself`,
          }
        : undefined;
    return undefined;
  }
}
