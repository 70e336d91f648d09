/**
 * A daemon of the command line against a small signed network, whose store the test can harm from outside: what
 * store_faults.test.ts and its long form share.
 *
 * The peers are processes of their own and outlive every daemon of the test; their map is the truth that a healed store is
 * held to, read with a reader that shares nothing with src/store. Harm is done by other processes, as it is in the world.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { DaemonStatus } from '../../src/api/daemon_status.ts';
import { callRpc } from '../../src/api/json_rpc_socket.ts';
import type { Rng } from '../../src/base/rng.ts';
import type { SimnetPeerReady, SimnetPeerSettings } from '../../src/daemon/simnet_peer.ts';
import { nodesFor } from '../../src/daemon/simnet_size.ts';
import { type BuiltMap, buildMap } from '../../src/simnet/build_map.ts';
import { simnetTopology, type TopologySource } from '../../src/simnet/topology_source.ts';
import { type ClnView, readAsCln } from '../conformance/cln_reader.ts';
import { CliHouse, type CliProcess, type CliResult } from './cli_process.ts';

/** Every wait ends long before; a broken promise is to be told, not waited for. */
const PATIENCE_MS = 120_000;
const LOOK_MS = 20;
const PEER = fileURLToPath(new URL('../../src/daemon/simnet_peer.js', import.meta.url));

export interface DaemonSettings {
  /** Kept from one start to the next; a folder of the network's house unless it is absolute. */
  readonly folder: string;
  /** Peers that make live updates beside the two that make none. */
  readonly live?: boolean;
  /** Nobody to fetch from: what it has is from its store. */
  readonly alone?: boolean;
  readonly flags?: readonly string[];
  /** Where its socket is made; the house unless given. */
  readonly socketFolder?: string;
  /** See CliOptions. */
  readonly under?: readonly string[];
}

/** The map, its peers, and every daemon that was started against them. */
export class FaultNetwork {
  readonly house: CliHouse;
  readonly map: BuiltMap;
  /** What CLN would read from the map's own store. */
  readonly truth: ClnView;
  readonly #topology: TopologySource;
  readonly #peers: ChildProcess[] = [];
  readonly #quiet: string[];
  #live: Promise<string> | undefined;

  private constructor(house: CliHouse, map: BuiltMap, topology: TopologySource) {
    this.house = house;
    this.map = map;
    this.truth = readAsCln(readFileSync(map.storePath));
    this.#topology = topology;
    this.#quiet = [];
  }

