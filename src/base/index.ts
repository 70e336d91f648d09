/** Published as `gossipd/base`. */
export * from './amount.ts';
export * from './bytes.ts';
export * from './chain_hash.ts';
export * from './errors.ts';
export * from './node_id.ts';
export * from './short_channel_id.ts';
