/**
 * An Esplora server on a loopback socket over a FakeChain, with faults that a test switches on: for the contract of the Esplora backend.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { toHex } from '../../src/base/bytes.ts';
import type { FakeChain } from './fake_chain.ts';

export interface EsploraFaults {
  /** Ends every connection without an answer. */
  refuse: boolean;
  hang: boolean;
  /** Answers everything with a page of HTML and status 200. */
  garbage: boolean;
  /** Ends the connection in the middle of an answer. */
  truncated: boolean;
  /** So many answers have this status. */
  status: { code: number; times: number; retryAfterSeconds?: number } | undefined;
  wrongTransaction: boolean;
  wrongBlock: boolean;
  /** A height whose block it does not know any more. */
  forgets: number | undefined;
  otherNetwork: boolean;
  /** Does not say whether outputs are spent. */
  noOutspend: boolean;
  /** Each answer comes a little late. */
  slow: boolean;
}

/** Faults that leave no usable answer to anything. */
export const ESPLORA_FAULTS = ['refuse', 'garbage', 'truncated', 'serverError', 'busy'] as const;
/** Faults that spoil lookups, also of outputs that were found before. */
export const ESPLORA_LOOKUP_FAULTS = ['noOutspend'] as const;

const noFaults = (): EsploraFaults => ({
  refuse: false,
  hang: false,
  garbage: false,
  truncated: false,
  status: undefined,
  wrongTransaction: false,
  wrongBlock: false,
  forgets: undefined,
  otherNetwork: false,
  noOutspend: false,
  slow: false,
});

type Body = string | Uint8Array | object | undefined;

export class FakeEsplora {
  readonly faults = noFaults();
  /** Paths asked for, in order. */
  readonly asked: string[] = [];
  /** Most requests that were open at one time. */
  mostOpen = 0;
  readonly #chain: FakeChain;
  readonly #server: Server;
  #open = 0;
  url = '';

  constructor(chain: FakeChain) {
    this.#chain = chain;
    this.#server = createServer((request, response) => this.#serve(request, response));
  }

  async start(): Promise<void> {
    await new Promise<void>((done) => this.#server.listen(0, '127.0.0.1', () => done()));
    const address = this.#server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    this.url = `http://127.0.0.1:${port}/api`;
  }

  /** One fault, or none. */
  async play(fault: string | undefined): Promise<void> {
    Object.assign(this.faults, noFaults());
    if (fault === 'serverError') this.faults.status = { code: 502, times: Number.POSITIVE_INFINITY };
    else if (fault === 'busy') this.faults.status = { code: 429, times: Number.POSITIVE_INFINITY };
    else if (fault !== undefined) Object.assign(this.faults, { [fault]: true });
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((done) => this.#server.close(() => done()));
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    const path = (request.url ?? '').replace(/^\/api/, '');
    this.asked.push(path);
    const { faults } = this;
    this.#open++;
    this.mostOpen = Math.max(this.mostOpen, this.#open);
    response.on('close', () => this.#open--);
    if (faults.refuse) return void request.socket.destroy();
    if (faults.hang) return;
    if (faults.garbage) return void response.end('<html>welcome</html>');
    if (faults.status !== undefined && faults.status.times > 0) {
      const { code, retryAfterSeconds } = faults.status;
      faults.status.times--;
      if (retryAfterSeconds !== undefined) response.setHeader('Retry-After', String(retryAfterSeconds));
      response.statusCode = code;
      return void response.end('no');
    }
    if (faults.truncated) {
      response.setHeader('Content-Length', '1000');
      response.write('abc');
      return void setImmediate(() => request.socket.destroy());
    }
    if (faults.slow) setTimeout(() => this.#reply(path, response), 10);
    else this.#reply(path, response);
  }

  #reply(path: string, response: ServerResponse): void {
    const body = this.#answer(path.split('/').slice(1));
    if (body === undefined) response.statusCode = 404;
    response.end(
      body === undefined
        ? 'Block not found'
        : typeof body === 'string' || body instanceof Uint8Array
          ? body
          : JSON.stringify(body),
    );
  }

  #answer([kind = '', key = '', what = '', which = '']: string[]): Body {
    const chain = this.#chain;
    const { faults } = this;
    switch (kind) {
      case 'blocks':
        return what === 'height' ? String(chain.height) : chain.tip.hash;
      case 'block-height': {
        const height = Number(key);
        if (height === faults.forgets) return undefined;
        return height === 0 && faults.otherNetwork ? '11'.repeat(32) : chain.hashAt(height);
      }
      case 'block':
        return this.#block(key, what, Number(which));
      case 'tx':
        return this.#transaction(key, what, Number(which));
      default:
        return undefined;
    }
  }

  #block(hash: string, what: string, index: number): Body {
    const block = this.#chain.block(hash);
    if (block === undefined) return undefined;
    if (what === 'txid') return block.txids[index];
    if (what === 'header') return toHex(block.header);
    return this.faults.wrongBlock ? this.#chain.rawBlock(block.previous) : block.raw;
  }

  #transaction(txid: string, what: string, vout: number): Body {
    const found = this.#chain.transaction(txid);
    if (found === undefined) return undefined;
    if (what === 'raw') {
      const tip = this.#chain.block(this.#chain.tip.hash);
      return this.faults.wrongTransaction ? tip?.txs[0]?.raw : found.tx.raw;
    }
    if (this.faults.noOutspend) return {};
    const spentBy = this.#chain.output(txid, vout)?.spentBy;
    if (spentBy !== undefined) {
      const { height, txid: spender, vin } = spentBy;
      const status = { confirmed: true, block_height: height, block_hash: this.#chain.hashAt(height) };
      return { spent: true, txid: spender, vin, status };
    }
    const isWaiting = this.#chain.mempool.some(({ inputs }) =>
      inputs.some((input) => input.txid === txid && input.vout === vout),
    );
    return isWaiting
      ? { spent: true, txid: 'ee'.repeat(32), vin: 0, status: { confirmed: false } }
      : { spent: false };
  }
}
