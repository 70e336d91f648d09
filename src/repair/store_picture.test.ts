import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRng } from '../base/rng.ts';
import {
  append,
  cut,
  fileOf,
  flipBit,
  goodStore,
  noise,
  rec,
  withFlags,
  withLength,
  withVersion,
  zeros,
} from '../store/damaged_stores.test.support.ts';
import { storeFormat } from '../store/versions.ts';
import {
  cellSize,
  drawStore,
  LISTED_RANGES,
  PICTURE_CLASSES,
  type PictureClass,
  type StorePicture,
  sizeText,
} from './store_picture.ts';
import { pictureSvg, xmlText } from './store_picture_svg.ts';
import { CLASS_SIGN, pictureJson, pictureLines, shareText } from './store_picture_text.ts';
import { quietTask } from './task.ts';

const draw = (bytes: Uint8Array, columns = 16, rows = 4): Promise<StorePicture> =>
  drawStore({ file: fileOf(bytes), task: quietTask, columns, rows });

const total = (picture: StorePicture, name: PictureClass): { records: number; bytes: number } => {
  const { records, bytes } = picture.totals.find((entry) => entry.name === name)!;
  return { records, bytes };
};

/** Every byte is counted once, and the cells tile the file. */
const assertTiles = (picture: StorePicture): void => {
  const counted = picture.totals.reduce((sum, { bytes }) => sum + bytes, 0);
  assert.equal(counted, picture.bytes);
  let end = 0;
  for (const { offset, length, shows, bytes } of picture.cells) {
    assert.equal(offset, end);
    assert.ok(shows !== undefined && bytes > 0 && bytes <= length);
    end += length;
  }
  assert.equal(end, picture.bytes);
  assert.ok(picture.cells.length <= picture.columns * picture.rows);
};

test('a cell covers the smallest power of two of bytes with which the whole file fits', async () => {
  assert.equal(cellSize(0, 64), 1);
  assert.equal(cellSize(64, 64), 1);
  assert.equal(cellSize(65, 64), 2);
  assert.equal(cellSize(10 * 2 ** 40, 2048), 8 * 2 ** 30);
  assert.deepEqual([1, 2, 1024, 32_768, 2 ** 30].map(sizeText), [
    '1 byte',
    '2 bytes',
    '1 KiB',
    '32 KiB',
    '1 GiB',
  ]);
  for (const [columns, rows] of [
    [8, 1],
    [64, 32],
    [512, 512],
  ] as const) {
    const picture = await draw(goodStore(16, 30).bytes, columns, rows);
    assertTiles(picture);
    assert.ok(picture.rows <= rows);
    assert.ok(picture.cell_bytes === 1 || (picture.cell_bytes / 2) * columns * rows < picture.bytes);
  }
});

test('every record of every version counts to its class', async () => {
  for (let version = 3; version <= 16; version++) {
    const store = goodStore(version, 5, {
      withPrivate: true,
      withDying: true,
      withDeleted: true,
      withRemoved: true,
    });
    const picture = await draw(store.bytes);
    assertTiles(picture);
    assert.equal(picture.version, version);
    assert.equal(picture.records, store.records.length);
    assert.deepEqual(total(picture, 'damaged'), { records: 0, bytes: 0 });
    assert.deepEqual(total(picture, 'unknown'), { records: 0, bytes: 0 });
    assert.equal(picture.damaged_ranges, 0);
    const deleted = store.records.filter(({ flags }) => (flags & 0x8000) !== 0);
    assert.deepEqual(total(picture, 'deleted'), {
      records: deleted.length,
      bytes: deleted.reduce((sum, { position, end }) => sum + end - position, 0),
    });
    const dying = store.records.filter(({ flags }) => (flags & 0x8800) === 0x0800);
    assert.equal(total(picture, 'dying').records, version >= 12 ? dying.length : 0);
    assert.ok(total(picture, 'node').records > 0 && total(picture, 'update').records > 0);
  }
});

test('a cell shows the most important class in it, and of live records the one with most bytes', async () => {
  const store = goodStore(16, 4, { withoutNodes: true });
  const update = store.records.find(({ type }) => type === 258)!;
  const coarse = await draw(store.bytes, 8, 1);
  assert.equal(coarse.cells[0]?.shows, 'internal', 'the uuid, although most of it is an announcement');
  const middle = Math.floor((update.position + 50) / coarse.cell_bytes);
  assert.equal(coarse.cells[middle]?.shows, 'update');
  const damaged = await draw(flipBit(store.bytes, update.position + 50, 3), 8, 1);
  assert.equal(damaged.cells[middle]?.shows, 'damaged');
  const fine = await draw(store.bytes, 512, 4);
  const at = (position: number): PictureClass | undefined =>
    fine.cells[Math.floor(position / fine.cell_bytes) + 1]?.shows;
  assert.equal(at(update.position), 'update');
  assert.equal(at(store.records[1]!.position), 'announcement');
});

