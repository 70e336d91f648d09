import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { documentText, flipped, mentionsIn, problems } from './conformance.ts';
import { LEDGER, requirement } from './conformance_ledger.ts';
import { projectRoot } from './project_root.ts';

const { bound, later, notApplicable } = requirement;
const mention = (id: string) => ({ id, path: 'src/wire/a.test.ts', line: 3 });

test('ids count in titles of tests and of cases, not in comments or other strings', () => {
  const text = [
    "test('skips unknown odd types (B1-03, B1-04)', () => {",
    '  // B1-05 is elsewhere',
    "  assert.equal(a, 'see B1-06');",
    '  t.test(`vector B8-01`, f);',
    '});',
    "const CASES = [{ title: 'act one Q-02', other: 'as R-01' }, ['B8-04', 'B8-09, B8-10']];",
    'describe(',
    "  'B10-07: a seed is a hint', f);",
    "it('XB1-09 B1-100 not ids', f);",
  ].join('\n');
  assert.deepEqual(
    mentionsIn([{ path: 'test/a.test.ts', text }]).map(({ id, line }) => `${id}:${line}`),
    ['B1-03:1', 'B1-04:1', 'B8-01:4', 'Q-02:6', 'B8-04:6', 'B8-09:6', 'B8-10:6', 'B10-07:8'],
  );
});

test('a bound requirement without a test is a problem', () => {
  const ledger = [bound('B1-03', 'must', 'any', 'odd types')];
  assert.match(problems(ledger, []).join(), /B1-03 is bound and no test names it/);
  assert.deepEqual(problems(ledger, [mention('B1-03')]), []);
});

test('a test that names an unknown id is a problem with its place', () => {
  assert.deepEqual(problems([], [mention('B1-99')]), [
    'src/wire/a.test.ts:3: B1-99 is not in the ledger: correct the title or add the id',
  ]);
});

test('a tested requirement that is still marked later is a problem that names the flip', () => {
  const found = problems([later('Q-02', 'must', 'any', 'one query')], [mention('Q-02')]);
  assert.equal(found.length, 1);
  assert.match(found[0]!, /Q-02 is marked later .*a\.test\.ts:3.*--flip/);
  assert.deepEqual(problems([later('Q-02', 'must', 'any', 'one query')], []), []);
});

test('an id that is twice in the ledger is a problem', () => {
  const twice = later('Q-02', 'must', 'any', 'one query');
  assert.match(problems([twice, twice], []).join(), /twice/);
});

test('flip follows the tests in both directions and leaves what does not apply', () => {
  const ledger = [
    later('B1-01', 'must', 'any', 'a'),
    bound('B1-02', 'must', 'any', 'b'),
    notApplicable('B1-03', 'must', 'any', 'c', 'd'),
  ];
  const source = "later('B1-01', x),\nbound(\n  'B1-02', x),\nnotApplicable('B1-03', x)";
  assert.equal(
    flipped(source, ledger, [mention('B1-01'), mention('B1-03')]),
    "bound('B1-01', x),\nlater(\n  'B1-02', x),\nnotApplicable('B1-03', x)",
  );
});

test('the document counts, links the tests once each, and says plainly what is not built', () => {
  const ledger = [
    bound('B1-01', 'must', 'any', 'first'),
    later('B1-02', 'should', 'any', 'second'),
    notApplicable('B7-08', 'must', 'origin', 'third', 'no channels'),
  ];
  const text = documentText(ledger, [mention('B1-01'), mention('B1-01')]);
  assert.match(text, /\*\*1 of 2\*\* applicable/);
  assert.match(
    text,
    /\| B1-01 \| first \| must \| \[src\/wire\/a\.test\.ts\]\(\.\.\/src\/wire\/a\.test\.ts\) \| bound \|/,
  );
  assert.match(text, /\| B1-02 \| second \| should \| {2}\| not built, or not proven, yet \|/);
  assert.match(text, /\| B7-08 \| third \| must, origin \| {2}\| not applicable: no channels \|/);
  assert.doesNotMatch(text, /BOLT 10/);
});

test('the ledger is complete: every chapter is numbered without a gap', () => {
  const last = { B8: 19, B1: 33, B7: 49, Q: 22, R: 4, B9: 4, B10: 8 };
  const expected = Object.entries(last).flatMap(([prefix, count]) =>
    Array.from({ length: count }, (_, index) => `${prefix}-${String(index + 1).padStart(2, '0')}`),
  );
  assert.deepEqual(
    LEDGER.map((each) => each.id),
    expected,
  );
  for (const { id, state, reason, what } of LEDGER) {
    assert.equal(state === 'not_applicable', reason !== undefined, id);
    assert.doesNotMatch(what, /\|/, id);
  }
});

test('every line of the ledger source can be flipped', () => {
  const source = readFileSync(join(projectRoot(), 'scripts/conformance_ledger.ts'), 'utf8');
  const all = LEDGER.map(({ id }) => mention(id));
  const changed = flipped(source, LEDGER, all);
  for (const { id, state } of LEDGER)
    if (state !== 'not_applicable') assert.match(changed, new RegExp(`bound\\(\\s*'${id}'`));
  assert.doesNotMatch(changed, /later\(\s*'/);
});
