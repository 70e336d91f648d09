/**
 * AlertCommand: runs the operator's command for each alert, with the alert as JSON on its standard input.
 *
 * The guard hands events in and goes on at once. Commands run one after another, each with a time limit; what fails is told in
 * one line and has no other effect. Bounds: MAX_WAITING alerts wait; more are dropped and counted.
 */
import { spawn } from 'node:child_process';
import type { AlertEvent } from '../repair/guard_state.ts';

export const COMMAND_LIMIT_MS = 30_000;
export const MAX_WAITING = 64;

export class AlertCommand {
  dropped = 0;
  readonly #command: string;
  readonly #onFailure: (message: string) => void;
  readonly #limitMs: number;
  readonly #waiting: AlertEvent[] = [];
  #running: Promise<void> | undefined;

  constructor(command: string, onFailure: (message: string) => void, limitMs = COMMAND_LIMIT_MS) {
    this.#command = command;
    this.#onFailure = onFailure;
    this.#limitMs = limitMs;
  }

  push(event: AlertEvent): void {
    if (this.#waiting.length >= MAX_WAITING) {
      this.dropped++;
      return;
    }
    this.#waiting.push(event);
    this.#running ??= this.#runAll();
  }

  /** Resolves when nothing waits or runs any more. */
  async idle(): Promise<void> {
    await this.#running;
  }

  async #runAll(): Promise<void> {
    for (let event = this.#waiting.shift(); event !== undefined; event = this.#waiting.shift()) {
      const failure = await this.#run(event);
      if (failure !== undefined) this.#onFailure(`the alert command ${failure}`);
    }
    this.#running = undefined;
  }

  /** What went wrong; undefined when nothing did. */
  #run(event: AlertEvent): Promise<string | undefined> {
    return new Promise((resolve) => {
      // A group of its own, so that the time limit ends what the shell has started as well.
      const child = spawn(this.#command, {
        shell: true,
        detached: true,
        stdio: ['pipe', 'ignore', 'inherit'],
      });
      let late = false;
      const limit = setTimeout(() => {
        late = true;
        try {
          if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
        } catch {
          child.kill('SIGKILL');
        }
      }, this.#limitMs);
      const done = (failure: string | undefined): void => {
        clearTimeout(limit);
        resolve(failure);
      };
      child.once('error', (error) => done(`could not be started: ${error.message}`));
      child.once('close', (code, signal) => {
        if (late) done(`took longer than ${this.#limitMs / 1000} s and was ended`);
        else done(code === 0 ? undefined : `ended with ${code ?? signal}`);
      });
      // A command that does not read its input closes the pipe.
      child.stdin.on('error', () => {});
      child.stdin.end(`${JSON.stringify(event)}\n`);
    });
  }
}
