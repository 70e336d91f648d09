/**
 * Who may import whom, as data: the floors of the house, the files that may touch the machine, and the folder of each
 * dependency. layers.ts judges every file against it; ARCHITECTURE.md explains it. All paths are relative to src/, without
 * the ending.
 *
 * Floors point down only: a folder imports folders of lower floors, and only those named. `base` is open to everyone.
 */

export interface MayImport {
  readonly folder: string;
  /** Only these files of the folder. */
  readonly files?: readonly string[];
  /** Only `import type`: the folder hands over ports, not code. */
  readonly typesOnly?: boolean;
}

export interface Room {
  readonly floor: number;
  readonly mayImport: readonly MayImport[];
}

const all = (...folders: readonly string[]): readonly MayImport[] => folders.map((folder) => ({ folder }));

/** Followers read the store by cursor and know nothing of its writer. */
const CURSORS: MayImport = { folder: 'store', files: ['cursor', 'follow_cursor'] };

const FLOORS_1_TO_3 = [
  ...['wire', 'crypto', 'observe', 'noise', 'store', 'graph', 'chain'],
  ...['ingest', 'sync', 'peer', 'rgs', 'history', 'sinks', 'api', 'doctor', 'repair'],
];

export const ROOMS: Readonly<Record<string, Room>> = {
  base: { floor: 0, mayImport: [] },
  wire: { floor: 1, mayImport: [] },
  crypto: { floor: 1, mayImport: [] },
  observe: { floor: 1, mayImport: [] },
  noise: { floor: 2, mayImport: all('crypto') },
  store: { floor: 2, mayImport: all('wire') },
  graph: { floor: 2, mayImport: all('wire') },
  chain: { floor: 2, mayImport: all('crypto') },
  ingest: {
    floor: 3,
    mayImport: [...all('wire', 'crypto', 'store', 'graph'), { folder: 'chain', typesOnly: true }],
  },
  sync: { floor: 3, mayImport: all('wire', 'graph') },
  peer: {
    floor: 3,
    mayImport: [...all('wire', 'noise'), { folder: 'crypto', typesOnly: true }, CURSORS],
  },
  rgs: { floor: 3, mayImport: [...all('wire', 'graph'), CURSORS] },
  history: { floor: 3, mayImport: [...all('wire', 'graph'), CURSORS] },
  sinks: { floor: 3, mayImport: [...all('wire', 'graph'), CURSORS] },
  api: {
    floor: 3,
    mayImport: [
      ...all('wire', 'store', 'graph', 'observe'),
      ...['ingest', 'peer', 'sync'].map((folder) => ({ folder, typesOnly: true })),
    ],
  },
  doctor: { floor: 3, mayImport: all('wire', 'store') },
  repair: {
    floor: 3,
    mayImport: [...all('wire', 'crypto', 'store'), { folder: 'chain', typesOnly: true }],
  },
  tools: { floor: 4, mayImport: all(...FLOORS_1_TO_3) },
  simnet: { floor: 4, mayImport: all(...FLOORS_1_TO_3) },
  cln: { floor: 4, mayImport: all('wire', 'store', 'graph', 'chain', 'ingest', 'sync') },
  daemon: { floor: 5, mayImport: all(...FLOORS_1_TO_3, 'simnet', 'cln') },
  main: { floor: 6, mayImport: all('daemon', 'tools') },
};

/**
 * Type-only imports between siblings on one floor, agreed one by one. Everything else must point to a lower floor;
 * a test holds the table to that.
 */
export const AGREED_SIBLINGS: readonly string[] = ['api > ingest', 'api > peer', 'api > sync'];

/**
 * The files that may touch Node's built-ins, timers, sockets, the system's time and randomness. A name that ends in a slash
 * is a whole folder.
 */
export const MAY_TOUCH_THE_MACHINE: readonly string[] = [
  'store/store_file',
  'store/lock',
  'peer/tcp',
  'chain/fetch_http',
  'chain/tcp_lines',
  'crypto/verify_pool',
  'crypto/verify_worker',
  // Signs made-up maps in threads and keeps them in files.
  'simnet/build_map',
  'simnet/sign_worker',
  'cln/fds',
  'observe/',
  'api/',
  'sinks/',
  'tools/',
  'daemon/',
  'main',
];

/** Built-ins that are computation, not the machine, with the files that may use them. */
export const PURE_BUILT_INS: readonly { readonly name: string; readonly where: readonly string[] }[] = [
  { name: 'node:crypto', where: ['crypto/', 'noise/'] },
  { name: 'node:path', where: ['simnet/'] },
  // The native packages are CommonJS; createRequire loads them.
  { name: 'node:module', where: ['crypto/native_engine', 'noise/sodium_aead'] },
];

/** Each runtime dependency belongs to one room, so that replacing it is the work of one room. */
export const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  '@noble/curves': ['crypto/'],
  '@noble/hashes': ['crypto/'],
  secp256k1: ['crypto/'],
  'sodium-native': ['noise/'],
  pino: ['observe/'],
  commander: ['daemon/', 'main', 'tools/'],
  'smol-toml': ['daemon/'],
};

/** Names that reach the machine without an import, with what to use instead. */
export const MACHINE_NAMES: readonly { readonly pattern: RegExp; readonly instead: string }[] = [
  { pattern: /(?<![\w.#])Date\s*\.\s*now\b/g, instead: 'Clock.nowMs' },
  { pattern: /\bnew\s+Date\s*(?:\(\s*\)|(?![\s\w(]))/g, instead: 'Clock.nowMs' },
  { pattern: /(?<![\w.#])Math\s*\.\s*random\b/g, instead: 'Rng.fraction' },
  {
    pattern: /(?<![\w.#])(?:setTimeout|setInterval|setImmediate|queueMicrotask)\b(?!\s*[:?])/g,
    instead: 'Clock.after',
  },
  { pattern: /(?<![\w.#])process\s*(?:\?\.|\.|\[)/g, instead: 'an argument' },
  { pattern: /(?<![\w.#])performance\s*(?:\?\.|\.|\[)/g, instead: 'Clock.monotonicMs' },
  { pattern: /(?<![\w.#])globalThis\b/g, instead: 'an argument' },
  {
    pattern:
      /\b(?:getRandomValues|randomBytes|randomInt|randomUUID|randomFill(?:Sync)?|generateKeyPair\w*)\b/g,
    instead: 'Rng.bytes',
  },
  { pattern: /(?<![\w.#])fetch\s*\(/g, instead: 'a port' },
];

/** Only what ingest/ judged can be stored: the mint may be named here and in tests. */
export const MINT = { name: 'mintAccepted', where: ['ingest/', 'store/accepted'] } as const;

export const LIMITS = { fileLinesWarn: 400, fileLinesFail: 600, functionLinesWarn: 70 } as const;

/** Notes to oneself belong in the tracker, not in the code. */
export const BANNED_WORDS = /\b(?:TODO|FIXME|XXX)\b/g;
