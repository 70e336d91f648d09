/**
 * A bitcoind on loopback for tests: JSON-RPC (batches, Basic authorisation) and REST over a FakeChain, with the errors and statuses of
 * bitcoind 28, and faults to play. Amounts are written as bitcoind writes them: numbers with eight decimals.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { toHex } from '../../src/base/bytes.ts';
import type { FakeBlock, FakeChain } from './fake_chain.ts';

/** Every one leaves no usable answer to anything. */
export const BITCOIND_FAULTS = [
  'refuse',
  'reset',
  'status_401',
  'status_403',
  'status_404',
  'status_429',
  'status_500',
  'status_503',
  'redirect',
  'garbage',
  'empty',
  'half_json',
  'truncated',
  'endless',
  'deep',
  'number',
  'null',
] as const;

/** Faults that only JSON-RPC can have. */
export const RPC_FAULTS = [
  'warming_up',
  'numbers',
  'no_results',
  'foreign_ids',
  'missing_answers',
  'a_fault',
] as const;

/** Faults in what lookups need. */
export const LOOKUP_FAULTS = [
  'wrong_chain',
  'bad_txids',
  'no_txids',
  'bad_value',
  'text_value',
  'bad_script',
  'no_script',
] as const;

interface Call {
  readonly id: unknown;
  readonly method: string;
  readonly params: readonly unknown[];
}

class RpcError extends Error {
  readonly code: number;
  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/** Writes amounts, marked by a bigint, as numbers with eight decimals. */
const toJson = (value: unknown): string =>
  JSON.stringify(value, (_, each) =>
    typeof each === 'bigint'
      ? `@${each / 100_000_000n}.${String(each % 100_000_000n).padStart(8, '0')}@`
      : each,
  ).replace(/"@([\d.]+)@"/g, '$1');

const readBody = async (request: IncomingMessage): Promise<string> => {
  let body = '';
  for await (const chunk of request) body += String(chunk);
  return body;
};

export class FakeBitcoind {
  /** Requests seen, and calls in them (as many for REST). */
  requests = 0;
  calls = 0;
  /** `user:password`; undefined: everyone may ask. */
  login: string | undefined;
  /** Answers batches with one object, as servers do that do not know them. */
  refusesBatches = false;
  /** Heights below it are pruned. */
  prunedBelow = 0;
  isInitialBlockDownload = false;
  chainName = 'regtest';
  /** Sent in place of any raw block. */
  wrongRawBlock: Uint8Array | undefined;
  /** Called before each RPC call or REST request is answered, to change the chain in between. */
  before: ((what: string) => void) | undefined;
  /** Paths and methods in order, for tests that look at them. */
  readonly seen: string[] = [];
  readonly #chain: FakeChain;
  readonly #server: Server;
  #fault: string | undefined;
  #port = 0;

