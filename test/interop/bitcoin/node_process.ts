/**
 * Starts the Bitcoin node for a test and talks to it; it is gone when the test is over, whatever became of the test.
 * What it gives back is ready for BOLT 7: scids, keys and scripts as bytes.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { fromHex, toHex } from '../../../src/base/bytes.ts';
import { type ShortChannelId, scidFromParts } from '../../../src/base/short_channel_id.ts';
import type {
  MinedBlock,
  NodeAnswer,
  NodeQuestions,
  NodeReady,
  NodeSettings,
  NodeVerb,
} from './node_protocol.ts';

const PROGRAM = fileURLToPath(new URL('./node_program.js', import.meta.url));
const PASSWORD = 'regtest';
/** Between the end of its channel and its end, before it is killed. */
const STOP_DEADLINE_MS = 3_000;

interface Key {
  readonly secret: Uint8Array;
  /** 33 bytes. */
  readonly key: Uint8Array;
}

export interface FundingSpec {
  readonly keys: readonly [Key, Key];
  readonly satoshis: number;
  /** Index of the funding output in its transaction; default 0. */
  readonly output?: 0 | 1;
}

export interface Funding extends FundingSpec {
  readonly output: 0 | 1;
  readonly txid: string;
  /** The scriptPubKey, as the node built it. */
  readonly script: Uint8Array;
}

interface Waiting {
  readonly answered: (answer: unknown) => void;
  readonly failed: (error: Error) => void;
}

export class BitcoinNode {
  readonly port: number;
  /** Of the RPC. */
  readonly user = 'gossipd';
  readonly password = PASSWORD;
  /** Of the best chain. */
  height: number;
  readonly #child: ChildProcess;
  readonly #waiting: Map<number, Waiting>;
  #nextId = 1;

  private constructor(child: ChildProcess, waiting: Map<number, Waiting>, { port, height }: NodeReady) {
    this.#child = child;
    this.#waiting = waiting;
    this.port = port;
    this.height = height;
  }

  /** Resolves when its RPC answers and segwit is active. `folder` is where install.ts has put bcoin. */
  static start(scope: { after(end: () => Promise<void>): void }, folder: string): Promise<BitcoinNode> {
    const settings: NodeSettings = { folder, password: PASSWORD };
    const child = fork(PROGRAM, [JSON.stringify(settings)], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    scope.after(() => stop(child));
    const waiting = new Map<number, Waiting>();
    return new Promise((resolve, reject) => {
      const fail = (why: string): void => {
        const error = new Error(`the Bitcoin node ${why}`);
        reject(error);
        for (const { failed } of waiting.values()) failed(error);
        waiting.clear();
      };
      child.once('error', (error) => fail(`cannot be started: ${error.message}`));
      child.once('exit', (code, signal) => fail(`ended with ${signal ?? code}`));
      child.on('message', (said: NodeReady | NodeAnswer) => {
        if ('port' in said) return resolve(new BitcoinNode(child, waiting, said));
        const asked = waiting.get(said.id);
        waiting.delete(said.id);
        if ('error' in said) asked?.failed(new Error(`Bitcoin node: ${said.error}`));
        else asked?.answered(said.answer);
      });
    });
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** For the configuration key `utxo`. */
  get backend(): string {
    return `bitcoind:http://${this.user}:${this.password}@127.0.0.1:${this.port}`;
  }

  /** Rejects when the node cannot do it, or has ended. */
  ask<Verb extends NodeVerb>(
    verb: Verb,
    takes: NodeQuestions[Verb]['takes'],
  ): Promise<NodeQuestions[Verb]['gives']> {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, {
        answered: (answer) => resolve(answer as NodeQuestions[Verb]['gives']),
        failed: reject,
      });
      this.#child.send({ id, verb, takes }, (error) => {
        if (error !== null) reject(error);
      });
    });
  }

  /** The first of the blocks takes the mempool along. */
  mine(blocks = 1): Promise<readonly MinedBlock[]> {
    return this.#mined(this.ask('mine', { blocks, empty: false }));
  }

  /** Leaves the mempool as it is. */
  mineEmpty(blocks = 1): Promise<readonly MinedBlock[]> {
    return this.#mined(this.ask('mine', { blocks, empty: true }));
  }

  mineTo(height: number): Promise<readonly MinedBlock[]> {
    return this.mine(height - this.height);
  }

  /** The last `depth` blocks give way to one more, all empty; what was in them is in the mempool again. */
  reorganise(depth: number): Promise<readonly MinedBlock[]> {
    return this.#mined(this.ask('reorganise', { depth, forget: false }));
  }

  /** As `reorganise`, but what was in the blocks is gone for good. */
  forget(depth: number): Promise<readonly MinedBlock[]> {
    return this.#mined(this.ask('reorganise', { depth, forget: true }));
  }

  /** Into the mempool. */
  async fund({ keys, satoshis, output = 0 }: FundingSpec): Promise<Funding> {
    const [first, second] = keys;
    const { txid, script } = await this.ask('fund', {
      keys: [toHex(first.key), toHex(second.key)],
      satoshis,
      output,
    });
    return { keys, satoshis, output, txid, script: fromHex(script)! };
  }

  /** Into the mempool. Gives the spending transaction's txid. */
  async spend({ txid, output, keys: [first, second] }: Funding): Promise<string> {
    const secrets = [toHex(first.secret), toHex(second.secret)] as const;
    return (await this.ask('spend', { txid, output, secrets })).txid;
  }

  /** Mines one block and says where the fundings are now, all of which it must have taken. */
  async confirm(...fundings: readonly Funding[]): Promise<ShortChannelId[]> {
    const [block] = await this.mine();
    return fundings.map(({ txid, output }) => {
      const index = block!.txids.indexOf(txid);
      if (index < 0) throw new Error(`block ${block!.height} did not take ${txid}`);
      return scidFromParts(block!.height, index, output);
    });
  }

  async mempool(): Promise<readonly string[]> {
    return (await this.ask('mempool', {})).txids;
  }

  block(height: number): Promise<NodeQuestions['block']['gives']> {
    return this.ask('block', { height });
  }

  /** The RPC goes away, as if the node had been stopped; its chain goes on. */
  async hide(): Promise<void> {
    await this.ask('rpc', { open: false });
  }

  async show(): Promise<void> {
    await this.ask('rpc', { open: true });
  }

  async #mined(asked: Promise<{ readonly blocks: readonly MinedBlock[] }>): Promise<readonly MinedBlock[]> {
    const { blocks } = await asked;
    this.height = blocks.at(-1)?.height ?? this.height;
    return blocks;
  }
}

const stop = (child: ChildProcess): Promise<void> =>
  new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return resolve();
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_DEADLINE_MS);
    child.once('exit', () => {
      clearTimeout(timer);
      resolve();
    });
    if (child.connected) child.disconnect();
  });
