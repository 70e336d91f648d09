/**
 * Which outbound peer makes room for one that may be better: a pure decision over what each has contributed.
 *
 * lnd rotates its sync peers every 20 minutes; so do we, but only the least useful one, never one that the operator
 * named, never one younger than that, and only when another can be dialled. A peer that brings much of what nobody told
 * us before keeps its place for as long as it does.
 */

/** lnd's interval between two rotations. */
export const ROTATION_INTERVAL_MS = 20 * 60_000;

export interface Contribution {
  /** Bytes of gossip that were accepted. */
  readonly usefulBytes: number;
  /** Bytes of gossip that it sent in all. */
  readonly offeredBytes: number;
  /** Messages that were new to us. */
  readonly messagesNew: number;
  /** It has answered a query to the end. */
  readonly answeredQueries?: boolean;
}

export const NO_CONTRIBUTION: Contribution = { usefulBytes: 0, offeredBytes: 0, messagesNew: 0 };

export interface OutboundPeer {
  readonly pinned: boolean;
  /** Milliseconds since it was ready. */
  readonly ageMs: number;
  /** Best answer to a ping; infinite when there was none. */
  readonly latencyMs: number;
  readonly contribution: Contribution;
}

/**
 * 0 to 100: half for news (100 new messages in an hour count as half of that, more by its logarithm), a quarter for the
 * share of what it sent that was of use, 15 for answers to queries, 10 for a short way.
 */
export const usefulness = ({ ageMs, latencyMs, contribution }: Omit<OutboundPeer, 'pinned'>): number => {
  const { usefulBytes, offeredBytes, messagesNew, answeredQueries = false } = contribution;
  const perHour = messagesNew / Math.max(ageMs / 3_600_000, 1 / 60);
  const news = 50 * Math.min(1, Math.log10(1 + perHour) / 4);
  const share = offeredBytes > 0 ? 25 * Math.min(1, usefulBytes / offeredBytes) : 0;
  const near = Number.isFinite(latencyMs) ? 10 / (1 + latencyMs / 100) : 0;
  return news + share + (answeredQueries ? 15 : 0) + near;
};

/** Index of the one that goes; undefined when none may. Of equals the youngest goes. */
export const chooseRotated = (peers: readonly OutboundPeer[]): number | undefined => {
  let [worst, least] = [-1, Number.POSITIVE_INFINITY];
  for (const [index, peer] of peers.entries()) {
    if (peer.pinned || peer.ageMs < ROTATION_INTERVAL_MS) continue;
    const value = usefulness(peer);
    const isWorse = value < least || (value === least && peer.ageMs < (peers[worst]?.ageMs ?? 0));
    if (isWorse) [worst, least] = [index, value];
  }
  return worst < 0 ? undefined : worst;
};
