import assert from 'node:assert/strict';
import { test } from 'node:test';
import { COMPLETE, QUIET } from '../../test/fixtures/daemon_status.ts';
import type { DaemonStatus } from '../api/daemon_status.ts';
import { unixSeconds } from '../base/time.ts';
import { type ProgressView, progressRowText, summaryText } from './sync_progress.ts';

const view = (change: Partial<ProgressView> = {}): ProgressView => ({
  percent: 50,
  channels: 25_404,
  wanted: 50_808,
  messages: 71_204,
  signatureRate: 28_400,
  etaSeconds: 12,
  peers: 3,
  state: 'fetching',
  ...change,
});

/** What the summary reads of it. */
const READ: Partial<DaemonStatus> = {
  version: '1',
  network: 'regtest',
  node_id: '02',
  listening: [],
  uptime_seconds: 2,
  sync: {
    completeness: COMPLETE,
    ranges: [],
    state: 'synced',
    complete: true,
    peers: [],
    wanted: 0,
    outstanding: 0,
    givenUp: 0,
    refetchLeft: 0,
    known: 1_234,
    totalKnownToPeers: 1_234,
    percent: 100,
    startedAt: unixSeconds(0),
    etaSeconds: undefined,
    queriesSent: 2,
  },
  channels: 1_234,
  half_channels: 2_000,
  loaded_channels: 0,
  nodes: 400,
  node_announcements: 390,
  capacity_sat: 5,
  signatures_checked: 7_000,
  signature_engine: 'noble',
  rejected: 3,
  verdicts: {},
  ingest_backlog: 0,
  ...QUIET,
  store: {
    path: '/x/gossip_store',
    bytes: 1_500_000,
    durable_bytes: 1_500_000,
    dead_bytes: 0,
    version: 16,
    state: 'ok',
    reason: '',
    rewrites: 0,
    damaged_ranges: 0,
    quarantine: '',
  },
  received_bytes: 2_500_000,
  sent_bytes: 1,
  rss_bytes: 1,
  cpu_seconds: 1,
  peers: [],
};
const STATUS = READ as DaemonStatus;

test('the row shows a bar, how much of what, the pace and the time left', () => {
  assert.equal(
    progressRowText(view()),
    '[############------------] 50 % of 50,808 channels, 71,204 messages, 28,400 signatures/s, 12 s left',
  );
});

test('without an estimate the row says nothing about the time left', () => {
  assert.ok(!progressRowText(view({ etaSeconds: undefined })).includes('left'));
});

test('the bar is never longer than itself, and 100 % is only said when it is', () => {
  for (const [percent, bar] of [
    [0, '[------------------------] 0 %'],
    [99.9, '[########################] 99 %'],
    [100, '[########################] 100 %'],
    [250, '[########################] 250 %'],
  ] as const) {
    assert.ok(progressRowText(view({ percent })).startsWith(bar), `${percent}`);
  }
});

test('before anything is known the row says what is being waited for', () => {
  assert.equal(
    progressRowText(view({ wanted: 0, state: 'waiting_for_peers', peers: 0, messages: 0 })),
    'sync: waiting for peers, 0 peers, 0 messages',
  );
});

test('the summary says what was synced, checked, received and refused, and where it is', () => {
  assert.equal(
    summaryText(STATUS, 2),
    'synced: 1,234 channels, 400 nodes, 2,000 updates; 7,000 signatures checked in 2.0 s (3,500/s, noble), ' +
      '2.5 MB received from 0 peers, 3 messages refused; store /x/gossip_store (1.5 MB)',
  );
});

test('a sync that took no time does not divide by it', () => {
  assert.match(summaryText(STATUS, 0), /in 0\.0 s \(7,000,000\/s/);
});
