/** Published as `gossipd/store`. */
export type { StoreCursor } from './cursor.ts';
export * from './finding.ts';
export * from './follow_cursor.ts';
export * from './format.ts';
export * from './gossip_store.ts';
export type { Losses, LostGossip, LostNode } from './indexing.ts';
export type { DropReason } from './load.ts';
export type { LoadReport } from './opening.ts';
export * from './scan.ts';
export * from './store_file.ts';
export { openTail } from './tail.ts';
export * from './tail_event.ts';
export * from './versions.ts';
export type { WalkEnd } from './walker.ts';
export { NOT_STORED } from './writer.ts';
