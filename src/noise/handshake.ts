/**
 * The BOLT 8 handshake, Noise_XK over secp256k1, as two state machines that are fed whole acts: InitiatorHandshake for the
 * side that dials and knows the other's node id, ResponderHandshake for the side that is dialled.
 *
 * peer/connection gathers the bytes, sends what a step gives it, and gets the Transport from the last step. Pure: the
 * ephemeral secret comes from outside and must be fresh and random for every handshake (B8-05).
 * A failed step is final. It says why, for our log only: nothing is sent to the peer (B8-08 to B8-12).
 */
import { concatBytes } from '../base/bytes.ts';
import { assert } from '../base/errors.ts';
import type { SignatureEngine } from '../crypto/engine.ts';
import { sha256 } from '../crypto/hash.ts';
import { PUBLIC_KEY_BYTES } from '../crypto/sizes.ts';
import { Transport } from './framing.ts';
import { hkdf } from './hkdf.ts';
import { nodeOpen, nodeSeal, TAG_BYTES } from './node_aead.ts';

/** Version, ephemeral key, tag. */
export const ACT_ONE_BYTES = 50;
/** Version, ephemeral key, tag. */
export const ACT_TWO_BYTES = 50;
/** Version, encrypted static key with its tag, tag. */
export const ACT_THREE_BYTES = 66;

const VERSION = 0;
const KEY_AT = 1;
const NOTHING = new Uint8Array(0);
const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);
/** The chaining key that every handshake starts with (B8-01). */
const FIRST_CHAINING_KEY = sha256(ascii('Noise_XK_secp256k1_ChaChaPoly_SHA256'));
const FIRST_DIGEST = sha256(concatBytes(FIRST_CHAINING_KEY, ascii('lightning')));

export type HandshakeFailure = 'act_bad_version' | 'act_bad_key' | 'act_bad_tag' | 'act_bad_length';

export type HandshakeStep =
  | {
      readonly ok: true;
      /** The act to send next. */
      readonly send?: Uint8Array;
      /** The handshake is done. */
      readonly transport?: Transport;
      /** The responder learns the initiator's node id with the last act: 33 bytes, a valid point. */
      readonly remoteKey?: Uint8Array;
    }
  | { readonly ok: false; readonly reason: HandshakeFailure };

const failed = (reason: HandshakeFailure): HandshakeStep => ({ ok: false, reason });

/** What both sides keep: the transcript digest `h`, the chaining key `ck`, and the temporary key of the latest ECDH. */
class HandshakeState {
  #digest: Uint8Array;
  #chainingKey: Uint8Array = FIRST_CHAINING_KEY;
  #temporaryKey: Uint8Array = NOTHING;

  /** B8-02: both sides begin with the responder's static key. */
  constructor(responderKey: Uint8Array) {
    this.#digest = FIRST_DIGEST;
    this.mixBytes(responderKey);
  }

  mixBytes(bytes: Uint8Array): void {
    this.#digest = sha256(concatBytes(this.#digest, bytes));
  }

