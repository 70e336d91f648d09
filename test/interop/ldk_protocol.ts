/**
 * What a test and the LDK process say to each other: one JSON line for each question on the child's standard input, one for
 * each answer on its standard output. Messages are hex, with their two bytes of type.
 */
import type { LdkVerdict } from './ldk_gossip.ts';

export interface LdkSettings {
  /** Its 32-byte secret is made from this number. */
  readonly identity: number;
}

/** The first line, without a question. */
export interface LdkReady {
  readonly node_id: string;
  /** Of LDK, as its binding reports it. */
  readonly version: string;
}

export interface LdkCounts {
  readonly channels: number;
  readonly updates: number;
  readonly node_announcements: number;
  /** Node ids of connected peers. */
  readonly peers: readonly string[];
}

/** Question -> what it takes and what its answer is. */
export interface LdkQuestions {
  /** Accepts peers on a free port of 127.0.0.1. */
  readonly listen: { takes: Record<string, never>; gives: { readonly port: number } };
  readonly dial: { takes: { readonly port: number; readonly node_id: string }; gives: Record<string, never> };
  /** Hands messages to its gossip handler, as if read from a peer; nothing of it is forwarded. */
  readonly offer: {
    takes: { readonly messages: readonly string[] };
    gives: { readonly verdicts: readonly LdkVerdict[] };
  };
  readonly counts: { takes: Record<string, never>; gives: LdkCounts };
  /** Every announcement and update of its graph. */
  readonly messages: { takes: Record<string, never>; gives: { readonly messages: readonly string[] } };
}

export type LdkVerb = keyof LdkQuestions;

export type LdkLine =
  | { readonly id: number; readonly answer: unknown }
  | { readonly id: number; readonly error: string };
