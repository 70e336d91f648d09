/**
 * Bytes of bitcoin transactions and blocks for tests: segwit and old transactions, coinbases with a witness commitment, merkle
 * trees and 80-byte headers, as nodes send them. fake_chain.ts joins them to a chain.
 *
 * Scripts and witnesses have the right shape and the right hashes; signatures are made up, and there is no proof of work.
 * Hashes named `…Hash` are bytes in the order in which they are hashed; text is always as people write it (reversed).
 */
import { compareBytes, concatBytes, own, toHex } from '../../src/base/bytes.ts';
import { doubleSha256 as doubleSha256Buffer, sha256 } from '../../src/crypto/hash.ts';

export interface FakeInput {
  /** The spent output's transaction, as people write it. */
  readonly txid: string;
  readonly vout: number;
  /** Empty: spent by an (empty) scriptSig, as before segwit. */
  readonly witness: readonly Uint8Array[];
}

export interface FakeOutput {
  readonly satoshis: bigint;
  readonly script: Uint8Array;
}

export interface FakeTx {
  /** As people write it: 64 hex digits, reversed. */
  readonly txid: string;
  readonly wtxid: string;
  readonly inputs: readonly FakeInput[];
  readonly outputs: readonly FakeOutput[];
  /** As it is sent, with its witness if it has one. */
  readonly raw: Uint8Array;
}

/** As a plain array, which compares equal to slices of blocks. */
const doubleSha256 = (bytes: Uint8Array): Uint8Array => own(doubleSha256Buffer(bytes));

export const EMPTY = new Uint8Array(0);

export const u32le = (value: number): Uint8Array =>
  Uint8Array.of(value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24);

export const u64le = (value: bigint): Uint8Array =>
  concatBytes(u32le(Number(value & 0xffff_ffffn)), u32le(Number(value >> 32n)));

export const compactSize = (value: number): Uint8Array => {
  if (value < 0xfd) return Uint8Array.of(value);
  if (value <= 0xffff) return Uint8Array.of(0xfd, value & 0xff, value >>> 8);
  return concatBytes(Uint8Array.of(0xfe), u32le(value));
};

export const varBytes = (bytes: Uint8Array): Uint8Array => concatBytes(compactSize(bytes.length), bytes);

/** Bytes in hashing order as people write them. */
export const toText = (hash: Uint8Array): string => toHex(Uint8Array.from(hash).reverse());

/** What people write, in hashing order. */
export const fromText = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex')).reverse();

/** Electrum's key of a script: its SHA-256, reversed, as hex. */
export const scripthashOf = (script: Uint8Array): string => toText(sha256(script));

/** OP_2 <lesser key> <greater key> OP_2 OP_CHECKMULTISIG (BOLT 3, Funding Transaction Output). */
export const fundingWitnessScript = (key1: Uint8Array, key2: Uint8Array): Uint8Array => {
  const [lesser, greater] = compareBytes(key1, 0, key2, 0, 33) <= 0 ? [key1, key2] : [key2, key1];
  return concatBytes(Uint8Array.of(0x52, 33), lesser, Uint8Array.of(33), greater, Uint8Array.of(0x52, 0xae));
};

export const p2wsh = (witnessScript: Uint8Array): Uint8Array =>
  concatBytes(Uint8Array.of(0x00, 0x20), sha256(witnessScript));

/** 20 bytes of program. */
export const p2wpkh = (program: Uint8Array): Uint8Array => concatBytes(Uint8Array.of(0x00, 0x14), program);

/** A made-up DER signature with its sighash byte: 71 bytes. */
export const madeUpSignature = (random: Uint8Array): Uint8Array =>
  concatBytes(
    Uint8Array.of(0x30, 0x44, 0x02, 0x20, 0x11),
    random.subarray(0, 31),
    Uint8Array.of(0x02, 0x20, 0x22),
    random.subarray(31, 62),
    Uint8Array.of(0x01),
  );

interface TxParts {
  readonly inputs: readonly FakeInput[];
  readonly outputs: readonly FakeOutput[];
  readonly scriptSig?: Uint8Array;
  readonly locktime?: number;
}

/** Transaction of version 2. With a witness anywhere it is serialised as segwit, else as of old. */
export const makeTx = ({ inputs, outputs, scriptSig = EMPTY, locktime = 0 }: TxParts): FakeTx => {
  const version = u32le(2);
  const hasWitness = inputs.some(({ witness }) => witness.length > 0);
  const ins = concatBytes(
    compactSize(inputs.length),
    ...inputs.map(({ txid, vout }) =>
      concatBytes(fromText(txid), u32le(vout), varBytes(scriptSig), u32le(0xffff_fffd)),
    ),
  );
  const outs = concatBytes(
    compactSize(outputs.length),
    ...outputs.map(({ satoshis, script }) => concatBytes(u64le(satoshis), varBytes(script))),
  );
  const witnesses = concatBytes(
    ...inputs.map(({ witness }) => concatBytes(compactSize(witness.length), ...witness.map(varBytes))),
  );
  const stripped = concatBytes(version, ins, outs, u32le(locktime));
  const raw = hasWitness
    ? concatBytes(version, Uint8Array.of(0x00, 0x01), ins, outs, witnesses, u32le(locktime))
    : stripped;
  return {
    txid: toText(doubleSha256(stripped)),
    wtxid: toText(doubleSha256(raw)),
    inputs,
    outputs,
    raw,
  };
};

