import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { toHex } from '../base/bytes.ts';
import { OperationalError } from '../base/errors.ts';
import { type Rng, seededRng } from '../base/rng.ts';
import { loadEngine } from '../crypto/engine.ts';
import { loadNodeKey } from './node_key.ts';

const folders: string[] = [];
const freshFolder = (): string => {
  const folder = mkdtempSync(join(tmpdir(), 'gossipd-key-'));
  folders.push(folder);
  return folder;
};
after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});
const always = (byte: number): Rng => ({
  bytes: (length) => new Uint8Array(length).fill(byte),
  fraction: () => 0,
});

test('makes a key once, for its owner only, and reads the same one afterwards', () => {
  const folder = freshFolder();
  const made = loadNodeKey(folder, seededRng(1));
  assert.deepEqual(loadNodeKey(folder, seededRng(2)), made);
  assert.equal(readFileSync(join(folder, 'node_key'), 'utf8'), `${toHex(made)}\n`);
  assert.equal(statSync(join(folder, 'node_key')).mode & 0o777, 0o600);
  assert.equal(existsSync(join(folder, 'node_key.tmp')), false);
});

test('a key that others may read becomes private again', () => {
  const folder = freshFolder();
  loadNodeKey(folder, seededRng(1));
  writeFileSync(join(folder, 'node_key'), readFileSync(join(folder, 'node_key')), { mode: 0o644 });
  loadNodeKey(folder, seededRng(1));
  assert.equal(statSync(join(folder, 'node_key')).mode & 0o777, 0o600);
});

test('whatever the random source gives, the key is valid', () => {
  const engine = loadEngine('fastest');
  const secret = loadNodeKey(freshFolder(), always(0xff));
  assert.equal(engine.publicKey(secret).length, 33);
});

test('bad_node_key: a file that holds no secret key stops the start and is left as it is', () => {
  const order = 'fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141';
  for (const text of [
    '',
    'hello',
    '00'.repeat(32),
    'ab'.repeat(31),
    'ab'.repeat(33),
    order,
    'ff'.repeat(32),
    'zz'.repeat(32),
  ]) {
    const folder = freshFolder();
    const path = join(folder, 'node_key');
    writeFileSync(path, text);
    assert.throws(
      () => loadNodeKey(folder, seededRng(1)),
      (error: unknown) =>
        error instanceof OperationalError &&
        error.code === 'bad_node_key' &&
        /mv .*node_key/.test(error.hint),
      text,
    );
    assert.equal(readFileSync(path, 'utf8'), text);
  }
});
