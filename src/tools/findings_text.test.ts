import assert from 'node:assert/strict';
import { test } from 'node:test';
import { finding } from '../store/finding.ts';
import { FindingList } from './finding_list.ts';
import { counted, findingsText, findingText, grouped, shellWord } from './findings_text.ts';

test('numbers and words for people', () => {
  assert.equal(grouped(203_233), '203,233');
  assert.deepEqual([counted(1, 'record'), counted(0, 'record')], ['1 record', '0 records']);
});

test('a path is one word for the shell', () => {
  assert.equal(shellWord('/a/b-c.d'), '/a/b-c.d');
  assert.equal(shellWord('my node'), "'my node'");
  assert.equal(shellWord("it's"), "'it'\\''s'");
  assert.equal(shellWord('-rf'), "'-rf'");
  assert.equal(shellWord(''), "''");
});

test('one finding: place, record, subject, what', () => {
  const found = finding('GS-CRC', 3044, 150, {
    record_no: 7,
    type: 'channel_update',
    short_channel_id: '1x2x3',
  });
  assert.equal(
    findingText(found),
    'at 3,044, record 7 (channel_update 1x2x3): the checksum of a record is wrong',
  );
  assert.equal(findingText(finding('GS-VERSION', 0, 1)), 'at 0: the version byte is wrong');
});

test('groups: the worst first, each with its first place; what is not listed is counted', () => {
  const list = new FindingList(3, new Set(['GS-PRIVATE']));
  assert.equal(list.add(finding('GS-PRIVATE', 1, 1)), false);
  for (const offset of [900, 500, 700, 600]) list.add(finding('GS-DUP-UPDATE', offset, 150));
  list.add(finding('GS-ENDED', 2000, 54));
  const [worst, other] = list.groups();
  assert.deepEqual([worst?.id, worst?.count, worst?.listed.length], ['GS-ENDED', 1, 0]);
  assert.deepEqual([other?.first.offset, other?.count, other?.listed.length], [500, 4, 3]);
  assert.deepEqual(
    list.listed.map(({ offset }) => offset),
    [500, 700, 900],
  );
  assert.deepEqual(list.counts, { 'GS-DUP-UPDATE': 4, 'GS-ENDED': 1 });
  assert.deepEqual([list.total, list.atLeast('warn'), list.atLeast('error'), list.repairable], [5, 5, 1, 5]);
  const text = findingsText(list);
  assert.ok(text.startsWith('GS-ENDED  error, 1 place: an end marker in a file that is in use\n'));
  assert.match(text, /\n {2}… and 1 more\n/);
});