test('each kind of damage is shown where it is, and called what it is', async () => {
  const store = goodStore(16, 6);
  const { bytes, records } = store;
  const record = records.filter(({ type }) => type === 258)[2]!;
  const last = records.at(-1)!;
  const size = bytes.length;
  const cases: readonly [
    name: string,
    bytes: Uint8Array,
    shows: PictureClass,
    offset: number,
    length: number,
    kind: string,
  ][] = [
    [
      'body',
      flipBit(bytes, record.position + 40, 1),
      'damaged',
      record.position,
      record.end - record.position,
      'bad_checksum',
    ],
    [
      'length',
      withLength(bytes, record.position, record.length ^ 4),
      'damaged',
      record.position,
      12,
      'header_length',
    ],
    ['flags', withFlags(bytes, record.position, 0x2001), 'damaged', record.position, 12, 'header_flags'],
    ['incomplete', withFlags(bytes, record.position, 0), 'damaged', record.position, 12, 'header_completed'],
    [
      'last incomplete',
      withFlags(bytes, last.position, 0),
      'tail',
      last.position,
      last.end - last.position,
      'header_completed',
    ],
    ['torn', cut(bytes, size - 50), 'tail', last.position, last.end - last.position - 50, 'torn_tail'],
    ['zeros', append(bytes, new Uint8Array(4096)), 'damaged', size, 4096, 'zero_bytes'],
    ['version', withVersion(bytes, 0), 'damaged', 0, 1, 'version_byte'],
  ];
  for (const [name, damaged, shows, offset, length, kind] of cases) {
    const picture = await draw(damaged, 64, 32);
    assertTiles(picture);
    assert.deepEqual(picture.damaged, [{ offset, length, kind }], name);
    assert.equal(picture.damaged_ranges, 1);
    assert.equal(total(picture, shows).bytes, length, name);
    assert.equal(picture.cells[Math.ceil(offset / picture.cell_bytes)]?.shows, shows, name);
    assert.equal(picture.version, 16);
  }
});

test('records of no known type, and those whose message does not fit it, are shown as unknown', async () => {
  const { bytes, format } = goodStore(16, 3);
  const odd = rec(format, Uint8Array.of(0x77, 0x77, 1));
  const short = rec(format, Uint8Array.of(1, 0, 9, 9));
  const picture = await draw(append(bytes, odd, short));
  assertTiles(picture);
  assert.deepEqual(total(picture, 'unknown'), { records: 2, bytes: odd.length + short.length });
  assert.equal(picture.damaged_ranges, 0);
});

test('of many damaged ranges the first twenty are listed and all are counted', async () => {
  const { bytes, records } = goodStore(14, 20);
  let damaged = bytes;
  for (const record of records.filter((_, index) => index % 4 === 1))
    damaged = flipBit(damaged, record.position + 14, 2);
  const picture = await draw(damaged);
  assertTiles(picture);
  assert.equal(picture.damaged_ranges, records.filter((_, index) => index % 4 === 1).length);
  assert.equal(picture.damaged.length, LISTED_RANGES);
  assert.match(pictureLines(picture, 'x', false).join('\n'), /Damaged in \d+ places, the first 20:/);
});

test('what is no store, and an empty file, are pictures too', async () => {
  const nothing = await draw(new Uint8Array(0));
  assert.deepEqual([nothing.version_byte, nothing.cells.length, nothing.rows], [undefined, 0, 0]);
  assert.match(pictureLines(nothing, 'x', false)[0]!, /^x: an empty file$/);
  const random = await draw(seededRng(3).bytes(5000));
  assertTiles(random);
  assert.deepEqual(random.damaged, [{ offset: 0, length: 5000, kind: 'no_store' }]);
  assert.match(pictureLines(random, 'x', false)[0]!, /no record of a gossip_store can be found/);
  for (const picture of [nothing, random]) assert.match(pictureSvg(picture, 'x'), /^<svg [\s\S]*<\/svg>\n$/);
});

