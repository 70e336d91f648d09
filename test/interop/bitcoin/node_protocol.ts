/**
 * What a test and the Bitcoin node's process say to each other over the channel between parent and child, beside the RPC that
 * the daemon uses: what RPC has no word for. Bytes are hex; txids and block hashes as people write them.
 */

export interface NodeSettings {
  /** Where bcoin is installed. */
  readonly folder: string;
  /** Of the RPC. */
  readonly password: string;
}

/** The first message, without a question. */
export interface NodeReady {
  /** Of the RPC on 127.0.0.1. */
  readonly port: number;
  readonly height: number;
}

export interface MinedBlock {
  readonly height: number;
  readonly hash: string;
  /** In the block's order, the coinbase first. */
  readonly txids: readonly string[];
}

/** Question -> what it takes and what its answer is. */
export interface NodeQuestions {
  /** Adds blocks to the tip; the first takes what is in the mempool along, unless they are to be empty. */
  readonly mine: {
    takes: { readonly blocks: number; readonly empty: boolean };
    gives: { readonly blocks: readonly MinedBlock[] };
  };
  /** Leaves the last `depth` blocks behind for `depth` + 1 empty ones. Their transactions go to the mempool or nowhere. */
  readonly reorganise: {
    takes: { readonly depth: number; readonly forget: boolean };
    gives: { readonly blocks: readonly MinedBlock[] };
  };
  /** Puts a transaction into the mempool that pays to both keys together at this output (0 or 1; the other is change). */
  readonly fund: {
    takes: { readonly keys: readonly [string, string]; readonly satoshis: number; readonly output: 0 | 1 };
    gives: { readonly txid: string; readonly script: string };
  };
  /** Puts a transaction into the mempool that spends a funded output, signed with both secrets. */
  readonly spend: {
    takes: {
      readonly txid: string;
      readonly output: 0 | 1;
      readonly secrets: readonly [string, string];
    };
    gives: { readonly txid: string };
  };
  readonly mempool: { takes: Record<string, never>; gives: { readonly txids: readonly string[] } };
  /** The block of the best chain at this height, with its bytes as sent between nodes. */
  readonly block: {
    takes: { readonly height: number };
    gives: MinedBlock & { readonly raw: string };
  };
  /** Closes the RPC's port and every connection to it, or opens the same port again. */
  readonly rpc: { takes: { readonly open: boolean }; gives: Record<string, never> };
}

export type NodeVerb = keyof NodeQuestions;

/** A question of any verb, with what that verb takes. */
export type NodeQuestion = {
  [Verb in NodeVerb]: {
    readonly id: number;
    readonly verb: Verb;
    readonly takes: NodeQuestions[Verb]['takes'];
  };
}[NodeVerb];

export type NodeAnswer =
  | { readonly id: number; readonly answer: unknown }
  | { readonly id: number; readonly error: string };