  constructor(chain: FakeChain) {
    this.#chain = chain;
    this.#server = createServer((request, response) => {
      void this.#serve(request, response).catch(() => response.destroy());
    });
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(this.#port, '127.0.0.1', resolve));
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  async play(fault: string | undefined): Promise<void> {
    const was = this.#fault;
    this.#fault = fault;
    // What hangs is let go, so that it does not count as still being asked.
    if (was === 'hang') this.#server.closeAllConnections();
    if (fault === 'refuse') await this.close();
    else if (was === 'refuse') await this.listen();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.requests++;
    const body = await readBody(request);
    if (this.#fault === 'hang') return;
    if (this.#fault === 'slow') await new Promise((resolve) => setTimeout(resolve, 15));
    if (this.#playOn(request, response)) return;
    const isRest = request.url?.startsWith('/rest/') === true;
    if (isRest) return this.#rest(request.url ?? '', response);
    const expected =
      this.login === undefined ? undefined : `Basic ${Buffer.from(this.login).toString('base64')}`;
    if (expected !== undefined && request.headers.authorization !== expected) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="jsonrpc"' }).end();
      return;
    }
    this.#rpc(body, response);
  }

  /** True when the fault has answered. */
  #playOn(request: IncomingMessage, response: ServerResponse): boolean {
    const fault = this.#fault ?? '';
    const status = /^status_(\d+)$/.exec(fault);
    const bodies: Record<string, string> = {
      garbage: '<html><body>It works!</body></html>',
      empty: '',
      half_json: '{"result":{"chain":"regtest","blo',
      deep: '['.repeat(200_000),
      number: '42',
      null: 'null',
    };
    const body = bodies[fault];
    if (status !== null) {
      response.writeHead(Number(status[1])).end(status[1] === '503' ? 'Work queue depth exceeded' : '');
    } else if (fault === 'redirect') {
      response.writeHead(302, { location: `http://127.0.0.1:${this.#port}/elsewhere` }).end();
    } else if (fault === 'reset') {
      request.socket.destroy();
    } else if (fault === 'truncated') {
      response.writeHead(200, { 'content-length': 1000 });
      response.write('{"result":');
      setImmediate(() => request.socket.destroy());
    } else if (fault === 'endless') {
      this.#pour(response);
    } else if (body !== undefined) {
      response.writeHead(200, { 'content-type': 'application/json' }).end(body);
    } else {
      return false;
    }
    return true;
  }

  /** An answer without end, as fast as it is read. */
  #pour(response: ServerResponse): void {
    response.writeHead(200);
    const chunk = Buffer.alloc(1 << 20, 0x20);
    const more = (): void => {
      while (!response.destroyed && response.write(chunk));
    };
    response.on('drain', more);
    more();
  }

  #rpc(body: string, response: ServerResponse): void {
    const asked: unknown = JSON.parse(body);
    const send = (status: number, value: unknown): void => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(`${toJson(value)}\n`);
    };
    if (!Array.isArray(asked)) {
      const answer = this.#call(asked as Call);
      return send('error' in answer && answer['error'] !== null ? 500 : 200, answer);
    }
    if (this.refusesBatches) {
      return send(500, {
        result: null,
        error: { code: -32600, message: 'Invalid Request object' },
        id: null,
      });
    }
    const answers = asked.map((each: Call) => this.#call(each));
    // Order means nothing in a batch.
    send(200, this.#fault === 'missing_answers' ? answers.slice(1) : answers.reverse());
  }

  #call({ id, method, params }: Call): Record<string, unknown> {
    this.calls++;
    this.seen.push(method);
    this.before?.(method);
    if (this.#fault === 'warming_up')
      return { result: null, error: { code: -28, message: 'Loading block index…' }, id };
    if (this.#fault === 'numbers') return { result: 42, error: null, id };
    if (this.#fault === 'a_fault') return { fault: 'refused', result: { fault: 'refused' }, error: null, id };
    if (this.#fault === 'no_results' || this.#fault === 'missing_answers') return { id };
    try {
      return {
        result: this.#method(method, params),
        error: null,
        id: this.#fault === 'foreign_ids' ? 'x' : id,
      };
    } catch (error) {
      if (!(error instanceof RpcError)) throw error;
      return { result: null, error: { code: error.code, message: error.message }, id };
    }
  }

  #method(method: string, params: readonly unknown[]): unknown {
    const [first, second, third] = params;
    switch (method) {
      case 'getblockchaininfo':
        return this.#chainInfo();
      case 'getblockhash': {
        const hash = this.#chain.hashAt(Number(first));
        if (hash === undefined) throw new RpcError(-8, 'Block height out of range');
        return hash;
      }
      case 'getblock': {
        const block = this.#chain.block(String(first));
        if (block === undefined) throw new RpcError(-5, 'Block not found');
        if (block.height < this.prunedBelow) throw new RpcError(-1, 'Block not available (pruned data)');
        return second === 0 ? toHex(this.wrongRawBlock ?? block.raw) : this.#blockJson(block);
      }
      case 'gettxout': {
        const output = this.#unspent(String(first), Number(second));
        if (third !== false) throw new RpcError(-8, 'the mempool was not asked for');
        return output === undefined ? null : { bestblock: this.#chain.tip.hash, ...output };
      }
      default:
        throw new RpcError(-32601, 'Method not found');
    }
  }

  #chainInfo(): Record<string, unknown> {
    const { height, hash } = this.#chain.tip;
    return {
      chain: this.#fault === 'wrong_chain' ? 'main' : this.chainName,
      blocks: height,
      headers: height,
      bestblockhash: hash,
      initialblockdownload: this.isInitialBlockDownload,
      pruned: this.prunedBelow > 0,
    };
  }

  #blockJson(block: FakeBlock): Record<string, unknown> {
    const { hash, height, txids, previous } = block;
    const confirmations = this.#chain.isBest(hash) ? this.#chain.height - height + 1 : -1;
    const shown =
      this.#fault === 'bad_txids'
        ? txids.map((txid) => `${txid.slice(0, 63)}g`)
        : this.#fault === 'no_txids'
          ? {}
          : txids;
    return { hash, confirmations, height, nTx: txids.length, tx: shown, previousblockhash: previous };
  }

  #unspent(txid: string, vout: number): Record<string, unknown> | undefined {
    const output = this.#chain.output(txid, vout);
    if (output === undefined || output.spentBy !== undefined) return undefined;
    const { satoshis, script, height, isCoinbase } = output;
    const values: Record<string, unknown> = { bad_value: -1, text_value: '1.00000000' };
    const scripts: Record<string, unknown> = { bad_script: { hex: '00f' }, no_script: null };
    const fault = this.#fault ?? '';
    return {
      confirmations: this.#chain.height - height + 1,
      height,
      value: values[fault] ?? satoshis,
      scriptPubKey:
        fault in scripts ? scripts[fault] : { asm: '', hex: toHex(script), type: 'witness_v0_scripthash' },
      coinbase: isCoinbase,
    };
  }

  #rest(path: string, response: ServerResponse): void {
    this.calls++;
    this.seen.push(path);
    this.before?.(path);
    const json = (value: unknown): void => {
      response.writeHead(200, { 'content-type': 'application/json' }).end(`${toJson(value)}\n`);
    };
    const missing = (text: string): void => {
      response.writeHead(404, { 'content-type': 'text/plain' }).end(`${text}\r\n`);
    };
    if (path === '/rest/chaininfo.json') return json(this.#chainInfo());
    const height = /^\/rest\/blockhashbyheight\/(\d+)\.json$/.exec(path)?.[1];
    if (height !== undefined) {
      const hash = this.#chain.hashAt(Number(height));
      return hash === undefined ? missing('Block height out of range') : json({ blockhash: hash });
    }
    const block = /^\/rest\/block\/(notxdetails\/)?([0-9a-f]{64})\.(json|bin)$/.exec(path);
    if (block !== null) {
      const found = this.#chain.block(block[2] ?? '');
      if (found === undefined) return missing(`${block[2]} not found`);
      if (found.height < this.prunedBelow) return missing(`${block[2]} not available (pruned data)`);
      if (block[3] === 'json') return json(this.#blockJson(found));
      response
        .writeHead(200, { 'content-type': 'application/octet-stream' })
        .end(this.wrongRawBlock ?? found.raw);
      return;
    }
    const outpoints = /^\/rest\/getutxos\/(.+)\.json$/.exec(path)?.[1]?.split('/');
    if (outpoints === undefined || outpoints.length > 15) {
      response.writeHead(400).end('Error: max outpoints exceeded\r\n');
      return;
    }
    const found = outpoints.map((each) => this.#unspent(each.slice(0, 64), Number(each.slice(65))));
    json({
      chainHeight: this.#chain.height,
      chaintipHash: this.#chain.tip.hash,
      bitmap: found.map((each) => (each === undefined ? '0' : '1')).join(''),
      utxos: found.filter((each) => each !== undefined),
    });
  }
}
