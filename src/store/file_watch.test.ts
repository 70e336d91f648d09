import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { OperationalError } from '../base/errors.ts';
import { watchFile } from './file_watch.ts';
import { MemoryFolder } from './memory_folder.test.support.ts';
import { nodeStoreFolder } from './store_file.ts';

const NAME = 'gossip_store';

test('what others do to the file under the name is told apart', () => {
  const path = mkdtempSync(join(tmpdir(), 'gossipd-watch-'));
  const inFolder = join(path, 'folder');
  const folder = nodeStoreFolder(path);
  try {
    const file = folder.open(NAME, 'create');
    file.write(new Uint8Array(100), 0);
    const look = (expected = 100) => watchFile(folder, NAME, file, expected);
    assert.equal(look(), 'ok');
    appendFileSync(join(path, NAME), 'x');
    assert.equal(look(), 'grown');
    assert.equal(look(101), 'ok');
    truncateSync(join(path, NAME), 40);
    assert.equal(look(), 'truncated');
    renameSync(join(path, NAME), join(path, 'aside'));
    assert.equal(look(), 'missing');
    writeFileSync(join(path, NAME), new Uint8Array(100));
    assert.equal(look(), 'replaced');
    rmSync(join(path, NAME));
    renameSync(join(path, 'aside'), join(path, NAME));
    assert.equal(look(40), 'ok');
    assert.equal(watchFile(nodeStoreFolder(inFolder), NAME, file, 40), 'folder_missing');
    file.close();
  } finally {
    rmSync(path, { recursive: true });
  }
});

test('a disk that does not answer is no missing folder', () => {
  const folder = new MemoryFolder();
  const file = folder.open(NAME, 'create');
  folder.remove(NAME);
  const refusing = {
    ...folder,
    identity: folder.identity,
    list: () => {
      throw new OperationalError('disk_error', 'degrade', 'listing: EIO', 'Look at the disk.');
    },
  };
  assert.throws(() => watchFile(refusing, NAME, file, 0), { code: 'disk_error' });
  assert.equal(watchFile(folder, NAME, file, 0), 'missing');
});
