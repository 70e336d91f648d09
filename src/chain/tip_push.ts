/** How a backend that can only be asked gets a push beside it: zmq_blocks makes one, the RPC and REST backends pass it on. */

export interface TipPush {
  /** As BlockSource.onTip. */
  readonly onTip: (changed: () => void) => () => void;
  readonly close: () => Promise<void>;
}
