/**
 * Runs the BOLT 8 handshake of one connection over a byte stream: gathers whole acts out of chunks of any size and
 * hands them to noise/. Connection writes what it is told to send and goes on with the transport.
 *
 * Bound: one act (66 bytes at most) and the chunk being read are held.
 */
import { concatBytes, own } from '../base/bytes.ts';
import type { Rng } from '../base/rng.ts';
import type { SignatureEngine } from '../crypto/engine.ts';
import type { Transport } from '../noise/framing.ts';
import {
  ACT_ONE_BYTES,
  ACT_THREE_BYTES,
  ACT_TWO_BYTES,
  type HandshakeStep,
  InitiatorHandshake,
  ResponderHandshake,
} from '../noise/handshake.ts';

export interface HandshakeOptions {
  readonly engine: SignatureEngine;
  /** Our 32-byte secret key. */
  readonly localSecret: Uint8Array;
  /** Key of the node that we dial; undefined when it dialled us. */
  readonly remoteKey: Uint8Array | undefined;
  readonly rng: Rng;
}

export type HandshakeProgress =
  | { readonly state: 'waiting'; readonly send?: Uint8Array }
  | { readonly state: 'failed'; readonly reason: string }
  | {
      readonly state: 'done';
      readonly send?: Uint8Array;
      readonly transport: Transport;
      /** The other side's key, 33 bytes. */
      readonly remoteKey: Uint8Array;
      /** What came behind the last act: the first frames. */
      readonly rest: Uint8Array;
    };

/** B8-05: fresh for each session. */
const ephemeralSecret = (rng: Rng): Uint8Array => {
  for (;;) {
    const secret = rng.bytes(32);
    // Zero and values above the group order are not keys (chance below 2^-127).
    if (secret.some((byte) => byte !== 0) && secret[0] !== 0xff) return secret;
  }
};

export class HandshakeDriver {
  readonly #options: HandshakeOptions;
  #next: ((act: Uint8Array) => HandshakeStep) | undefined;
  #actBytes = 0;
  #gathered: Uint8Array = new Uint8Array(0);

  constructor(options: HandshakeOptions) {
    this.#options = options;
  }

  /** Bytes of an act that is not whole yet. */
  get heldBytes(): number {
    return this.#gathered.length;
  }

  /** Called once, first. The initiator's act one is to be sent at once. */
  begin(): HandshakeProgress {
    const { engine, localSecret, remoteKey, rng } = this.#options;
    const secrets = { engine, localSecret, ephemeralSecret: ephemeralSecret(rng) };
    if (remoteKey === undefined) {
      const responder = new ResponderHandshake(secrets);
      this.#expect(ACT_ONE_BYTES, (actOne) => {
        this.#expect(ACT_THREE_BYTES, (actThree) => responder.receiveActThree(actThree));
        return responder.receiveActOne(actOne);
      });
      return { state: 'waiting' };
    }
    // Addresses come from DNS seeds too, and half of all 33-byte strings are no key (B8-12).
    if (!engine.isPoint(remoteKey)) return { state: 'failed', reason: 'the node id is no key' };
    const initiator = new InitiatorHandshake({ ...secrets, remoteKey });
    this.#expect(ACT_TWO_BYTES, (actTwo) => initiator.receive(actTwo));
    return { state: 'waiting', send: initiator.start() };
  }

  /** Takes the next bytes of the stream, borrowed. After `failed` or `done` it is not called again. */
  take(chunk: Uint8Array): HandshakeProgress {
    this.#gathered = this.#gathered.length === 0 ? own(chunk) : concatBytes(this.#gathered, chunk);
    let send: Uint8Array | undefined;
    while (this.#next !== undefined && this.#gathered.length >= this.#actBytes) {
      const act = this.#gathered.subarray(0, this.#actBytes);
      this.#gathered = this.#gathered.subarray(this.#actBytes);
      const step = this.#next(act);
      // B8-08, B8-10, B8-11: a failed handshake ends without an answer.
      if (!step.ok) return { state: 'failed', reason: step.reason };
      send = step.send ?? send;
      if (step.transport === undefined) continue;
      const remoteKey = own(step.remoteKey ?? this.#options.remoteKey ?? new Uint8Array(0));
      const done = { state: 'done', transport: step.transport, remoteKey, rest: this.#gathered } as const;
      return send === undefined ? done : { ...done, send };
    }
    return send === undefined ? { state: 'waiting' } : { state: 'waiting', send };
  }

  #expect(bytes: number, next: (act: Uint8Array) => HandshakeStep): void {
    this.#actBytes = bytes;
    this.#next = next;
  }
}