  static async open(name: string, channels: number): Promise<FaultNetwork> {
    const house = new CliHouse(name);
    const topology = { seed: 11, channels, nodes: nodesFor(channels) };
    const map = await buildMap({
      seed: topology.seed,
      network: 'regtest',
      folder: house.path('map'),
      workers: 2,
      nowSeconds: Math.floor(Date.now() / 1000),
      drawTopology: () => simnetTopology(topology),
      onProgress: () => {},
    });
    const network = new FaultNetwork(house, map, topology);
    network.#quiet.push(
      ...(await Promise.all([network.#startPeer('quiet-0', 0), network.#startPeer('quiet-1', 0)])),
    );
    return network;
  }

  /** @param channel_updates per second, of a peer that is started when it is first asked for */
  async #livePeer(): Promise<string> {
    this.#live ??= this.#startPeer('live', 40);
    return await this.#live;
  }

  async #startPeer(name: string, livePerSecond: number): Promise<string> {
    const settings: SimnetPeerSettings = {
      topology: this.#topology,
      mapFolder: this.map.folder,
      dataDir: this.house.path('peers', name),
      share: 0,
      shares: 1,
      livePerSecond,
      flushIntervalMs: 100,
    };
    const child = spawn(process.execPath, [PEER, JSON.stringify(settings)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#peers.push(child);
    let text = '';
    for await (const piece of child.stdout!.setEncoding('utf8')) {
      text += piece as string;
      if (text.includes('\n')) break;
    }
    const { node_id, port } = JSON.parse(text) as SimnetPeerReady;
    return `${node_id}@127.0.0.1:${port}`;
  }

  async start(settings: DaemonSettings): Promise<FaultyDaemon> {
    const folder = settings.folder.startsWith('/') ? settings.folder : this.house.path(settings.folder);
    mkdirSync(folder, { recursive: true });
    const peers = settings.alone === true ? [] : [...this.#quiet];
    if (settings.live === true) peers.push(await this.#livePeer());
    // Not in the data folder, which may be taken away.
    const socket = join(
      settings.socketFolder ?? this.house.folder,
      `${folder.replaceAll('/', '_').slice(-30)}.sock`,
    );
    const run = this.house.start(
      [
        ...['run', '--network', 'regtest', '--data-dir', folder, '--rpc-socket', socket],
        ...(peers.length > 0 ? ['--peers', peers.join(',')] : ['--no-dns-seeds', '--outbound-peers', '0']),
        ...['--utxo', `table:${this.map.utxoPath}`, '--bytes-per-second-in', '0', '--verify-workers', '0'],
        ...['--sync-interval-ms', '50', '--progress', 'never', ...(settings.flags ?? [])],
      ],
      { patienceMs: 10 * PATIENCE_MS, ...(settings.under === undefined ? {} : { under: settings.under }) },
    );
    return new FaultyDaemon(run, socket, folder);
  }

  /** Everything that the network has is in the map that the daemon answers from. */
  hasAll(status: DaemonStatus): boolean {
    const { channels, updates } = this.map;
    return (
      status.channels === channels &&
      status.half_channels === updates &&
      status.node_announcements === this.truth.nodes.size
    );
  }

  async untilAll(daemon: FaultyDaemon, what: string): Promise<DaemonStatus> {
    return await daemon.until(what, (status) => this.hasAll(status) && status.store.state === 'ok');
  }

  /** The file holds everything, by the rules of CLN. @param bytes its content */
  assertWhole(bytes: Uint8Array, strict = true): ClnView {
    const view = readAsCln(bytes, { strict });
    assert.equal(view.channels.size, this.truth.channels.size);
    for (const [scid, { updates, satoshis }] of this.truth.channels) {
      const found = view.channels.get(scid);
      assert.ok(found !== undefined, `no channel ${scid}`);
      assert.equal(found.satoshis, satoshis);
      assert.deepEqual(
        found.updates.map((offset) => offset > 0),
        updates.map((offset) => offset > 0),
      );
    }
    assert.deepEqual([...view.nodes.keys()].sort(), [...this.truth.nodes.keys()].sort());
    return view;
  }

  /** The daemon has made its file whole, by the rules of CLN; before that it may not know yet what is missing. */
  async untilWhole(daemon: FaultyDaemon): Promise<void> {
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      await this.untilAll(daemon, 'all is there');
      await daemon.untilWritten();
      try {
        this.assertWhole(readFileSync(daemon.store));
        return;
      } catch (error) {
        if (performance.now() > deadline) throw new Error(daemon.log, { cause: error });
      }
      await sleep(LOOK_MS);
    }
  }

  /** A daemon that knows nobody finds everything in the store of this folder. */
  async assertLoads(folder: string): Promise<void> {
    const daemon = await this.start({ folder, alone: true });
    const status = await daemon.until('loaded', () => true);
    assert.ok(this.hasAll(status), JSON.stringify(status));
    assert.equal(status.loaded_channels, this.map.channels);
    assert.equal(status.store.state, 'ok');
    assert.equal((await daemon.stop()).code, 0);
  }

  async close(): Promise<void> {
    const ended = this.#peers.map(async (peer) => {
      if (peer.exitCode !== null || peer.signalCode !== null) return;
      const exit = once(peer, 'exit');
      peer.stdin?.end();
      await exit;
    });
    await Promise.all(ended);
    await this.house.close();
  }
}

/** One process of the daemon. */
export class FaultyDaemon {
  readonly run: CliProcess;
  readonly folder: string;
  readonly store: string;
  readonly #socket: string;
  #isOver = false;

