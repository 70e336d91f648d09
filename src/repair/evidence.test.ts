import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toHex } from '../base/bytes.ts';
import {
  fileOf,
  filled,
  goodStore,
  insert,
  privateChannelOf,
  rec,
} from '../store/damaged_stores.test.support.ts';
import { announcementOf } from '../store/store_samples.test.support.ts';
import { auditOf } from './audit_bench.test.support.ts';
import { buildEvidence, EVIDENCE_BYTES, PrivateRanges } from './evidence.ts';

interface Evidence {
  readonly gossipd: string;
  readonly store: Readonly<Record<string, unknown>>;
  readonly private_records_left_out: number;
  readonly findings: readonly { readonly id: string; readonly bytes_at?: number; readonly bytes?: string }[];
}

const evidenceOf = async (bytes: Uint8Array): Promise<Evidence> => {
  const { result, findings } = await auditOf(bytes);
  const privateRanges = new PrivateRanges();
  for (const finding of findings) privateRanges.add(finding);
  const built = buildEvidence({
    file: fileOf(bytes),
    result,
    findings,
    privateRanges,
    environment: { gossipd: '1.2.3' },
  });
  return JSON.parse(JSON.stringify(built)) as Evidence;
};

test('the bytes around a finding are shown, at most so many', async () => {
  const { bytes, records } = goodStore(16, 3);
  const { position, end } = records.at(-4)!;
  const damaged = filled(bytes, position + 30, 9, 0xee);
  const evidence = await evidenceOf(damaged);
  assert.equal(evidence.gossipd, '1.2.3');
  const [finding] = evidence.findings;
  assert.equal(finding?.id, 'GS-CRC');
  assert.equal(finding?.bytes_at, position - 64);
  assert.equal(finding?.bytes, toHex(damaged, position - 64, end));
  assert.ok((finding?.bytes?.length ?? 0) <= 2 * EVIDENCE_BYTES);
  assert.equal(evidence.store['version'], 16);
});

/** Any eight bytes of the secret in a row would show. */
const assertHidden = (evidence: Evidence, secret: Uint8Array, others: Uint8Array): void => {
  const text = JSON.stringify(evidence);
  const shared = toHex(others);
  for (let at = 0; at + 8 <= secret.length; at += 4) {
    const piece = toHex(secret, at, at + 8);
    // The chain_hash is everybody's, and zeros are nobody's.
    if (/^(.)\1*$/.test(piece) || shared.includes(piece)) continue;
    assert.ok(!text.includes(piece), `bytes ${at} of the private record`);
  }
};

/** A private channel whose every byte is its own. */
const secretChannel = (): Uint8Array => {
  const announcement = announcementOf(77);
  for (let at = 2; at < 258; at++) announcement[at] = (at * 37 + 11) & 0xff;
  return privateChannelOf(5n, announcement);
};

test('private channels stay out: neither their bytes, nor their ids, nor what may be theirs', async () => {
  const { bytes, records, format } = goodStore(12, 3);
  const secret = secretChannel();
  const record = rec(format, secret);
  for (const { position } of records.slice(3, 9)) {
    const whole = insert(bytes, position, record);
    // The private record itself damaged, its neighbours damaged, its type gone.
    for (const damage of [
      position + 5,
      position + 12,
      position - 20,
      position + record.length + 20,
      position + 200,
    ]) {
      const evidence = await evidenceOf(filled(whole, damage, 9, 0xee));
      assertHidden(evidence, secret, bytes);
      assert.ok(!JSON.stringify(evidence).includes('100077x1x0'));
    }
  }
});

test('a private record left over in a newer file stays out too', async () => {
  const { bytes, records, format } = goodStore(16, 3);
  const secret = secretChannel();
  const record = rec(format, secret);
  const { position } = records[5]!;
  for (const damage of [position - 20, position + record.length + 20]) {
    const evidence = await evidenceOf(filled(insert(bytes, position, record), damage, 9, 0xee));
    assertHidden(evidence, secret, bytes);
    assert.ok(evidence.findings.some(({ id }) => id === 'GS-CRC'));
  }
});
