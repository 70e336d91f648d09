/**
 * Shows how far the first sync is, and says once when it is complete: a status row on a terminal, otherwise a line every few
 * seconds; after the first sync one summary line a minute.
 */

import type { DaemonStatus } from '../api/daemon_status.ts';
import type { Log } from '../base/log.ts';
import type { LineOutput } from '../observe/line_output.ts';
import { DRAW_INTERVAL_MS, durationText, PLAIN_INTERVAL_MS } from '../observe/progress_line.ts';
import type { Daemon } from './daemon.ts';

const SUMMARY_INTERVAL_MS = 60_000;
const BAR_CELLS = 24;
/** Without any connection for this long, the operator is told in plain words. */
const LONELY_AFTER_MS = 20_000;

const grouped = (value: number): string => Math.floor(value).toLocaleString('en-US');

export interface ProgressView {
  readonly percent: number;
  readonly channels: number;
  readonly wanted: number;
  readonly messages: number;
  /** Per second, over the last moments. */
  readonly signatureRate: number;
  readonly etaSeconds: number | undefined;
  readonly peers: number;
  readonly state: string;
}

/** One row, e.g. `[######----] 63 % of 50,808 channels, 71,204 messages, 28,400 signatures/s, 12 s left`. */
export const progressRowText = (view: ProgressView): string => {
  if (view.wanted === 0) {
    return `sync: ${view.state.replaceAll('_', ' ')}, ${view.peers} peers, ${grouped(view.messages)} messages`;
  }
  const full = Math.round((Math.min(100, view.percent) / 100) * BAR_CELLS);
  const left = view.etaSeconds === undefined ? '' : `, ${durationText(view.etaSeconds)} left`;
  return (
    `[${'#'.repeat(full)}${'-'.repeat(BAR_CELLS - full)}] ${Math.floor(view.percent)} % of ${grouped(view.wanted)} channels, ` +
    `${grouped(view.messages)} messages, ${grouped(view.signatureRate)} signatures/s${left}`
  );
};

/** The summary after the first sync. */
export const summaryText = (status: DaemonStatus, seconds: number): string =>
  `synced: ${grouped(status.channels)} channels, ${grouped(status.nodes)} nodes, ${grouped(status.half_channels)} updates; ` +
  `${grouped(status.signatures_checked)} signatures checked in ${seconds.toFixed(1)} s ` +
  `(${grouped(status.signatures_checked / Math.max(seconds, 0.001))}/s, ${status.signature_engine}), ` +
  `${(status.received_bytes / 1e6).toFixed(1)} MB received from ${status.peers.length} peers, ${status.rejected} messages refused; ` +
  `store ${status.store.path} (${(status.store.bytes / 1e6).toFixed(1)} MB)`;

export class SyncProgress {
  readonly #daemon: Daemon;
  readonly #log: Log;
  readonly #output: LineOutput;
  readonly #show: boolean;
  #cancel: () => void = () => {};
  #onFirstSync: ((status: DaemonStatus, seconds: number) => void) | undefined;
  #lastSignatures = 0;
  #lastAtMs: number;
  #rate = 0;
  #nextPlainAtMs: number;
  #nextSummaryAtMs = Number.POSITIVE_INFINITY;
  #lonelyToldAtMs = 0;
  readonly #startedMs: number;

  /** @param show false: only the summary. */
  constructor(daemon: Daemon, log: Log, output: LineOutput, show: boolean) {
    this.#daemon = daemon;
    this.#log = log;
    this.#output = output;
    this.#show = show;
    this.#startedMs = daemon.parts.clock.monotonicMs();
    this.#lastAtMs = this.#startedMs;
    this.#nextPlainAtMs = this.#startedMs + 2_000;
    this.#arm();
  }

  /** Called once, with the seconds from start to the complete first sync. */
  onFirstSync(heard: (status: DaemonStatus, seconds: number) => void): void {
    this.#onFirstSync = heard;
  }

  stop(): void {
    this.#cancel();
    this.#output.status(undefined);
  }

  #arm(): void {
    this.#cancel = this.#daemon.parts.clock.after(2 * DRAW_INTERVAL_MS, () => {
      this.#tick();
      this.#arm();
    });
  }

  #tick(): void {
    const { clock, seeker, peers } = this.#daemon.parts;
    const now = clock.monotonicMs();
    if (this.#onFirstSync !== undefined && seeker.status().complete) return this.#synced(now);
    if (this.#onFirstSync === undefined) {
      if (now >= this.#nextSummaryAtMs) this.#summary(now);
      return;
    }
    if (peers.ready.length === 0 && now - Math.max(this.#startedMs, this.#lonelyToldAtMs) > LONELY_AFTER_MS) {
      this.#lonelyToldAtMs = now;
      this.#log.unusual(
        'no peer can be reached; dialling goes on. Next: check the network connection, or name a peer with --peers NODE_ID@HOST:PORT',
      );
    }
    const view = this.#view(now);
    if (!this.#show) return;
    if (this.#output.isTerminal)
      this.#output.status(progressRowText(view).slice(0, this.#output.columns() - 1));
    else if (now >= this.#nextPlainAtMs) {
      this.#nextPlainAtMs = now + PLAIN_INTERVAL_MS;
      this.#output.line(progressRowText(view));
    }
  }

  #view(now: number): ProgressView {
    const { ingest, seeker, peers, graph } = this.#daemon.parts;
    const elapsed = now - this.#lastAtMs;
    if (elapsed >= 1_000) {
      this.#rate = ((ingest.signaturesChecked - this.#lastSignatures) / elapsed) * 1000;
      this.#lastSignatures = ingest.signaturesChecked;
      this.#lastAtMs = now;
    }
    const { percent, totalKnownToPeers, etaSeconds, state } = seeker.status();
    return {
      percent,
      channels: graph.channelCount,
      wanted: totalKnownToPeers,
      messages: Object.values(ingest.counts()).reduce((total, count) => total + count, 0),
      signatureRate: this.#rate,
      etaSeconds,
      peers: peers.ready.length,
      state,
    };
  }

  #synced(now: number): void {
    const heard = this.#onFirstSync;
    this.#onFirstSync = undefined;
    this.#nextSummaryAtMs = now + SUMMARY_INTERVAL_MS;
    const seconds = (now - this.#startedMs) / 1000;
    const status = this.#daemon.status();
    this.#output.status(undefined);
    this.#log.info(summaryText(status, seconds));
    heard?.(status, seconds);
  }

  #summary(now: number): void {
    this.#nextSummaryAtMs = now + SUMMARY_INTERVAL_MS;
    const { channels, nodes, sync, peers, store, verdicts } = this.#daemon.status();
    this.#log.info('running', {
      channels,
      nodes,
      known_percent: peers.length === 0 ? undefined : Math.round(sync.percent * 10) / 10,
      peers: peers.length,
      accepted: verdicts['accepted'] ?? 0,
      store_bytes: store.bytes,
      store_state: store.state,
    });
  }
}
