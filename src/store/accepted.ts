/**
 * Accepted: the only thing that the store's writer takes. Minted by ingest/ alone (scripts/layers enforces the import),
 * so nothing that was not judged can be stored, and so nothing that was not judged can be relayed or archived.
 */
import type { StoreOffset } from '../wire/store_record.ts';

declare const accepted: unique symbol;

/** A channel_announcement with the amount of its funding output. */
export interface AcceptedChannel {
  readonly kind: 'channel_announcement';
  /** The message as received, with the type and any unknown tail. Copied by the writer. */
  readonly raw: Uint8Array;
  /** Funding amount in satoshi; 0 says that no chain backend has verified the output. */
  readonly satoshis: bigint;
}

/** A channel_update; flags the one it replaces DELETED after its own record is published. */
export interface AcceptedUpdate {
  readonly kind: 'channel_update';
  readonly raw: Uint8Array;
  /** The field of the message, Unix seconds. */
  readonly timestamp: number;
  /** Message offset of the older update of this direction. */
  readonly replaces: StoreOffset | undefined;
  /** The channel's announcement while its header timestamp is still 0; it is given this update's. */
  readonly announcement: StoreOffset | undefined;
  /** The channel is dying: the record is flagged DYING from the start, like its siblings. */
  readonly isDying?: boolean;
}

/** A node_announcement, or a fresh copy of one. */
export interface AcceptedNode {
  readonly kind: 'node_announcement';
  readonly raw: Uint8Array;
  readonly timestamp: number;
  readonly replaces: StoreOffset | undefined;
}

/** A channel leaves: delete_chan is appended, then each listed record is flagged DELETED (an announcement with its amount). */
export interface AcceptedRemoval {
  readonly kind: 'delete_chan';
  /** Halves of the short_channel_id. */
  readonly scidHi: number;
  readonly scidLo: number;
  readonly remove: readonly StoreOffset[];
}

/** A channel's funding is spent: chan_dying is appended, then each listed record is flagged DYING. */
export interface AcceptedDying {
  readonly kind: 'chan_dying';
  readonly scidHi: number;
  readonly scidLo: number;
  /** Block height at which the channel is to be removed. */
  readonly deadline: number;
  /** The channel's chan_dying with another deadline; flagged DELETED once this one is published. */
  readonly replaces?: StoreOffset | undefined;
  readonly mark: readonly StoreOffset[];
}

export type AcceptedContent =
  | AcceptedChannel
  | AcceptedUpdate
  | AcceptedNode
  | AcceptedRemoval
  | AcceptedDying;

export type Accepted = AcceptedContent & { readonly [accepted]: true };

/** Vouches that the content passed every check. Called only from ingest/ (and tests of the store). */
export const mintAccepted = (content: AcceptedContent): Accepted => content as Accepted;
