/**
 * Long-lived public nodes to dial when neither the configuration nor the address book nor a DNS seed names a peer.
 *
 * Only a start: each is authenticated by its key when dialled (BOLT 8), a wrong address costs one failed dial, and what the
 * network announces replaces the list after the first sync. Reviewed with each release.
 */
import type { NetworkName } from '../base/chain_hash.ts';

/** `NODE_ID@HOST:PORT`. */
export const KNOWN_NODES: Readonly<Record<NetworkName, readonly string[]>> = {
  bitcoin: [
    '03864ef025fde8fb587d989186ce6a4a186895ee44a926bfc370e2c366597a3f8f@3.33.236.230:9735',
    '035e4ff418fc8b5554c5d9eea66396c227bd429a3251c8cbc711002ba215bfc226@170.75.163.209:9735',
    '033d8656219478701227199cbd6f670335c8d408a92ae88b962c49d4dc0e83e025@34.65.85.39:9735',
    '03ecef675be448b615e6176424070673ef8284e0fd19d8be062a6cb5b130a0a0d1@lightning.electrum.org:9740',
    '02f1a8c87607f415c8f22c00593002775941dea48869ce23096af27b0cfdcc0b69@52.13.118.208:9735',
    '026165850492521f4ac8abd9bd8088123446d126f648ca35e60f88177dc149ceb2@45.86.229.190:9735',
    '0217890e3aad8d35bc054f43acc00084b25229ecff0ab68debd82883ad65ee8266@23.237.77.11:9735',
    '024bfaf0cabe7f874fd33ebf7c6f4e5385971fc504ef3f492432e9e3ec77e1b5cf@52.1.72.207:9735',
  ],
  testnet: [],
  testnet4: [],
  signet: [],
  regtest: [],
};
