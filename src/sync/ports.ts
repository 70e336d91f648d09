/**
 * What sync/ asks of its neighbours. It knows no store and no sockets: daemon/ hands in things of these shapes.
 */
import type { StoreOffset, StoreRecord } from '../wire/store_record.ts';

/** Text for a warning to the peer (BOLT 1); the caller sends it. Undefined means that nothing was wrong. */
export type WarnText = string;

/** Reads stored messages by where they are. */
export interface MessageSource {
  /** A fresh copy of the live message at `offset`; undefined when it was deleted meanwhile. */
  readonly readMessage: (offset: StoreOffset) => Uint8Array | undefined;
}

/** Walks live records in file order. */
export interface RecordCursor {
  /** The next record, borrowed until the next call; undefined at the end of what is published. */
  readonly next: () => StoreRecord | undefined;
  readonly close: () => void;
}

/** The store as a relay sees it. */
export interface RelaySource extends MessageSource {
  readonly cursor: (from: 'start' | 'end') => RecordCursor;
}

/** A connected peer as the seeker sees it. */
export interface SyncPeerPort {
  /** For status and log. */
  readonly name: string;
  /** True when we chose it: those who came by themselves are asked after those, so that they cannot hold up a sync. */
  readonly outbound?: boolean;
  /** Feature map of its init message. */
  readonly features: Uint8Array;
  /** Takes a whole message with its type; must not keep the caller waiting. */
  readonly send: (raw: Uint8Array) => void;
}