  mixSecret(sharedSecret: Uint8Array): void {
    [this.#chainingKey, this.#temporaryKey] = hkdf(this.#chainingKey, sharedSecret);
  }

  /** Encrypts under the transcript so far, then adds the ciphertext to it. */
  seal(nonce: number, text: Uint8Array): Uint8Array {
    const sealed = new Uint8Array(text.length + TAG_BYTES);
    nodeSeal(this.#temporaryKey, nonce, text, sealed, 0, this.#digest);
    this.mixBytes(sealed);
    return sealed;
  }

  /** Undefined if the tag is wrong. */
  open(nonce: number, sealed: Uint8Array): Uint8Array | undefined {
    const text = nodeOpen(this.#temporaryKey, nonce, sealed, this.#digest);
    this.mixBytes(sealed);
    return text;
  }

  /** The initiator sends with the first key and receives with the second. */
  transport(side: 'initiator' | 'responder'): Transport {
    const [first, second] = hkdf(this.#chainingKey, NOTHING);
    const chainingKey = this.#chainingKey;
    return side === 'initiator'
      ? new Transport({ chainingKey, sendingKey: first, receivingKey: second })
      : new Transport({ chainingKey, sendingKey: second, receivingKey: first });
  }
}

/** B8-03, B8-04: the exact length, then the version. */
const actFault = (act: Uint8Array, bytes: number): HandshakeFailure | undefined => {
  if (act.length !== bytes) return 'act_bad_length';
  return act[0] === VERSION ? undefined : 'act_bad_version';
};

/** Acts one and two: version, our ephemeral key, and the tag over the transcript under the secret shared by it. */
const writeEphemeralAct = (
  state: HandshakeState,
  engine: SignatureEngine,
  ephemeralSecret: Uint8Array,
  otherKey: Uint8Array,
): Uint8Array => {
  const ephemeralKey = engine.publicKey(ephemeralSecret);
  state.mixBytes(ephemeralKey);
  const shared = engine.ecdh(otherKey, ephemeralSecret);
  assert(shared !== undefined, 'a handshake is started towards a valid key only');
  state.mixSecret(shared);
  return concatBytes(new Uint8Array([VERSION]), ephemeralKey, state.seal(0, NOTHING));
};

/** The sender's ephemeral key, a fresh array, when the act is good. */
const readEphemeralAct = (
  state: HandshakeState,
  engine: SignatureEngine,
  act: Uint8Array,
  ourSecret: Uint8Array,
): Uint8Array | HandshakeFailure => {
  const key = act.slice(KEY_AT, KEY_AT + PUBLIC_KEY_BYTES);
  const shared = engine.ecdh(key, ourSecret);
  if (shared === undefined) return 'act_bad_key';
  state.mixBytes(key);
  state.mixSecret(shared);
  return state.open(0, act.subarray(KEY_AT + PUBLIC_KEY_BYTES)) === undefined ? 'act_bad_tag' : key;
};

export interface InitiatorOptions {
  readonly engine: SignatureEngine;
  /** Our node's secret key. */
  readonly localSecret: Uint8Array;
  /** The node id that is dialled: 33 bytes. `start` throws Bug if it is no point, so check what people type. */
  readonly remoteKey: Uint8Array;
  /** Fresh random 32 bytes (B8-05). */
  readonly ephemeralSecret: Uint8Array;
}

/** `start`, send; `receive` act two, send; done. Each once. */
export class InitiatorHandshake {
  readonly #options: InitiatorOptions;
  readonly #state: HandshakeState;
  #next: 'start' | 'act_two' | 'nothing' = 'start';

  constructor(options: InitiatorOptions) {
    this.#options = options;
    this.#state = new HandshakeState(options.remoteKey);
  }

  /** Act one. */
  start(): Uint8Array {
    assert(this.#next === 'start', 'a handshake starts once');
    this.#next = 'act_two';
    const { engine, ephemeralSecret, remoteKey } = this.#options;
    return writeEphemeralAct(this.#state, engine, ephemeralSecret, remoteKey);
  }

  /** Takes act two, borrowed; gives act three and the Transport. */
  receive(actTwo: Uint8Array): HandshakeStep {
    assert(this.#next === 'act_two', 'act two comes once, after act one');
    this.#next = 'nothing';
    const fault = actFault(actTwo, ACT_TWO_BYTES);
    if (fault !== undefined) return failed(fault);
    const { engine, localSecret, ephemeralSecret } = this.#options;
    const state = this.#state;
    const remoteEphemeral = readEphemeralAct(state, engine, actTwo, ephemeralSecret);
    if (typeof remoteEphemeral === 'string') return failed(remoteEphemeral);
    const sealedKey = state.seal(1, engine.publicKey(localSecret));
    const shared = engine.ecdh(remoteEphemeral, localSecret);
    if (shared === undefined) return failed('act_bad_key');
    state.mixSecret(shared);
    const send = concatBytes(new Uint8Array([VERSION]), sealedKey, state.seal(0, NOTHING));
    return { ok: true, send, transport: state.transport('initiator') };
  }
}

export interface ResponderOptions {
  readonly engine: SignatureEngine;
  /** Our node's secret key. */
  readonly localSecret: Uint8Array;
  /** Fresh random 32 bytes (B8-05). */
  readonly ephemeralSecret: Uint8Array;
}

/** `receiveActOne`, send; `receiveActThree`; done. Each once. */
export class ResponderHandshake {
  readonly #options: ResponderOptions;
  readonly #state: HandshakeState;
  #next: 'act_one' | 'act_three' | 'nothing' = 'act_one';

  constructor(options: ResponderOptions) {
    this.#options = options;
    this.#state = new HandshakeState(options.engine.publicKey(options.localSecret));
  }

  /** Takes act one, borrowed; gives act two. */
  receiveActOne(act: Uint8Array): HandshakeStep {
    assert(this.#next === 'act_one', 'act one comes once');
    this.#next = 'nothing';
    const fault = actFault(act, ACT_ONE_BYTES);
    if (fault !== undefined) return failed(fault);
    const { engine, localSecret, ephemeralSecret } = this.#options;
    const remoteEphemeral = readEphemeralAct(this.#state, engine, act, localSecret);
    if (typeof remoteEphemeral === 'string') return failed(remoteEphemeral);
    this.#next = 'act_three';
    return { ok: true, send: writeEphemeralAct(this.#state, engine, ephemeralSecret, remoteEphemeral) };
  }

  /** Takes act three, borrowed; gives the initiator's node id and the Transport. */
  receiveActThree(act: Uint8Array): HandshakeStep {
    assert(this.#next === 'act_three', 'act three comes once, after a good act one');
    this.#next = 'nothing';
    const fault = actFault(act, ACT_THREE_BYTES);
    if (fault !== undefined) return failed(fault);
    const { engine, ephemeralSecret } = this.#options;
    const state = this.#state;
    const sealedKeyEnd = KEY_AT + PUBLIC_KEY_BYTES + TAG_BYTES;
    const remoteKey = state.open(1, act.subarray(KEY_AT, sealedKeyEnd));
    if (remoteKey === undefined) return failed('act_bad_tag');
    const shared = engine.ecdh(remoteKey, ephemeralSecret);
    if (shared === undefined) return failed('act_bad_key');
    state.mixSecret(shared);
    if (state.open(0, act.subarray(sealedKeyEnd)) === undefined) return failed('act_bad_tag');
    return { ok: true, remoteKey, transport: state.transport('responder') };
  }
}
