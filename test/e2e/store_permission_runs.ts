/** Takes the daemon's permissions away while it runs. As root, to whom they mean nothing, it runs as another user. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, readFileSync } from 'node:fs';
import { type FaultNetwork, outside } from './store_faults_runs.ts';

export const DATA_FOLDER_MODES = ['file', 'folder', 'file and folder'] as const;

/** Nobody, by number. */
const OTHER_USER = 65_534;

export interface OrdinaryUser {
  /** What the daemon is started by. */
  readonly under: readonly string[];
  readonly id: number;
}

/** Someone for whom modes count; a string says why there is none. */
export const ordinaryUser = (): OrdinaryUser | string => {
  const id = process.getuid?.();
  if (id === undefined) return 'this system has no users by number';
  if (id !== 0) return { under: [], id };
  const under = ['setpriv', '--reuid', String(OTHER_USER), '--regid', String(OTHER_USER), '--clear-groups'];
  const module = new URL('../../src/main.js', import.meta.url).pathname;
  const { status, stderr, error } = spawnSync(
    'setpriv',
    [...under.slice(1), 'cat', process.execPath, module],
    {
      encoding: 'latin1',
      maxBuffer: 1 << 30,
    },
  );
  return status === 0
    ? { under, id: OTHER_USER }
    : `root, and no other user can run this: ${error?.message ?? stderr}`;
};

/** @param what gets mode 000 for a while */
export const refusedRuns = async (
  network: FaultNetwork,
  user: OrdinaryUser,
  what: (typeof DATA_FOLDER_MODES)[number],
): Promise<void> => {
  const { house, map } = network;
  const folder = house.path('refused', what.replaceAll(' ', '_'));
  const home = house.path('refused');
  mkdirSync(folder, { recursive: true });
  if (user.under.length > 0) {
    chmodSync(house.folder, 0o755);
    outside('chmod', ['-R', 'a+rX', map.folder]);
    for (const path of [home, folder]) chownSync(path, user.id, user.id);
  }
  const daemon = await network.start({ folder, live: true, under: user.under, socketFolder: home });
  await network.untilAll(daemon, 'the first sync');
  const before = await daemon.status();
  const paths = { file: [daemon.store], folder: [folder], 'file and folder': [daemon.store, folder] }[what];
  for (const path of paths) chmodSync(path, 0);
  if (what === 'file') {
    // An open file is written whatever its mode; nobody else can read it meanwhile.
    await daemon.until('it goes on', ({ store }) => store.durable_bytes > before.store.durable_bytes);
  } else {
    const refused = await daemon.until('it is missed', ({ store }) => store.state === 'degraded');
    assert.match(refused.store.reason, /not permitted/);
    await daemon.until(
      'the map goes on',
      ({ signatures_checked }) => signatures_checked > refused.signatures_checked,
    );
  }
  for (const path of paths.toReversed()) chmodSync(path, path === folder ? 0o700 : 0o600);
  await network.untilAll(daemon, 'the mode is back');
  assert.equal((await daemon.stop()).code, 0);
  network.assertWhole(readFileSync(daemon.store));
};
