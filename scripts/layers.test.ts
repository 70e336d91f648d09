import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Finding, findingText, judge, publishedIndexes } from './layers.ts';
import { AGREED_SIBLINGS, LIMITS, ROOMS } from './layers_table.ts';

const PUBLISHED = ['src/wire/index.ts'];
const judgeOne = (path: string, text: string): Finding[] => judge([{ path, text }], PUBLISHED);

/** Asserts exactly one error of a rule, at a line. */
const breaks = (path: string, text: string, rule: RegExp, line = 1): void => {
  const findings = judgeOne(path, text);
  assert.equal(
    findings.length,
    1,
    findings.map(findingText).join('\n') || `nothing found in ${path}: ${text}`,
  );
  assert.match(findings[0]!.rule, rule);
  assert.equal(findings[0]!.line, line);
  assert.equal(findings[0]!.level, 'error');
};
const keeps = (path: string, text: string): void =>
  assert.deepEqual(judgeOne(path, text).map(findingText), []);

test('the table points down: every import is of a lower floor, or an agreed import of types', () => {
  for (const [room, { floor, mayImport }] of Object.entries(ROOMS)) {
    for (const allowed of mayImport) {
      const below = ROOMS[allowed.folder];
      assert.ok(below !== undefined, `${room} names ${allowed.folder}, which has no floor`);
      const agreed = AGREED_SIBLINGS.includes(`${room} > ${allowed.folder}`) && allowed.typesOnly === true;
      assert.ok(below.floor < floor || agreed, `${room} (${floor}) > ${allowed.folder} (${below.floor})`);
    }
  }
});

test('an upward import fails and says which rooms are allowed', () => {
  const findings = judgeOne('src/wire/init.ts', "const a = 1;\nimport { b } from '../peer/connection.ts';\n");
  assert.deepEqual(findings.map(findingText), [
    'src/wire/init.ts:2: error: ../peer/connection.ts: wire (floor 1) may import only base',
  ]);
});

test('siblings, type-only, dynamic and re-exported imports are walls too', () => {
  breaks('src/store/a.ts', "import { b } from '../graph/b.ts';", /^store \(floor 2\)/);
  breaks('src/store/a.ts', "import type { B } from '../graph/b.ts';", /^store \(floor 2\)/);
  breaks('src/store/a.ts', "const b = await import('../graph/b.ts');", /^store \(floor 2\)/);
  breaks('src/wire/index.ts', "export * from '../crypto/a.ts';", /^wire \(floor 1\)/);
  breaks('src/tools/check.ts', "import { b } from '../daemon/config.ts';", /^tools \(floor 4\)/);
  breaks('src/daemon/run.ts', "import { b } from '../tools/check.ts';", /^daemon \(floor 5\)/);
  breaks('src/base/a.ts', "import { b } from '../wire/b.ts';", /^base \(floor 0\)/);
});

test('what the table allows passes', () => {
  keeps(
    'src/store/a.ts',
    "import { b } from '../wire/b.ts';\nimport { c } from '../base/c.ts';\nimport { d } from './d.ts';",
  );
  keeps('src/simnet/a.ts', "import { b } from '../peer/b.ts';\nimport { c } from '../observe/c.ts';");
  keeps('src/daemon/a.ts', "import { b } from '../simnet/b.ts';");
  keeps('src/main.ts', "import { run } from './daemon/run.ts';\nimport { check } from './tools/check.ts';");
});

test('a room that is open for cursors or for types only is closed for the rest', () => {
  keeps('src/peer/a.ts', "import type { StoreCursor } from '../store/cursor.ts';");
  breaks(
    'src/peer/a.ts',
    "import { GossipStore } from '../store/gossip_store.ts';",
    /store \(cursor, follow_cursor\)/,
  );
  keeps('src/api/a.ts', "import type { SeekerStatus } from '../sync/seeker.ts';");
  breaks('src/api/a.ts', "import { Seeker } from '../sync/seeker.ts';", /sync \(types\)/);
  breaks('src/ingest/a.ts', "import { tableLookup } from '../chain/table_file.ts';", /chain \(types\)/);
});

test('a folder without a floor fails', () => {
  breaks('src/utils/a.ts', 'export const a = 1;', /every folder of src\/ has its floor/);
});

test('src imports nothing from test, bench or scripts; its tests only the fixtures', () => {
  breaks('src/wire/a.ts', "import { b } from '../../bench/b.ts';", /nothing from outside src/);
  breaks('src/wire/a.ts', "import { b } from '../../test/fixtures/b.ts';", /nothing from outside src/);
  breaks('src/wire/a.test.ts', "import { b } from '../../test/sim/b.ts';", /nothing from outside src/);
  keeps('src/wire/a.test.ts', "import { b } from '../../test/fixtures/b.ts';");
  breaks('src/wire/a.ts', "import { b } from './b.test.ts';", /code does not import tests/);
});

test('tests beside the code may import any room and touch the machine', () => {
  keeps(
    'src/wire/a.test.ts',
    "import { b } from '../daemon/b.ts';\nimport 'node:fs';\nprocess.exit(Date.now());",
  );
});

test('what tests of a folder share is a test too, and code does not import it', () => {
  keeps('src/store/samples.test.support.ts', "import { mintAccepted } from './accepted.ts';");
  breaks('src/store/a.ts', "import { b } from './samples.test.support.ts';", /code does not import tests/);
});

test('relative imports carry the ending', () => {
  breaks('src/wire/a.ts', "import { b } from './b.js';", /\.ts ending/);
});

