/** Starts the LDK process for a test and talks to it; it is gone when the test is over, whatever became of the test. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { toHex } from '../../src/base/bytes.ts';
import type { LdkLine, LdkQuestions, LdkReady, LdkSettings, LdkVerb } from './ldk_protocol.ts';

/** Between the end of its input and its end, before it is killed. */
const STOP_DEADLINE_MS = 3_000;

export class LdkProcess {
  readonly nodeId: string;
  readonly version: string;
  readonly #child: ChildProcess;
  readonly #waiting: Map<number, Waiting>;
  #nextId = 1;

  private constructor(child: ChildProcess, waiting: Map<number, Waiting>, { node_id, version }: LdkReady) {
    this.#child = child;
    this.#waiting = waiting;
    this.nodeId = node_id;
    this.version = version;
  }

  /** Resolves when it is ready for questions. */
  static start(t: TestContext, settings: LdkSettings): Promise<LdkProcess> {
    const script = fileURLToPath(new URL('./ldk_peer.js', import.meta.url));
    const child = spawn(process.execPath, [script, JSON.stringify(settings)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    t.after(() => stop(child));
    const waiting = new Map<number, Waiting>();
    return new Promise((resolve, reject) => {
      const fail = (why: string): void => {
        const error = new Error(`the LDK process ${why}`);
        reject(error);
        for (const { failed } of waiting.values()) failed(error);
        waiting.clear();
      };
      child.once('error', (error) => fail(`cannot be started: ${error.message}`));
      child.once('exit', (code, signal) => fail(`ended with ${signal ?? code}`));
      // A write to a process that has just ended is reported by its exit.
      child.stdin?.on('error', () => {});
      assert.ok(child.stdout);
      createInterface({ input: child.stdout }).on('line', (line) => {
        const said = JSON.parse(line) as LdkReady | LdkLine;
        if ('node_id' in said) return resolve(new LdkProcess(child, waiting, said));
        const { answered, failed } = waiting.get(said.id) as Waiting;
        waiting.delete(said.id);
        if ('error' in said) failed(new Error(`LDK: ${said.error}`));
        else answered(said.answer);
      });
    });
  }

  /** Rejects when LDK cannot do it, or has ended. */
  ask<Verb extends LdkVerb>(
    verb: Verb,
    takes: LdkQuestions[Verb]['takes'],
  ): Promise<LdkQuestions[Verb]['gives']> {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, {
        answered: (answer) => resolve(answer as LdkQuestions[Verb]['gives']),
        failed: reject,
      });
      this.#child.stdin?.write(`${JSON.stringify({ id, verb, takes })}\n`);
    });
  }

  /** Hands it messages that it must accept, and fails with its words otherwise. */
  async fill(messages: readonly Uint8Array[]): Promise<void> {
    const { verdicts } = await this.ask('offer', { messages: messages.map((raw) => toHex(raw)) });
    assert.deepEqual(
      verdicts.filter(({ accepted }) => !accepted),
      [],
    );
  }
}

interface Waiting {
  readonly answered: (answer: unknown) => void;
  readonly failed: (error: Error) => void;
}

const stop = (child: ChildProcess): Promise<void> =>
  new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return resolve();
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_DEADLINE_MS);
    child.once('exit', () => {
      clearTimeout(timer);
      resolve();
    });
    child.stdin?.end();
  });
