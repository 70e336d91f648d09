/**
 * An Electrum server (protocol 1.4) on a loopback socket over a FakeChain, with faults that a test switches on: for the contract of
 * the Electrum backend. Answers as ElectrumX does, or in the dialect of Blockstream's electrs.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { toHex } from '../../src/base/bytes.ts';
import type { FakeBlock, FakeChain } from './fake_chain.ts';

export interface ElectrumFaults {
  /** Ends every new connection at once. */
  refuse: boolean;
  /** Answers nothing, until it is over: then everything. */
  hang: boolean;
  /** Sends what is no JSON in place of an answer. */
  garbage: boolean;
  /** Sends half an answer and ends the connection. */
  truncated: boolean;
  /** Answers with an id that nobody used, then with the right one. */
  wrongId: boolean;
  falseProof: boolean;
  /** Sends the coinbase of the tip in place of every transaction. */
  wrongTransaction: boolean;
  /** A height whose block it does not know any more. */
  forgets: number | undefined;
  /** So many answers say that it is busy. */
  busy: number;
  /** Refuses id_from_pos so many times, as after a passing fault of its bitcoind. */
  positionErrors: number;
  /** Serves headers of another chain for heights above zero; its tip is the right one. */
  strangeHeaders: boolean;
  /** Names every output unspent. */
  hidesSpends: boolean;
  /** Leaves every output out of the list of unspent ones. */
  claimsSpends: boolean;
  /** Says nothing of new tips. */
  silentTips: boolean;
  /** Each answer comes a little late. */
  slow: boolean;
  /** Answers the list of unspent outputs with something else. */
  noList: boolean;
  /** Another first block. */
  otherNetwork: boolean;
}

const noFaults = (): ElectrumFaults => ({
  refuse: false,
  hang: false,
  garbage: false,
  truncated: false,
  wrongId: false,
  falseProof: false,
  wrongTransaction: false,
  forgets: undefined,
  busy: 0,
  positionErrors: 0,
  strangeHeaders: false,
  hidesSpends: false,
  claimsSpends: false,
  silentTips: false,
  slow: false,
  noList: false,
  otherNetwork: false,
});

export interface FakeElectrumOptions {
  /** PEM; plain TCP without. */
  readonly tls?: { readonly key: string; readonly cert: string };
  readonly dialect?: 'electrumx' | 'electrs';
}

class Refusal extends Error {
  readonly code: number;
  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/** Faults that leave no usable answer to anything. */
export const ELECTRUM_FAULTS = ['refuse', 'garbage', 'truncated'] as const;
/** Faults that spoil lookups, also of outputs that were proven before. */
export const ELECTRUM_LOOKUP_FAULTS = ['claimsSpends', 'noList'] as const;

const GREETING: readonly string[] = ['server.version', 'blockchain.headers.subscribe'];

export class FakeElectrum {
  readonly faults = noFaults();
  /** Methods asked for, in order. */
  readonly asked: string[] = [];
  readonly #chain: FakeChain;
  readonly #options: FakeElectrumOptions;
  readonly #sockets = new Set<Socket>();
  readonly #subscribed = new Set<Socket>();
  readonly #held: (() => void)[] = [];
  #server: Server | undefined;
  #stopTips: () => void = () => {};
  port = 0;
  connections = 0;

  constructor(chain: FakeChain, options: FakeElectrumOptions = {}) {
    this.#chain = chain;
    this.#options = options;
  }

  /** Listens on 127.0.0.1; on the port of last time after `close`. */
  async start(): Promise<void> {
    const { tls } = this.#options;
    const accept = (socket: Socket): void => this.#accept(socket);
    const server = tls === undefined ? createServer(accept) : createTlsServer(tls, accept);
    this.#server = server;
    await new Promise<void>((done) => server.listen(this.port, '127.0.0.1', () => done()));
    const address = server.address();
    if (typeof address === 'object' && address !== null) this.port = address.port;
    this.#stopTips = this.#chain.onTip(() => this.#pushTip());
  }

  /** One fault, or none. */
  async play(fault: string | undefined): Promise<void> {
    Object.assign(this.faults, noFaults(), fault === undefined ? {} : { [fault]: true });
    if (fault === 'refuse') this.dropConnections();
    for (const answer of this.#held.splice(0)) answer();
  }

  /** Ends the connections that stand. */
  dropConnections(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async close(): Promise<void> {
    this.#stopTips();
    this.dropConnections();
    await new Promise<void>((done) => {
      if (this.#server === undefined) done();
      else this.#server.close(() => done());
    });
  }

  #accept(socket: Socket): void {
    this.connections++;
    this.#sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => {
      this.#sockets.delete(socket);
      this.#subscribed.delete(socket);
    });
    if (this.faults.refuse) {
      socket.destroy();
      return;
    }
    let rest = '';
    socket.on('data', (chunk: Buffer) => {
      const lines = (rest + chunk.toString()).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) this.#answer(socket, line);
    });
  }

