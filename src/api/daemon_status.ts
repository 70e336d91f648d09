/**
 * What a daemon answers to the method `status` of its local socket: made by daemon/, shown by tools/, read by scripts.
 */
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
  readonly chain: { readonly backend: string; readonly verifies: boolean };
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