test('Node built-ins are for the named files', () => {
  breaks('src/store/scan.ts', "import { openSync } from 'node:fs';", /Node built-ins/);
  breaks('src/store/scan.ts', "import type { Stats } from 'node:fs';", /Node built-ins/);
  breaks('src/store/scan.ts', "import { createHash } from 'node:crypto';", /Node built-ins/);
  breaks('src/crypto/hash.ts', "import { openSync } from 'node:fs';", /Node built-ins/);
  keeps('src/crypto/hash.ts', "import { createHash } from 'node:crypto';");
  keeps('src/store/store_file.ts', "import { openSync } from 'node:fs';");
  keeps(
    'src/observe/system_clock.ts',
    "import { hrtime } from 'node:process';\nexport const now = () => Date.now();",
  );
});

test('time, timers, randomness and the process are arguments in pure code', () => {
  for (const bad of [
    'Date.now()',
    'new Date()',
    'new Date',
    'Math.random()',
    'setTimeout(f, 1)',
    'setInterval(f, 1)',
    'setImmediate(f)',
    'queueMicrotask(f)',
    'process.env',
    "process['exit']",
    'performance.now()',
    'globalThis',
    'crypto.getRandomValues(bytes)',
    'fetch(url)',
  ])
    breaks('src/graph/a.ts', `\nexport const a = ${bad};`, /^pure code takes/, 2);
  breaks('src/crypto/a.ts', "import { randomBytes } from 'node:crypto';", /Rng\.bytes/);
});

test('words that only look like the machine pass', () => {
  keeps(
    'src/graph/a.ts',
    [
      '// Date.now() and process.exit in a comment',
      "const text = 'Math.random() setTimeout(f)';",
      'const when = new Date(seconds * 1000);',
      'const process = (a: number): number => a;',
      'clock.setTimeout(f); work.process.next(); this.performance.now();',
      'const o = { fetch: 1, queueMicrotask: 2 };',
    ].join('\n'),
  );
});

test('a dependency is used in its room only', () => {
  breaks('src/graph/a.ts', "import pino from 'pino';", /package pino belongs to observe/);
  breaks('src/graph/a.ts', "import { x } from 'left-pad';", /listed in scripts\/layers_table/);
  breaks('src/graph/a.ts', "import { x } from '@noble/curves/secp256k1.js';", /belongs to crypto/);
  keeps('src/observe/a.ts', "import { pino } from 'pino';");
  keeps('src/crypto/a.ts', "import { x } from '@noble/curves/secp256k1.js';");
});

test('import() of something computed fails', () => {
  breaks('src/daemon/a.ts', 'const a = await import(name);', /one plain string/);
});

test('only ingest mints Accepted', () => {
  breaks('src/store/a.ts', 'use(mintAccepted);', /it alone mints/);
  breaks('src/daemon/a.ts', "import { mintAccepted as m } from '../store/accepted.ts';", /it alone mints/);
  keeps('src/ingest/a.ts', "import { mintAccepted } from '../store/accepted.ts';");
  keeps('src/store/a.test.ts', "import { mintAccepted } from './accepted.ts';");
  keeps('src/store/accepted.ts', 'export const mintAccepted = 1;');
});

test('there are no barrels but the published ones, and nobody inside imports those', () => {
  breaks('src/store/all.ts', "export { a } from './a.ts';", /may be a barrel/);
  breaks('src/store/all.ts', "export * from './a.ts';\nexport const b = 1;", /may be a barrel/);
  breaks(
    'src/store/all.ts',
    "export const b = 1;\nexport type { A } from '../wire/a.ts';",
    /may be a barrel/,
    2,
  );
  keeps('src/store/split.ts', "export type { A } from './a.ts';\nexport const b = 1;");
  breaks('src/ingest/index.ts', 'export const a = 1;', /no barrels/);
  keeps('src/wire/index.ts', "export * from './init.ts';");
  breaks('src/store/a.ts', "import { a } from '../wire/index.ts';", /import the file itself/);
});

test('there are no default exports', () => {
  breaks('src/store/a.ts', 'export default 1;', /no default exports/);
  breaks('src/store/a.ts', 'const a = 1;\nexport { a as default };', /no default exports/, 2);
});

test('a long file warns, a longer one fails', () => {
  const lines = (count: number): string => 'const a = 1;\n'.repeat(count);
  keeps('src/wire/a.ts', lines(LIMITS.fileLinesWarn));
  assert.deepEqual(
    judgeOne('src/wire/a.ts', lines(LIMITS.fileLinesWarn + 1)).map((finding) => finding.level),
    ['warning'],
  );
  keeps('src/wire/b.ts', lines(10));
  breaks('src/wire/a.ts', lines(LIMITS.fileLinesFail + 1), /at most 600 lines/, LIMITS.fileLinesFail + 1);
});

test('a long function warns', () => {
  const body = (lines: number): string => `const f = () => {\n${'  g();\n'.repeat(lines - 2)}};\n`;
  keeps('src/wire/a.ts', body(70));
  assert.deepEqual(judgeOne('src/wire/a.ts', body(71)).map(findingText), [
    'src/wire/a.ts:1: warning: 71 lines: a function stays under 70 lines',
  ]);
});

test('notes to oneself fail, in comments too', () => {
  breaks('src/wire/a.ts', 'const a = 1; // TODO: b', /not marked in the code/);
  breaks('src/wire/a.ts', "\nconst a = 'FIXME';", /not marked in the code/, 2);
  breaks('src/wire/a.test.ts', '/* XXX */', /not marked in the code/);
  keeps('src/wire/a.ts', "const a = 'BLOCKxTXxOUT';");
});

test('published indexes come from the exports of package.json', () => {
  assert.deepEqual(
    publishedIndexes(
      '{"exports":{"./wire":"./dist/src/wire/index.js","./package.json":"./package.json","./x":{"import":"./y.js"}}}',
    ),
    ['src/wire/index.ts'],
  );
});
