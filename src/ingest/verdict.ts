/**
 * Verdict: what becomes of a gossip message that decodes. A value with a reason from a closed list; the reason is metric
 * label, log field and test title at once.
 */

import type { CheckOutcome } from '../crypto/signature_check.ts';

/** Reasons that say the sender broke a rule. */
export const RULE_BREAKING_REASONS = [
  'malformed',
  'node_ids_not_ordered',
  'zero_timestamp',
  'bad_node_id',
  'bad_bitcoin_key',
  'bad_node_signature_1',
  'bad_node_signature_2',
  'bad_bitcoin_signature_1',
  'bad_bitcoin_signature_2',
  'bad_signature',
  'funding_script_mismatch',
  'same_timestamp_other_content',
] as const;

export const REASON_CODES = [
  // accept
  'accepted',
  // ignore: nothing wrong with the sender
  'known',
  'stale_timestamp',
  'same_timestamp',
  'unknown_chain',
  'unknown_channel',
  'unknown_node',
  'already_pending',
  'too_old',
  'too_far_in_future',
  'recently_refused',
  'not_buried',
  'output_not_found',
  'channel_dying',
  'second_dns',
  'budget_exceeded',
  'room_full',
  'dont_forward',
  // with `hold` kept until there is a token, with `ignore` given up for something newer
  'origin_budget',
  'content_repeat',
  'blacklisted_node',
  'zombie_channel',
  'chain_unavailable',
  'overloaded',
  // hold: kept in a bounded room until what it needs arrives
  'held_for_channel',
  'held_for_announcement',
  // warn or close
  ...RULE_BREAKING_REASONS,
] as const;

export type ReasonCode = (typeof REASON_CODES)[number];

export type VerdictAction = 'accept' | 'ignore' | 'hold' | 'warn' | 'close';

export interface Verdict {
  readonly action: VerdictAction;
  readonly reason: ReasonCode;
}

/** One shared verdict per reason, so that giving one allocates nothing. */
const withAction = (action: VerdictAction): Readonly<Record<ReasonCode, Verdict>> =>
  Object.freeze(
    Object.fromEntries(REASON_CODES.map((reason) => [reason, Object.freeze({ action, reason })])),
  ) as Readonly<Record<ReasonCode, Verdict>>;

export const ACCEPT: Verdict = withAction('accept').accepted;
export const IGNORE = withAction('ignore');
export const HOLD = withAction('hold');
export const WARN = withAction('warn');
export const CLOSE = withAction('close');

/** By index of the signature, which is that of its key. */
const SIGNATURE_REASONS: readonly ReasonCode[] = [
  'bad_node_signature_1',
  'bad_node_signature_2',
  'bad_bitcoin_signature_1',
  'bad_bitcoin_signature_2',
];

/** B7-09: what a channel_announcement gets whose signatures are not good. */
export const badAnnouncement = (outcome: Exclude<CheckOutcome, 'valid'>): Verdict => {
  if ('bad_signature' in outcome) return CLOSE[SIGNATURE_REASONS[outcome.bad_signature] ?? 'bad_signature'];
  return outcome.bad_key < 2 ? CLOSE.bad_node_id : CLOSE.bad_bitcoin_key;
};
