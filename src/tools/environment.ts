/** What a report says about the machine: program, Node, system, and the file system that holds the store. */
import { statfsSync } from 'node:fs';
import { arch, platform, release } from 'node:os';
import type { Environment } from '../repair/evidence.ts';

/** Magic numbers of statfs(2) for file systems that matter here. */
const FILE_SYSTEMS: ReadonlyMap<number, string> = new Map([
  [0xef53, 'ext4'],
  [0x58465342, 'xfs'],
  [0x9123683e, 'btrfs'],
  [0x2fc12fc1, 'zfs'],
  [0x01021994, 'tmpfs'],
  [0x6969, 'nfs'],
  [0x794c7630, 'overlayfs'],
  [0xff534d42, 'cifs'],
  [0x65735546, 'fuse'],
  [0x01021997, '9p'],
]);

const fileSystemOf = (path: string): string => {
  try {
    const { type } = statfsSync(path);
    return FILE_SYSTEMS.get(type) ?? `0x${type.toString(16)}`;
  } catch {
    return 'unknown';
  }
};

export const environmentOf = (version: string, path: string): Environment => ({
  gossipd: version,
  node: process.version,
  system: `${platform()} ${release()} ${arch()}`,
  file_system: fileSystemOf(path),
});
