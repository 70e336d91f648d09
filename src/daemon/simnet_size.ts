/** The size of a network in a box when nobody says otherwise. */
import { MAINNET_CHANNELS, MAINNET_NODES } from '../simnet/topology.ts';

/** Mainnet's size on 2026-02-03. */
export const DEFAULT_CHANNELS = MAINNET_CHANNELS;

/** As many nodes as mainnet has for so many channels. */
export const nodesFor = (channels: number): number =>
  Math.max(2, Math.round((channels * MAINNET_NODES) / MAINNET_CHANNELS));