  constructor(run: CliProcess, socket: string, folder: string) {
    this.run = run;
    this.#socket = socket;
    this.folder = folder;
    this.store = join(folder, 'gossip_store');
    void run.ended.then(() => {
      this.#isOver = true;
    });
  }

  get pid(): number {
    return this.run.pid;
  }

  get log(): string {
    return this.run.err;
  }

  /** Asks until it holds, for as long as this very process answers. */
  async until(what: string, holds: (status: DaemonStatus) => boolean): Promise<DaemonStatus> {
    const deadline = performance.now() + PATIENCE_MS;
    let last: DaemonStatus | undefined;
    while (performance.now() < deadline) {
      assert.ok(!this.#isOver, `the daemon ended while waiting: ${what}\n${this.log}`);
      try {
        last = (await callRpc(this.#socket, 'status')) as DaemonStatus;
        if (holds(last)) return last;
      } catch {
        // Not there yet.
      }
      await sleep(LOOK_MS);
    }
    throw new Error(`waited in vain: ${what}\n${JSON.stringify(last, null, 1)}\n${this.log}`);
  }

  async status(): Promise<DaemonStatus> {
    return await this.until('an answer', () => true);
  }

  /** The log says it, in the part that begins at `from`. */
  async says(pattern: RegExp, from = 0): Promise<string> {
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      const match = pattern.exec(this.log.slice(from));
      if (match !== null) return match[0];
      assert.ok(!this.#isOver, `the daemon ended without saying ${pattern}\n${this.log}`);
      assert.ok(performance.now() < deadline, `it never said ${pattern}\n${this.log}`);
      await sleep(LOOK_MS);
    }
  }

  /** Everything is in the file, so that it can be read. */
  async untilWritten(): Promise<DaemonStatus> {
    const isWritten = ({ store, ingest_backlog }: DaemonStatus): boolean =>
      store.state === 'ok' && store.durable_bytes === store.bytes && ingest_backlog === 0;
    // What was accepted in the turn of the first answer is published at its end, and shows in the second.
    await this.until('everything durable', isWritten);
    await sleep(5 * LOOK_MS);
    return await this.until('everything durable', isWritten);
  }

  async stop(): Promise<CliResult> {
    this.run.kill('SIGTERM');
    return await this.run.ended;
  }

  async kill(): Promise<void> {
    this.run.kill('SIGKILL');
    await this.run.ended;
  }
}

export interface Hole {
  readonly position: number;
  readonly bytes: Uint8Array;
}

/** Holes of 1 byte to 4 KiB of zeros, 0xff or noise. @param size of the file */
export const drawHoles = (rng: Rng, count: number, size: number): Hole[] =>
  Array.from({ length: count }, () => {
    const length = Math.max(1, Math.floor(4096 ** rng.fraction()));
    const position = Math.floor(rng.fraction() * (size - length));
    const kind = Math.floor(rng.fraction() * 3);
    const bytes = kind === 2 ? rng.bytes(length) : new Uint8Array(length).fill(kind === 1 ? 0xff : 0);
    return { position, bytes };
  });

/** Writes the holes into the file from another process. */
export const punch = (path: string, holes: readonly Hole[]): void => {
  const program = `
    const fs = require('node:fs');
    const fd = fs.openSync(process.argv[1], 'r+');
    for (const [position, hex] of JSON.parse(fs.readFileSync(0, 'utf8')))
      fs.writeSync(fd, Buffer.from(hex, 'hex'), 0, hex.length / 2, position);`;
  const input = JSON.stringify(
    holes.map(({ position, bytes }) => [position, Buffer.from(bytes).toString('hex')]),
  );
  outside(process.execPath, ['-e', program, path], input);
};

/** Bytes of the live records that the holes touch. @param before the file without them */
export const bytesHit = (before: Uint8Array, holes: readonly Hole[]): number => {
  const view = new DataView(before.buffer, before.byteOffset, before.byteLength);
  let lost = 0;
  for (let at = 1; at + 12 <= before.length; ) {
    const end = at + 12 + view.getUint16(at + 2);
    const isLive = (view.getUint16(at) & 0x8000) === 0;
    if (isLive && holes.some(({ position, bytes }) => position < end && position + bytes.length > at))
      lost += end - at;
    at = end;
  }
  return lost;
};

/** Runs a command that must succeed; what it wrote to standard output. */
export const outside = (command: string, args: readonly string[], input = ''): string => {
  const { status, stdout, stderr, error } = spawnSync(command, args, { input, encoding: 'utf8' });
  assert.ok(status === 0, `${command} ${args.join(' ')}: ${error?.message ?? stderr}`);
  return stdout;
};

/** A file system of its own, of a size that can change. */
export class SmallDisk {
  readonly path: string;

  /** Why there is none; undefined when it is mounted. */
  static open(path: string, size: string): SmallDisk | string {
    if (process.platform !== 'linux') return 'a small disk is mounted as a tmpfs of Linux';
    if (process.getuid?.() !== 0) return 'mounting a small disk needs root';
    mkdirSync(path, { recursive: true });
    const { status, stderr, error } = spawnSync(
      'mount',
      ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', path],
      {
        encoding: 'utf8',
      },
    );
    return status === 0
      ? new SmallDisk(path)
      : `mounting is not permitted here: ${error?.message ?? stderr.trim()}`;
  }

  private constructor(path: string) {
    this.path = path;
  }

  resize(size: string): void {
    outside('mount', ['-o', `remount,size=${size}`, this.path]);
  }

  /** Leaves about so many bytes free, with a file of somebody else. */
  fill(leaveBytes: number): void {
    const free = Number(outside('df', ['--output=avail', '-B1', this.path]).split('\n')[1]);
    writeFileSync(join(this.path, 'somebody_elses_file'), new Uint8Array(Math.max(0, free - leaveBytes)));
  }

  close(): void {
    spawnSync('umount', ['-l', this.path]);
  }
}

/** Why file-size limits cannot be set; undefined when they can. */
export const noFileLimits = (): string | undefined => {
  const { status, error } = spawnSync('prlimit', ['--version']);
  return status === 0 ? undefined : `prlimit cannot be run: ${error?.message ?? status}`;
};

/** Limits the soft size of files, which can be lifted again. */
export const fileLimit = (bytes: number): readonly string[] => ['prlimit', `--fsize=${bytes}:`];

/** @param to another limit; none unless given */
export const liftFileLimit = (pid: number, to?: number): void => {
  outside('prlimit', ['--pid', String(pid), `--fsize=${to ?? 'unlimited'}:`]);
};

/** Everything is in memory, and the disk takes no more of it. */
export const untilFullOfMemory = (network: FaultNetwork, daemon: FaultyDaemon): Promise<DaemonStatus> =>
  daemon.until(
    'a whole map in memory, and a full disk',
    (status) => network.hasAll(status) && status.store.state === 'degraded',
  );

/** Punches holes into the file of a daemon that is in sync, and sees it whole again at a price that is bounded. */
export const holesHeal = async (
  network: FaultNetwork,
  daemon: FaultyDaemon,
  rng: Rng,
  count: number,
): Promise<{ lost: number; received: number }> => {
  const { received_bytes, store } = await daemon.untilWritten();
  const whole = readFileSync(daemon.store);
  const holes = drawHoles(rng, count, store.bytes);
  punch(daemon.store, holes);
  await daemon.until('the damage is found', ({ store: { rewrites } }) => rewrites > store.rewrites);
  await network.untilAll(daemon, 'all is back');
  const healed = await daemon.until('nothing is asked for any more', ({ sync }) => sync.refetchLeft === 0);
  await daemon.untilWritten();
  const lost = bytesHit(whole, holes);
  const received = healed.received_bytes - received_bytes;
  assert.ok(received <= 3 * lost + 200_000, `${lost} bytes of records were hit, ${received} received`);
  network.assertWhole(readFileSync(daemon.store));
  return { lost, received };
};
