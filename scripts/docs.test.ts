import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { maximaIn, outOfDate, unnamedMaxima, writeDocuments } from './docs.ts';

test('a missing or changed document is out of date until it is written again', () => {
  const root = mkdtempSync(join(tmpdir(), 'gossipd-docs-'));
  let text = 'one\n';
  const documents = [{ path: 'docs/a.md', text: () => text }];
  assert.deepEqual(outOfDate(root, documents), ['docs/a.md']);
  writeDocuments(root, documents);
  assert.deepEqual(outOfDate(root, documents), []);
  text = 'two\n';
  assert.deepEqual(outOfDate(root, documents), ['docs/a.md']);
  writeDocuments(root, documents);
  assert.deepEqual(outOfDate(root, documents), []);
  writeFileSync(join(root, 'docs/a.md'), 'edited by hand\n');
  assert.deepEqual(outOfDate(root, documents), ['docs/a.md']);
  rmSync(root, { recursive: true });
});

test('a maximum that docs/limits.md does not name is found', () => {
  const source = 'export const MAX_A = 1;\nconst MAX_B = 2;\nexport const MAX_C_BYTES = 3;\n';
  assert.deepEqual(maximaIn(source), ['MAX_A', 'MAX_C_BYTES']);
  assert.deepEqual(unnamedMaxima([source], 'about `MAX_A` only'), ['MAX_C_BYTES']);
  assert.deepEqual(unnamedMaxima([source], '`MAX_A`, `MAX_C_BYTES`'), []);
});
