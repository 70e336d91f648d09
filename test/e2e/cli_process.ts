/**
 * Runs the compiled command line as a user does: a process with arguments, an environment of its own, and output in pipes.
 * Works from any build folder, because the program is found relative to this file.
 */
import { type ChildProcessByStdio, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';

const MAIN = new URL('../../src/main.js', import.meta.url).href;
/** What bin/gossipd.mjs does, without its check whether something is to be compiled. */
const LAUNCHER = `import { main } from ${JSON.stringify(MAIN)};\nawait main(process.argv.slice(2));\n`;
const LAUNCHER_NAME = 'launch_gossipd.mjs';
/** Nothing here takes a tenth of it; a test that hangs is to fail by itself. */
const PATIENCE_MS = 60_000;

export interface CliResult {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly out: string;
  readonly err: string;
}

export interface CliOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Bytes of standard output after which its reader leaves. */
  readonly leaveAfter?: number;
  /** A command that replaces itself by the one behind it, such as prlimit, with its arguments. */
  readonly under?: readonly string[];
  /** After this the process is killed: a minute unless given. */
  readonly patienceMs?: number;
}

/** A folder of its own for each test file, and everything that was started in it. */
export class CliHouse {
  readonly folder: string;
  readonly #running = new Set<CliProcess>();

  constructor(name: string) {
    this.folder = mkdtempSync(join(tmpdir(), `gossipd-${name}-`));
    // A file, because options such as --eval would be handed on to the workers.
    writeFileSync(this.path(LAUNCHER_NAME), LAUNCHER);
  }

  path(...names: readonly string[]): string {
    return join(this.folder, ...names);
  }

  start(args: readonly string[], options: CliOptions = {}): CliProcess {
    const started = new CliProcess(args, this.folder, options);
    this.#running.add(started);
    void started.ended.finally(() => this.#running.delete(started));
    return started;
  }

  run(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
    return this.start(args, options).ended;
  }

  /** Ends what still runs and removes the folder. */
  async close(): Promise<void> {
    for (const process of this.#running) process.kill('SIGKILL');
    await Promise.all([...this.#running].map(({ ended }) => ended));
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export class CliProcess {
  readonly pid: number;
  readonly ended: Promise<CliResult>;
  out = '';
  err = '';
  readonly #child: ChildProcessByStdio<null, Readable, Readable>;
  #isOver = false;

  constructor(args: readonly string[], home: string, options: CliOptions) {
    const { env = {}, leaveAfter, under = [], patienceMs = PATIENCE_MS } = options;
    // PATH alone is handed on: what whoever runs the tests has configured is not to be seen.
    const environment = { PATH: process.env['PATH'] ?? '', HOME: home, NO_COLOR: '1', ...env };
    const [command = '', ...rest] = [...under, process.execPath, join(home, LAUNCHER_NAME), ...args];
    const child = spawn(command, rest, {
      cwd: home,
      env: environment,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    this.pid = child.pid ?? -1;
    child.stdout.setEncoding('utf8').on('data', (piece: string) => {
      this.out += piece;
      if (leaveAfter !== undefined && this.out.length >= leaveAfter) child.stdout.destroy();
    });
    child.stderr.setEncoding('utf8').on('data', (piece: string) => {
      this.err += piece;
    });
    this.ended = new Promise((resolve, reject) => {
      const timer = setTimeout(() => child.kill('SIGKILL'), patienceMs);
      child.once('error', reject);
      child.once('close', (code, signal) => {
        clearTimeout(timer);
        this.#isOver = true;
        resolve({ code, signal, out: this.out, err: this.err });
      });
    });
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** The first match in what was written to standard error so far or later. Rejects when the process ends without it. */
  async says(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const over = this.#isOver;
      const match = pattern.exec(this.err);
      if (match !== null) return match;
      if (over) throw new Error(`ended without saying ${pattern}:\n${this.err}`);
      await sleep(10);
    }
  }
}

interface OtherProcess {
  readonly pid: number;
  readonly parent: number;
  /** Has ended, and nobody has asked about it yet. */
  readonly isZombie: boolean;
  readonly command: string;
}

const fromProc = (name: string): OtherProcess[] => {
  try {
    // State and parent stand behind the name, which is in brackets.
    const stat = readFileSync(`/proc/${name}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ');
    const command = readFileSync(`/proc/${name}/cmdline`, 'utf8');
    return [{ pid: Number(name), parent: Number(stat[1]), isZombie: stat[0] === 'Z', command }];
  } catch {
    // It ended while we looked.
    return [];
  }
};

/** Where there is no /proc. */
const fromPs = (): OtherProcess[] =>
  spawnSync('ps', ['-axo', 'pid=,ppid=,stat=,command='], { encoding: 'utf8' })
    .stdout.split('\n')
    .flatMap((line) => {
      const [, pid, parent, state = '', command = ''] = /^\s*(\d+)\s+(\d+)\s+(\S+)\s+(.*)$/.exec(line) ?? [];
      return pid === undefined
        ? []
        : [{ pid: Number(pid), parent: Number(parent), isZombie: state.startsWith('Z'), command }];
    });

const allProcesses = (): OtherProcess[] =>
  existsSync('/proc/self/stat')
    ? readdirSync('/proc')
        .filter((name) => /^\d+$/.test(name))
        .flatMap(fromProc)
    : fromPs();

/** Ids of the processes whose command line holds the text. */
export const processesWith = (text: string): number[] =>
  allProcesses().flatMap(({ pid, command }) => (command.includes(text) ? [pid] : []));

export const childrenOf = (parent: number): number[] =>
  allProcesses().flatMap((other) => (other.parent === parent ? [other.pid] : []));

export const isRunning = (processId: number): boolean =>
  allProcesses().some(({ pid, isZombie }) => pid === processId && !isZombie);
