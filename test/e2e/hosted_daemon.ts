/** Starts daemon_host.ts and asks it; the test's end of the channel. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { HostReport, HostRequest, HostSettings } from './daemon_host.ts';

const HOST = fileURLToPath(new URL('./daemon_host.js', import.meta.url));

export class HostedDaemon {
  readonly nodeId: string;
  readonly port: number;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, first: HostReport) {
    this.#child = child;
    this.nodeId = first.node_id;
    this.port = first.port;
  }

  /** Rejects when it does not start. */
  static async start(settings: HostSettings): Promise<HostedDaemon> {
    mkdirSync(settings.folder, { recursive: true });
    const child = fork(HOST, [JSON.stringify(settings)]);
    return new HostedDaemon(child, await answerOf(child));
  }

  /** `NODE_ID@HOST:PORT`. */
  get address(): string {
    return `${this.nodeId}@127.0.0.1:${this.port}`;
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  report(): Promise<HostReport> {
    return this.#ask({ ask: 'report' });
  }

  /** Why each connection ended so far, by the `host:port` of its other end. */
  async endings(): Promise<Readonly<Record<string, string>>> {
    return (await this.#ask({ ask: 'endings' })).endings ?? {};
  }

  /** Starts the record of the most that was seen anew. */
  forgetMost(): Promise<HostReport> {
    return this.#ask({ ask: 'forget_most' });
  }

  /** Stops it in order; the exit code. */
  async stop(): Promise<number | null> {
    if (!this.isRunning) return this.#child.exitCode;
    const ended = once(this.#child, 'exit');
    this.#child.send({ ask: 'stop' } satisfies HostRequest);
    const [code] = (await ended) as [number | null];
    return code;
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  /** Takes the processor away from it; what is sent to it waits in the system's buffers. */
  freeze(): void {
    this.#child.kill('SIGSTOP');
  }

  goOn(): void {
    this.#child.kill('SIGCONT');
  }

  #ask(request: HostRequest): Promise<HostReport> {
    const answer = answerOf(this.#child);
    this.#child.send(request);
    return answer;
  }
}

const answerOf = (child: ChildProcess): Promise<HostReport> =>
  new Promise((resolve, reject) => {
    const ended = (code: number | null, signal: string | null): void =>
      reject(new Error(`the daemon ended with code ${code}, signal ${signal}`));
    child.once('exit', ended);
    child.once('message', (report) => {
      child.off('exit', ended);
      resolve(report as HostReport);
    });
  });

/** Asks until it holds. Rejects, with the last report, when it does not within two minutes, as on a slow machine. */
export const untilReport = async (
  daemon: HostedDaemon,
  what: string,
  holds: (report: HostReport) => boolean,
): Promise<HostReport> => {
  const deadline = performance.now() + 120_000;
  for (;;) {
    const report = await daemon.report();
    if (holds(report)) return report;
    if (performance.now() > deadline)
      throw new Error(`waited in vain: ${what}\n${JSON.stringify(report, null, 1)}`);
    await sleep(50);
  }
};
