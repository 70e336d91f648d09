import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concatBytes, fromHex, toHex } from '../base/bytes.ts';
import { FUNDING_SCRIPT_BYTES, fundingScriptPubkey } from './funding_script.ts';

// The funding keys of BOLT 3's appendix B and the scriptPubKey of its funding transaction.
const LESSER = fromHex('023da092f6980e58d2c037173180e9a465476026ee50f96695963e8efe436f54eb')!;
const GREATER = fromHex('030e9f7b623d2ccc7c9bd44d66d5ce21ce504c0acf6385a132cec6d3c39fa711c1')!;
const SCRIPT = '0020c015c4a6be010e21657068fc2e6a9d02b27ebe4d490a25846f7237f104d1a3cd';

test('the funding script is that of the BOLT 3 vector, whichever key comes first (B7-05)', () => {
  const padding = new Uint8Array(5);
  const bytes = concatBytes(padding, LESSER, GREATER);
  assert.equal(toHex(fundingScriptPubkey(bytes, 5, 38)), SCRIPT);
  assert.equal(toHex(fundingScriptPubkey(bytes, 38, 5)), SCRIPT);
});

test('scripts of other keys differ, and a script once given stays as it was', () => {
  const bytes = concatBytes(LESSER, GREATER, LESSER);
  const first = fundingScriptPubkey(bytes, 0, 33);
  const other = fundingScriptPubkey(bytes, 0, 66);
  assert.equal(first.length, FUNDING_SCRIPT_BYTES);
  assert.equal(toHex(first), SCRIPT);
  assert.notEqual(toHex(other), SCRIPT);
});