/** Levels of the merkle tree, leaves first; an odd last node is paired with itself. */
const merkleLevels = (leaves: readonly Uint8Array[]): readonly (readonly Uint8Array[])[] => {
  const levels: (readonly Uint8Array[])[] = [leaves];
  let level = leaves;
  while (level.length > 1) {
    const above: Uint8Array[] = [];
    for (let index = 0; index < level.length; index += 2) {
      const left = level[index] ?? EMPTY;
      above.push(doubleSha256(concatBytes(left, level[index + 1] ?? left)));
    }
    levels.push(above);
    level = above;
  }
  return levels;
};

export const merkleRootHash = (leaves: readonly Uint8Array[]): Uint8Array =>
  merkleLevels(leaves).at(-1)?.[0] ?? new Uint8Array(32);

/** The other nodes on the way from leaf `index` to the root, lowest first, as people write them. */
export const merkleBranch = (leaves: readonly Uint8Array[], index: number): string[] => {
  const levels = merkleLevels(leaves);
  return levels.slice(0, -1).map((level, depth) => {
    const at = index >>> depth;
    return toText(level[at ^ 1] ?? level[at] ?? EMPTY);
  });
};

/** First transaction of a block: BIP 34 height, the reserved witness value, and the commitment to `wtxids` (BIP 141). */
export const makeCoinbase = (height: number, extra: Uint8Array, wtxids: readonly string[]): FakeTx => {
  const reserved = new Uint8Array(32);
  const root = merkleRootHash([new Uint8Array(32), ...wtxids.map(fromText)]);
  const commitment = doubleSha256(concatBytes(root, reserved));
  return makeTx({
    inputs: [{ txid: '00'.repeat(32), vout: 0xffff_ffff, witness: [reserved] }],
    // A push of three bytes of height, then what makes blocks of one height differ.
    scriptSig: concatBytes(Uint8Array.of(3), u32le(height).subarray(0, 3), varBytes(extra)),
    outputs: [
      { satoshis: 5_000_000_000n, script: p2wpkh(sha256(extra).subarray(0, 20)) },
      { satoshis: 0n, script: concatBytes(Uint8Array.of(0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed), commitment) },
    ],
  });
};

/** 80 bytes. `previous` as people write it. */
export const makeHeader = (
  previous: string,
  txids: readonly string[],
  time: number,
  nonce: number,
): Uint8Array =>
  concatBytes(
    u32le(0x2000_0000),
    fromText(previous),
    merkleRootHash(txids.map(fromText)),
    u32le(time),
    u32le(0x207f_ffff),
    u32le(nonce),
  );

/** The first block of regtest as every node knows it, of 285 bytes. */
const REGTEST_GENESIS_HEADER =
  `01000000${'00'.repeat(32)}3ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a` +
  'dae5494dffff7f2002000000';
const GENESIS_SCRIPT_SIG =
  '04ffff001d0104455468652054696d65732030332f4a616e2f32303039204368616e63656c6c6f72206f6e206272696e6b206f66' +
  '207365636f6e64206261696c6f757420666f722062616e6b73';
const GENESIS_SCRIPT =
  '4104678afdb0fe5548271967f1a67130b7105cd6a828e03909a67962e0ea1f61deb649f6bc3f4cef38c4f35504e51ec112de5c384df7' +
  'ba0b8d578a4c702b6bf11d5fac';

export const regtestGenesis = (): { readonly header: Uint8Array; readonly coinbase: FakeTx } => {
  const script = Uint8Array.from(Buffer.from(GENESIS_SCRIPT, 'hex'));
  const raw = concatBytes(
    u32le(1),
    Uint8Array.of(1),
    new Uint8Array(32),
    u32le(0xffff_ffff),
    varBytes(Uint8Array.from(Buffer.from(GENESIS_SCRIPT_SIG, 'hex'))),
    u32le(0xffff_ffff),
    Uint8Array.of(1),
    u64le(5_000_000_000n),
    varBytes(script),
    u32le(0),
  );
  const txid = toText(doubleSha256(raw));
  return {
    header: Uint8Array.from(Buffer.from(REGTEST_GENESIS_HEADER, 'hex')),
    coinbase: {
      txid,
      wtxid: txid,
      inputs: [{ txid: '00'.repeat(32), vout: 0xffff_ffff, witness: [] }],
      outputs: [{ satoshis: 5_000_000_000n, script }],
      raw,
    },
  };
};
