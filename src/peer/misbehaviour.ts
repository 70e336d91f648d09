/**
 * What each kind of misbehaviour costs its sender, as data: BanList adds the points up, halves them every HALF_LIFE_MS,
 * and bans at a threshold. The reasons are those with which Connection closes and ingest/ judges; what is not listed
 * costs nothing.
 *
 * A reason is heavy when no program that keeps the rules could do it, and light when a bug, an old version, a bad line
 * or a stranger's message that was passed on in good faith could be the cause. Light reasons lead to a ban only when
 * they repeat dozens of times within hours. Channels that are unknown, closed or spent cost nothing here: any honest
 * peer of another memory sends hundreds of them in its first sync; ingest/ has a budget for what is useless.
 */

export interface Charge {
  /** Of 100 that ban a node id. */
  readonly points: number;
  readonly why: string;
}

/** A few times in a row and it is out: signatures, encryption and framing are computed, not guessed. */
const HEAVY = 25;
const MEDIUM = 10;
const LIGHT = 2;
/** Somebody else could have a good peer pass it on. */
const LIGHTEST = 1;

/** Every peer checks signatures before it passes a message on: whoever delivers a bad one made it, or checks nothing. */
const UNCHECKED = 'a peer that passes on only what it checked cannot send it';
const OLD_VERSION = 'software that follows another version of the rules does it in good faith';

export const MISBEHAVIOUR = {
  // Verdicts of ingest/.
  bad_node_signature_1: { points: HEAVY, why: UNCHECKED },
  bad_node_signature_2: { points: HEAVY, why: UNCHECKED },
  bad_bitcoin_signature_1: { points: HEAVY, why: UNCHECKED },
  bad_bitcoin_signature_2: { points: HEAVY, why: UNCHECKED },
  bad_signature: { points: HEAVY, why: UNCHECKED },
  bad_node_id: { points: HEAVY, why: UNCHECKED },
  bad_bitcoin_key: { points: HEAVY, why: UNCHECKED },
  malformed: { points: HEAVY, why: 'no program that can read gossip writes or passes on such bytes' },
  node_ids_not_ordered: { points: LIGHT, why: 'signed by its maker; a lax peer may pass it on unseen' },
  zero_timestamp: { points: LIGHT, why: 'signed by its maker; a lax peer may pass it on unseen' },
  funding_script_mismatch: {
    points: LIGHTEST,
    why: 'light clients relay without looking at the chain, and lnd too counts one of a hundred',
  },
  same_timestamp_other_content: {
    points: LIGHT,
    why: 'the maker signed two; each peer knows only the one that it heard first',
  },
  budget_exceeded: {
    points: MEDIUM,
    why: 'thousands of useless messages: a broken sync at best, a flood at worst',
  },
  // Why Connection closed.
  bad_mac: { points: HEAVY, why: 'TCP has its own checksum: bytes do not change by themselves that often' },
  malformed_message: { points: HEAVY, why: 'no program that keeps BOLT 1 writes it' },
  message_before_init: { points: MEDIUM, why: 'no known implementation does it' },
  unknown_even_type: { points: LIGHT, why: OLD_VERSION },
  handshake_failed: { points: LIGHT, why: 'port scanners and web browsers knock at every port' },
  setup_timeout: { points: LIGHT, why: 'slow lines and sleeping laptops do it, and so do slow attackers' },
  peer_not_reading: { points: LIGHT, why: 'a stopped process looks the same' },
  unexpected_pong: { points: MEDIUM, why: 'pongs that nobody asked for, ten times over' },
  over_memory: { points: MEDIUM, why: 'it filled everything that one connection may hold' },
} as const satisfies Readonly<Record<string, Charge>>;

export type MisbehaviourReason = keyof typeof MISBEHAVIOUR;

export const isMisbehaviour = (reason: string): reason is MisbehaviourReason =>
  Object.hasOwn(MISBEHAVIOUR, reason);

/** Zero for what is no misbehaviour. */
export const pointsFor = (reason: string): number =>
  isMisbehaviour(reason) ? MISBEHAVIOUR[reason].points : 0;
