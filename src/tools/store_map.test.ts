import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { flipBit, goodStore } from '../store/damaged_stores.test.support.ts';
import { NO_FUNDS } from './exit_bits.ts';

const folder = mkdtempSync(join(tmpdir(), 'gossipd-store-map-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const { bytes, records } = goodStore(16, 40, { withDeleted: true });
const sound = join(folder, 'sound');
const damaged = join(folder, 'damaged');
writeFileSync(sound, bytes);
writeFileSync(damaged, flipBit(bytes, records[20]!.position + 30, 0));

/** As a person would call it, from a folder of its own. */
const storeMap = (
  ...args: readonly string[]
): { readonly code: number | null; readonly out: string; readonly err: string } => {
  const source = `const { main } = await import(${JSON.stringify(new URL('../main.js', import.meta.url).href)}); await main(process.argv.slice(1));`;
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--input-type=module', '-e', source, '--', 'store-map', ...args],
    { cwd: folder, encoding: 'utf8', env: { ...process.env, HOME: folder, NO_COLOR: '1' } },
  );
  return { code: status, out: stdout, err: stderr };
};

test('a sound store is drawn, with legend and last line; exit code 0', () => {
  const { code, out, err } = storeMap(sound);
  assert.deepEqual([code, err], [0, '']);
  const lines = out.trimEnd().split('\n');
  assert.match(lines[0]!, /sound: version 16, [\d,]+ bytes, 281 records$/);
  assert.ok(lines.includes('No damage.'));
  assert.match(lines.at(-2)!, /^Next: .*gossipd check /);
  assert.equal(lines.at(-1), NO_FUNDS);
});

test('a damaged store is drawn with its damage, and the next command is check; exit code 0', () => {
  const { code, out } = storeMap(damaged, '--columns', '20', '--rows', '5');
  assert.equal(code, 0);
  assert.match(out, new RegExp(`\n  offset ${records[20]!.position}  length \\d+  bad_checksum\n`));
  assert.ok(out.includes(`Next: gossipd check ${damaged}\n`));
  assert.ok(out.split('\n').filter((line) => /^ *\d+ {2}\S+$/.test(line)).length <= 5);
});

test('as JSON it is one document with cells and totals', () => {
  const { code, out } = storeMap(damaged, '--json');
  assert.equal(code, 0);
  const found = JSON.parse(out) as {
    bytes: number;
    cells: { length: number; class: string }[];
    totals: { class: string; bytes: number }[];
    damaged: unknown[];
  };
  assert.equal(found.bytes, bytes.length);
  assert.equal(
    found.cells.reduce((sum, { length }) => sum + length, 0),
    bytes.length,
  );
  assert.equal(
    found.totals.reduce((sum, entry) => sum + entry.bytes, 0),
    bytes.length,
  );
  assert.equal(found.damaged.length, 1);
});

test('the SVG is written whole, the same each time, and never over the store or what is beside it', () => {
  const before = readFileSync(damaged);
  const { code, out } = storeMap('damaged', '--svg', 'damaged.svg');
  assert.equal(code, 0);
  assert.match(out, /The picture is in .*damaged\.svg\.\n/);
  const first = readFileSync(join(folder, 'damaged.svg'), 'utf8');
  assert.match(first, /^<svg [\s\S]*<\/svg>\n$/);
  assert.equal(storeMap('damaged', '--svg', join(folder, 'damaged.svg'), '--quiet').out, '');
  assert.equal(readFileSync(join(folder, 'damaged.svg'), 'utf8'), first);
  for (const name of [join(folder, 'damaged'), 'damaged.index']) {
    const refused = storeMap('damaged', '--svg', name);
    assert.equal(refused.code, 16);
    assert.match(refused.err, /that name belongs to the store\n +Next: /);
  }
  assert.equal(storeMap('damaged', '--svg', 'nowhere/picture.svg').code, 16);
  assert.deepEqual(readFileSync(damaged), before);
  assert.deepEqual(readdirSync(folder).sort(), ['damaged', 'damaged.svg', 'sound']);
});

test('a file that is not there is exit code 8, a wrong number 16, a time that runs out 32', () => {
  assert.equal(storeMap(join(folder, 'absent')).code, 8);
  assert.equal(storeMap(sound, '--columns', '7').code, 16);
  assert.equal(storeMap(sound, '--rows', 'many').code, 16);
  assert.equal(storeMap(sound, '--max-duration', 'soon').code, 16);
  // Eight mebibytes, so that there is a moment between two pieces in which to stop.
  const large = join(folder, 'large');
  writeFileSync(
    large,
    Buffer.concat(Array.from({ length: 200 }, (_, index) => bytes.subarray(index === 0 ? 0 : 47))),
  );
  const stopped = storeMap(large, '--max-duration', '0');
  rmSync(large);
  assert.equal(stopped.code, 32);
  assert.match(stopped.out, /Stopped early \(max_duration\)/);
});