test('any damage gives a picture in which every byte counts once', async () => {
  const rng = seededRng(11);
  const { bytes } = goodStore(16, 12, { withDeleted: true, withDying: true });
  for (let round = 0; round < 200; round++) {
    const at = Math.floor(rng.fraction() * bytes.length);
    const length = 1 + Math.floor(rng.fraction() * 600);
    const damaged =
      round % 3 === 0
        ? noise(bytes, at, length, rng)
        : round % 3 === 1
          ? zeros(bytes, at, length)
          : cut(bytes, at);
    if (damaged.length > 0) assertTiles(await draw(damaged));
  }
});

test('a walk that is stopped shows what it saw, and says what it did not look at', async () => {
  const format = storeFormat(16)!;
  const one = rec(format, new Uint8Array(60_000).fill(0x77));
  const bytes = append(goodStore(16, 1).bytes, ...Array.from({ length: 200 }, () => one));
  let breaths = 0;
  const task = {
    cancelled: () => (breaths > 0 ? ('max_duration' as const) : undefined),
    progress: () => {},
    breathe: async () => {
      breaths++;
    },
  };
  const picture = await drawStore({ file: fileOf(bytes), task, columns: 16, rows: 4 });
  assert.equal(picture.cancelled, 'max_duration');
  assert.equal(breaths, 1);
  assert.equal(picture.cells.at(-1)?.shows, undefined);
  const lines = pictureLines(picture, 'x', false).join('\n');
  assert.match(lines, /\.\n\nStopped early \(max_duration\)/);
  assert.equal(pictureJson(picture, 'x')['cancelled'], 'max_duration');
});

test('as text every class has its own sign, rows have offsets, and colours only repeat what the signs say', async () => {
  assert.equal(new Set(Object.values(CLASS_SIGN)).size, PICTURE_CLASSES.length);
  const { bytes, records } = goodStore(16, 8, { withDeleted: true });
  const picture = await draw(flipBit(bytes, records[5]!.position + 30, 0));
  const plain = pictureLines(picture, '/a/gossip_store', false);
  const coloured = pictureLines(picture, '/a/gossip_store', true);
  const ESC = String.fromCharCode(27);
  assert.ok(!plain.join('').includes(ESC));
  assert.ok(coloured.join('').includes(ESC));
  assert.deepEqual(
    coloured.map((line) => line.replaceAll(new RegExp(`${ESC}\\[[0-9;]*m`, 'g'), '')),
    plain,
  );
  assert.match(plain[0]!, /^\/a\/gossip_store: version 16, [\d,]+ bytes, \d+ records$/);
  const grid = plain.filter((line) => /^ *\d+ {2}[#>?IXDAUN]+$/i.test(line));
  assert.equal(grid.length, picture.rows);
  assert.equal(grid.map((line) => line.trim().split('  ')[1]).join('').length, picture.cells.length);
  assert.match(plain.join('\n'), /X +8 .* deleted records: dead weight/);
  assert.match(plain.join('\n'), /Dead weight: \d+\.\d % of the file\./);
  assert.deepEqual([shareText(0, 5), shareText(1, 1_000_000), shareText(1, 3)], ['0 %', '< 0.1 %', '33.3 %']);
});

test('the SVG is the same at every run, names offsets, and can hold any file name', async () => {
  const { bytes, records } = goodStore(16, 8, { withDeleted: true });
  const picture = await draw(flipBit(bytes, records[5]!.position + 30, 0));
  const svg = pictureSvg(picture, 'a<b>&"\u0007');
  assert.equal(svg, pictureSvg(await draw(flipBit(bytes, records[5]!.position + 30, 0)), 'a<b>&"\u0007'));
  assert.ok(!svg.includes('a<b>'));
  assert.equal(xmlText('a<b>&"\'\u0000'), 'a&lt;b&gt;&amp;&quot;&#39;\uFFFD');
  for (const name of PICTURE_CLASSES) assert.match(svg, new RegExp(`<pattern id="${name}"`));
  assert.match(svg, /<title>damaged: offset \d+ to \d+, \d+ of \d+ bytes<\/title>/);
  const opened = [...svg.matchAll(/<(\w+)[^>]*[^/]>/g)].length;
  assert.equal(opened, [...svg.matchAll(/<\/\w+>/g)].length, 'every element is closed');
  const runs = [...svg.matchAll(/<title>\w+: offset (\d+) to (\d+)/g)].map((match) => [
    Number(match[1]),
    Number(match[2]),
  ]);
  let end = 0;
  for (const [from, to] of runs) {
    assert.equal(from, end);
    end = to!;
  }
  assert.equal(end, picture.bytes);
});
