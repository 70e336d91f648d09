/** Published as `gossipd/store`. */
export type { StoreCursor } from './cursor.ts';
export * from './follow_cursor.ts';
export * from './format.ts';
export * from './gossip_store.ts';
export type { DropReason } from './load.ts';
export type { LoadReport, TailReport } from './opening.ts';
export * from './scan.ts';
export * from './store_file.ts';
export type { WalkEnd } from './walker.ts';
