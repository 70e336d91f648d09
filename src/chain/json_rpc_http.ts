/**
 * JSON-RPC over HTTP as bitcoind speaks it: batches of calls in one request, Basic authorisation by user and password or by the
 * cookie file, which is read again when it no longer opens the door (bitcoind writes a new one at each start).
 *
 * A node that answers a batch with something that is no list (some do not know batches) gets its calls one by one.
 * Every outcome is a value: one RpcAnswer for each call, or one ChainFault for all.
 */

import { isRecord } from './bitcoind_values.ts';
import type { ChainFault } from './chain_fault.ts';
import { isFault } from './chain_fault.ts';
import { type HttpExchange, quoted, readJson } from './http_exchange.ts';
import type { HttpReply } from './http_port.ts';

export interface RpcCall {
  readonly method: string;
  readonly params: readonly (string | number | boolean)[];
}

export type RpcAnswer =
  | { readonly result: unknown }
  /** The node's own error for this call. */
  | { readonly code: number; readonly message: string };

export type RpcCredentials =
  | { readonly user: string; readonly password: string }
  /** Reads the cookie file: one line `__cookie__:PASSWORD`. May throw. */
  | { readonly readCookie: () => Promise<string> };

/** The node is still loading its block index, or verifying it. */
const RPC_IN_WARMUP = -28;

export interface JsonRpcOptions {
  readonly url: string;
  readonly credentials: RpcCredentials | undefined;
  readonly exchange: HttpExchange;
  readonly service: string;
}

const basic = (userAndPassword: string): string => {
  const utf8 = new TextEncoder().encode(userAndPassword);
  return `Basic ${btoa(Array.from(utf8, (byte) => String.fromCharCode(byte)).join(''))}`;
};

const readAnswer = (value: unknown): RpcAnswer | undefined => {
  if (!isRecord(value)) return undefined;
  const error = value['error'];
  if (error === null || error === undefined) {
    return 'result' in value ? { result: value['result'] } : undefined;
  }
  if (!isRecord(error) || typeof error['code'] !== 'number') return undefined;
  const message = error['message'];
  return { code: error['code'], message: typeof message === 'string' ? quoted(message) : '' };
};

export class JsonRpcHttp {
  readonly #options: JsonRpcOptions;
  #authorization: string | undefined;
  #takesBatches = true;

  constructor(options: JsonRpcOptions) {
    this.#options = options;
  }