  #pushTip(): void {
    if (this.faults.silentTips) return;
    const line = { jsonrpc: '2.0', method: 'blockchain.headers.subscribe', params: [this.#tip()] };
    for (const socket of this.#subscribed) socket.write(`${JSON.stringify(line)}\n`);
  }

  #answer(socket: Socket, line: string): void {
    const { id, method, params } = JSON.parse(line);
    this.asked.push(method);
    const answer = (): void => this.#send(socket, id, method, params);
    if (this.faults.hang) this.#held.push(answer);
    else if (this.faults.slow) setTimeout(answer, 10);
    else answer();
  }

  #send(socket: Socket, id: number, method: string, params: unknown[]): void {
    const { faults } = this;
    if (socket.destroyed) return;
    if (faults.garbage) {
      socket.write('HTTP/1.1 400 Bad Request\r\n\r\n');
      return;
    }
    const text = JSON.stringify(this.#message(socket, id, method, params));
    if (faults.truncated) {
      socket.end(text.slice(0, text.length / 2));
      return;
    }
    if (faults.wrongId)
      socket.write(`${JSON.stringify({ jsonrpc: '2.0', id: id + 1_000_000, result: 'x' })}\n`);
    socket.write(`${text}\n`);
  }

  #message(socket: Socket, id: number, method: string, params: unknown[]): object {
    const isElectrs = this.#options.dialect === 'electrs';
    try {
      if (this.faults.busy > 0 && !GREETING.includes(method)) {
        this.faults.busy--;
        throw new Refusal(-102, 'server busy - request timed out');
      }
      return { id, jsonrpc: '2.0', result: this.#result(socket, method, params) };
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const { code, message } = error;
      return { id, jsonrpc: '2.0', error: isElectrs && code > 0 ? message : { code, message } };
    }
  }

  #tip(): object {
    const { height } = this.#chain;
    return { height, hex: this.#header(height) };
  }

  #header(height: number, isStrange = false): string {
    const header = Uint8Array.from(this.#chain.header(height) ?? []);
    // A hash over other bytes: as a header of another chain, and no neighbour's link fits.
    if (isStrange && height > 0) header[76] = (header[76] ?? 0) ^ 0xff;
    if (this.faults.otherNetwork && height === 0) header[70] = (header[70] ?? 0) ^ 0xff;
    return toHex(header);
  }

  #block(height: number): FakeBlock {
    const hash = this.#chain.hashAt(height);
    const block = hash === undefined ? undefined : this.#chain.block(hash);
    if (block === undefined || height === this.faults.forgets)
      throw new Refusal(1, `height ${height} out of range`);
    return block;
  }

  #result(socket: Socket, method: string, params: unknown[]): unknown {
    const [first, second] = params;
    switch (method) {
      case 'server.version':
        return ['FakeElectrum 1.0', '1.4'];
      case 'server.ping':
        return null;
      case 'blockchain.headers.subscribe':
        this.#subscribed.add(socket);
        return this.#tip();
      case 'blockchain.block.header':
        this.#block(Number(first));
        return this.#header(Number(first), this.faults.strangeHeaders);
      case 'blockchain.transaction.id_from_pos':
        return this.#place(Number(first), Number(second));
      case 'blockchain.transaction.get_merkle':
        return this.#merkle(String(first), Number(second));
      case 'blockchain.transaction.get':
        return this.#transaction(String(first));
      case 'blockchain.scripthash.listunspent':
        return this.#unspent(String(first));
      case 'blockchain.scripthash.get_history':
        return this.#chain.history(String(first)).map(({ txid, height }) => ({ tx_hash: txid, height }));
      default:
        throw new Refusal(-32601, `unknown method "${method}"`);
    }
  }

  #proof(height: number, index: number): string[] {
    const merkle = [...(this.#chain.merkleProof(height, index)?.merkle ?? [])];
    if (this.faults.falseProof) merkle.push('ab'.repeat(32));
    return merkle;
  }

  #place(height: number, index: number): object {
    if (this.faults.positionErrors > 0) {
      this.faults.positionErrors--;
      throw new Refusal(2, 'daemon error');
    }
    const txid = this.#block(height).txids[index];
    if (txid === undefined) throw new Refusal(1, `no tx at position ${index} in block at height ${height}`);
    const merkle = this.#proof(height, index);
    return this.#options.dialect === 'electrs' ? { tx_id: txid, merkle } : { tx_hash: txid, merkle };
  }

  #merkle(txid: string, height: number): object {
    const pos = this.#block(height).txids.indexOf(txid);
    if (pos < 0) throw new Refusal(1, `tx ${txid} not in block at height ${height}`);
    return { block_height: height, pos, merkle: this.#proof(height, pos) };
  }

  #transaction(txid: string): string {
    if (this.faults.wrongTransaction) {
      const tx = this.#block(this.#chain.height).txs[0];
      return toHex(tx?.raw ?? new Uint8Array());
    }
    const found = this.#chain.transaction(txid);
    if (found === undefined) throw new Refusal(2, 'daemon error: no such transaction');
    return toHex(found.tx.raw);
  }

  #unspent(scripthash: string): object {
    if (this.faults.noList) return { error: 'none' };
    if (this.faults.claimsSpends) return [];
    const funding = this.#chain.history(scripthash).filter(({ height }) => height > 0);
    return funding.flatMap(({ txid, height }) =>
      (this.#chain.transaction(txid)?.tx.outputs ?? []).flatMap(({ satoshis }, vout) => {
        const isPaid =
          this.#chain.output(txid, vout)?.spentBy === undefined && !this.#isSpentInMempool(txid, vout);
        const isListed = isPaid || this.faults.hidesSpends;
        return isListed ? [{ tx_hash: txid, tx_pos: vout, height, value: Number(satoshis) }] : [];
      }),
    );
  }

  #isSpentInMempool(txid: string, vout: number): boolean {
    return this.#chain.mempool.some(({ inputs }) =>
      inputs.some((input) => input.txid === txid && input.vout === vout),
    );
  }
}
