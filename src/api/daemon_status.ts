/**
 * What a daemon answers to the method `status` of its local socket: made by daemon/, shown by tools/, read by scripts.
 */
import type { MannersStatus } from '../ingest/ingest.ts';
import type { PeerSetStatus } from '../peer/peer_set.ts';
import type { SeekerStatus } from '../sync/seeker_status.ts';

export interface PeerStatus {
  readonly node_id: string;
  readonly address: string;
  readonly direction: 'in' | 'out';
  readonly connected_seconds: number;
  readonly bytes_in: number;
  readonly bytes_out: number;
  readonly messages_in: number;
  readonly messages_out: number;
  /** Bytes of gossip messages that it sent, and of those that were accepted. */
  readonly offered_bytes: number;
  readonly useful_bytes: number;
  /** The share of the second in the first, 0 to 1; 0 before any. */
  readonly useful_ratio: number;
  /** Of the quickest answered ping; null before the first. */
  readonly latency_ms: number | null;
  /** Memory that is held for it. */
  readonly memory_bytes: number;
}

export interface ChainStatus {
  readonly backend: string;
  readonly verifies: boolean;
  /** `ok`, `connecting` or `unavailable`. */
  readonly state: string;
  /** Why it is not ok, with the next step; else empty. */
  readonly reason: string;
  readonly requests: number;
  readonly failures: number;
  /** Of the last block that was looked at; null before the first, and without a backend that follows a chain. */
  readonly height: number | null;
  readonly hash: string;
  /** Blocks to the tip. */
  readonly behind: number;
  /** Channels whose output is spent, on their way out. */
  readonly dying_channels: number;
  readonly spends_seen: number;
  /** Accepted without a chain, and vouched for by it since; what is left of that; questions that wait for an answer. */
  readonly verified_channels: number;
  readonly verifying_left: number;
  readonly questions_waiting: number;
  /** Channels known to be closed, and those pruned for want of updates: neither is asked for. */
  readonly closed_scids: number;
  readonly zombies: number;
}

export interface DaemonStatus {
  readonly version: string;
  readonly network: string;
  readonly node_id: string;
  readonly listening: readonly string[];
  readonly uptime_seconds: number;
  readonly sync: SeekerStatus;
  readonly channels: number;
  readonly half_channels: number;
  /** Channels that the store held at the start. */
  readonly loaded_channels: number;
  readonly nodes: number;
  readonly node_announcements: number;
  readonly capacity_sat: number;
  readonly signatures_checked: number;
  readonly signature_engine: string;
  /** Messages that broke a rule. */
  readonly rejected: number;
  /** Verdicts by reason code, without the zeros. */
  readonly verdicts: Readonly<Record<string, number>>;
  readonly ingest_backlog: number;
  readonly chain: ChainStatus;
  /** Whom we talk to, know of, and have banned. */
  readonly connections: PeerSetStatus;
  /** Budgets of message origins, repeats and the blacklist. */
  readonly manners: MannersStatus;
  /** Accepted messages that break a rule for their origin, by code, without the zeros. */
  readonly lint: Readonly<Record<string, number>>;
  readonly store: {
    readonly path: string;
    readonly bytes: number;
    readonly durable_bytes: number;
    /** Of `bytes`, those of deleted records. */
    readonly dead_bytes: number;
    readonly version: number;
    readonly state: string;
    readonly reason: string;
    /** How often the file was written anew since the start: compactions and repairs. */
    readonly rewrites: number;
    /** Damaged ranges that were found at the start and since. */
    readonly damaged_ranges: number;
    /** Path of the index of damaged bytes that were set aside; empty without any. */
    readonly quarantine: string;
  };
  readonly received_bytes: number;
  readonly sent_bytes: number;
  readonly rss_bytes: number;
  /** Processor time of the process since its start, all threads. */
  readonly cpu_seconds: number;
  readonly peers: readonly PeerStatus[];
}