  /**
   * Hands the answers, in the order of the calls, to `read`, which says what they mean or that they mean nothing. `maxBytes` bounds
   * the answer to all calls; the caller bounds their number. Passing faults are tried again inside.
   */
  calls<T>(
    calls: readonly RpcCall[],
    maxBytes: number,
    read: (answers: readonly RpcAnswer[]) => T | ChainFault,
    signal: AbortSignal,
  ): Promise<T | ChainFault> {
    return this.#options.exchange.ask(async (either) => {
      const answers = await this.#attempt(calls, maxBytes, either);
      return isFault(answers) ? answers : read(answers);
    }, signal);
  }

  async #attempt(
    calls: readonly RpcCall[],
    maxBytes: number,
    signal: AbortSignal,
  ): Promise<readonly RpcAnswer[] | ChainFault> {
    if (calls.length === 1 || !this.#takesBatches) return this.#oneByOne(calls, maxBytes, signal);
    const batch = calls.map(({ method, params }, id) => ({ jsonrpc: '1.0', id, method, params }));
    const reply = await this.#post(JSON.stringify(batch), maxBytes, signal);
    if (isFault(reply)) {
      // Perhaps another node answers next time.
      this.#takesBatches = true;
      return reply;
    }
    if (Array.isArray(reply.json)) return this.#sort(reply.json, calls.length);
    const whole = readAnswer(reply.json);
    if (whole === undefined) return this.#wrongShape('a batch');
    const warmup = this.#warmup([whole]);
    if (warmup !== undefined) return warmup;
    const answers = await this.#oneByOne(calls, maxBytes, signal);
    if (!isFault(answers)) this.#takesBatches = false;
    return answers;
  }

  async #oneByOne(
    calls: readonly RpcCall[],
    maxBytes: number,
    signal: AbortSignal,
  ): Promise<readonly RpcAnswer[] | ChainFault> {
    const answers: RpcAnswer[] = [];
    const singles = calls.map(async ({ method, params }) => {
      const reply = await this.#post(
        JSON.stringify({ jsonrpc: '1.0', id: 0, method, params }),
        maxBytes,
        signal,
      );
      if (isFault(reply)) return reply;
      const answer = readAnswer(reply.json);
      const isOurs = isRecord(reply.json) && reply.json['id'] === 0;
      // Errors about the request itself name no call.
      return answer === undefined || ('result' in answer && !isOurs) ? this.#wrongShape(method) : answer;
    });
    for (const answer of await Promise.all(singles)) {
      if (isFault(answer)) {
        this.#takesBatches = true;
        return answer;
      }
      answers.push(answer);
    }
    return this.#warmup(answers) ?? answers;
  }

  /** Answers of a batch come in any order; each names its call. */
  #sort(replies: readonly unknown[], count: number): readonly RpcAnswer[] | ChainFault {
    const answers = new Array<RpcAnswer | undefined>(count).fill(undefined);
    for (const reply of replies) {
      const id = isRecord(reply) ? reply['id'] : undefined;
      const answer = readAnswer(reply);
      if (typeof id !== 'number' || !(id in answers) || answer === undefined)
        return this.#wrongShape('a batch');
      answers[id] = answer;
    }
    const all = answers.filter((answer) => answer !== undefined);
    return all.length === count ? (this.#warmup(all) ?? all) : this.#wrongShape('a batch');
  }

  #warmup(answers: readonly RpcAnswer[]): ChainFault | undefined {
    const { service } = this.#options;
    for (const answer of answers) {
      if (!('code' in answer) || answer.code !== RPC_IN_WARMUP) continue;
      const reason = `${service} is still starting (${answer.message}): wait, it is asked again by itself`;
      return { fault: 'warming_up', reason };
    }
    return undefined;
  }

  #wrongShape(asked: string): ChainFault {
    const { service } = this.#options;
    const reason = `${service} answers ${asked} with something else: check that the address in utxo is bitcoind's RPC port`;
    return { fault: 'wrong_shape', reason };
  }

  async #post(
    body: string,
    maxBytes: number,
    signal: AbortSignal,
  ): Promise<{ readonly json: unknown } | ChainFault> {
    const known = this.#authorization;
    const fresh = known ?? (await this.#authorize());
    if (isFault(fresh)) return fresh;
    let reply = await this.#send(body, maxBytes, fresh, signal);
    if (!isFault(reply) && reply.status === 401 && known !== undefined) {
      const again = await this.#authorize();
      if (isFault(again)) return again;
      if (again !== known) reply = await this.#send(body, maxBytes, again, signal);
    }
    return isFault(reply) ? reply : this.#parse(reply);
  }

  #send(
    body: string,
    maxBytes: number,
    authorization: string,
    signal: AbortSignal,
  ): Promise<HttpReply | ChainFault> {
    const { url, exchange } = this.#options;
    const headers = {
      'content-type': 'application/json',
      ...(authorization === '' ? {} : { authorization }),
    };
    return exchange.send({ method: 'POST', url, headers, body, maxBytes }, signal);
  }

  #parse(reply: HttpReply): { readonly json: unknown } | ChainFault {
    const { service, credentials } = this.#options;
    if (reply.status === 401) {
      this.#authorization = undefined;
      const check =
        credentials !== undefined && 'readCookie' in credentials
          ? 'check that bitcoind_cookie is the .cookie file of this node'
          : 'check user and password in utxo, or set bitcoind_cookie';
      return { fault: 'unauthorised', reason: `${service} answers 401: ${check}` };
    }
    // bitcoind answers 404 and 500 with a body that says what is wrong with the call.
    const value = readJson(reply.body);
    if (value !== undefined && (reply.status === 200 || readAnswer(value) !== undefined))
      return { json: value };
    if (reply.status === 200) {
      const reason = `${service} answers with something that is not JSON: check that the address in utxo is bitcoind's RPC port`;
      return { fault: 'garbage', reason };
    }
    const reason = `${service} answers ${reply.status}: check that the address in utxo is bitcoind's RPC port`;
    return { fault: reply.status === 404 ? 'not_offered' : 'garbage', reason };
  }

  async #authorize(): Promise<string | ChainFault> {
    const { credentials, service } = this.#options;
    if (credentials === undefined) return '';
    if ('user' in credentials) {
      this.#authorization = basic(`${credentials.user}:${credentials.password}`);
      return this.#authorization;
    }
    try {
      this.#authorization = basic((await credentials.readCookie()).trim());
      return this.#authorization;
    } catch (error) {
      this.#authorization = undefined;
      const says = quoted(error instanceof Error ? error.message : String(error));
      const reason = `the cookie of ${service} cannot be read (${says}): start it, or check bitcoind_cookie`;
      return { fault: 'unauthorised', reason };
    }
  }
}
