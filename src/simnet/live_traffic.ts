/**
 * Live updates of a simulated network: at a given rate, a random channel of a share of the map gets a newer, really signed
 * channel_update, which is handed to the daemon of that peer like any gossip.
 */
import type { Rng } from '../base/rng.ts';
import { type Clock, nowSeconds } from '../base/time.ts';
import { type SignedMap, signUpdate } from './sign_map.ts';

export interface LiveTrafficOptions {
  readonly map: SignedMap;
  /** Updates per second, on average; 0 makes none. */
  readonly perSecond: number;
  /** This peer makes the updates of channels whose number is `share` modulo `shares`. */
  readonly share: number;
  readonly shares: number;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly offer: (raw: Uint8Array) => void;
}

/** Starts; returns the stop function. */
export const startLiveTraffic = (options: LiveTrafficOptions): (() => void) => {
  const { map, perSecond, share, shares, clock, rng, offer } = options;
  const { topology } = map;
  const mine = Math.floor((topology.channels - share + shares - 1) / shares);
  if (perSecond <= 0 || mine <= 0) return () => {};
  let cancel = (): void => {};
  const next = (): void => {
    cancel = clock.after((2 * rng.fraction() * 1000) / perSecond, () => {
      const channel = share + shares * Math.floor(rng.fraction() * mine);
      const side = rng.fraction() < 0.5 ? 0 : 1;
      if (topology.hasUpdate[2 * channel + side] === 1) {
        offer(
          signUpdate(map, channel, side, {
            timestamp: nowSeconds(clock),
            feePpm: Math.floor(rng.fraction() * 2_000),
          }),
        );
      }
      next();
    });
  };
  next();
  return () => cancel();
};
