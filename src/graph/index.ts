/** Published as `gossipd/graph`. */
export type { GraphAnomaly, NetworkGraphOptions } from './graph_state.ts';
export { NetworkGraph } from './network_graph.ts';
export { NOT_ROUTABLE_REASONS, type NotRoutable, notRoutable } from './routability.ts';
export { type GraphStatistics, graphStatistics, type UpdateAges } from './statistics.ts';
export * from './views.ts';
