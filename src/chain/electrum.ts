/**
 * The chain backend over an Electrum server (protocol 1.4; ElectrumX, Fulcrum, electrs): lookups that are proven, and tips as they are pushed.
 *
 * daemon/ opens it; ingest/ asks its lookup, block_follower.ts follows its blocks (hashes only: Electrum serves no raw blocks).
 * A lookup proves header, position and bytes (electrum_output.ts), then asks for spends (electrum_spend.ts). A server that is caught
 * lying is answered for as `unavailable`, counted by what it did, and named in status. What cannot be caught: that it hides a spend,
 * that it hides the end of a block behind a proven first transaction, that it stays up to a day behind, and that it shows a real block under
 * another height when no header beside it is known: a header does not say its height (docs/decisions/electrum.md).
 * Bounds: the session's (electrum_session.ts), MAX_ELECTRUM_LOOKUPS, MAX_ELECTRUM_LOOKUPS_WAITING, MAX_ELECTRUM_HEADERS,
 * MAX_ELECTRUM_OUTPUTS.
 */
import { bytesEqual } from '../base/bytes.ts';
import { NETWORKS, type NetworkName } from '../base/chain_hash.ts';
import { OperationalError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Meter } from '../base/meter.ts';
import {
  type ShortChannelId,
  scidBlock,
  scidHi,
  scidLo,
  scidOutput,
  scidTransaction,
} from '../base/short_channel_id.ts';
import type { Clock } from '../base/time.ts';
import type { BlockSource, ChainBackend, ChainBackendStatus, ChainTip } from './block_source.ts';
import { CHAIN_CHANGED, ElectrumHeaders } from './electrum_headers.ts';
import { type ElectrumChainView, headerAt, type ProvenOutput, provenOutput } from './electrum_output.ts';
import { type Ask, ELECTRUM_PATIENCE, type ElectrumPatience, ElectrumSession } from './electrum_session.ts';
import { spendOf } from './electrum_spend.ts';
import { Halt, haltNone, haltUnavailable } from './halt.ts';
import { bytesFromHexText, hashFromText } from './hash_text.ts';
import { isOldTip, readHeader, type WorkRule, workRuleOf } from './header_proof.ts';
import type { LineDial, TlsTrust } from './line_socket.ts';
import { RecentMap } from './recent_map.ts';
import { Turns } from './turns.ts';
import type { UtxoResult } from './utxo_lookup.ts';

/** Outputs proven lately, so that asking again for spends costs one question. At some 400 bytes: 1.6 MB. */
export const MAX_ELECTRUM_OUTPUTS = 4096;
/** Lookups under way, each with at most three questions at once: twice what MAX_ELECTRUM_IN_FLIGHT needs to be always busy. */
export const MAX_ELECTRUM_LOOKUPS = 32;
/** Lookups that wait for others to end: what ingest/ asks at once, many times over. At some 500 bytes: 1 MB. */
export const MAX_ELECTRUM_LOOKUPS_WAITING = 2048;
/** Milliseconds that a lookup waits for its turn: 2,048 of 4 questions at 160 a second take 51 s. */
const LOOKUP_WAIT_MS = 120_000;
/** Longer scripts are no channel's and are not remembered. */
const MAX_REMEMBERED_SCRIPT_BYTES = 64;

const PROTOCOL_VERSION = '1.4';

export interface ElectrumOptions {
  readonly host: string;
  readonly port: number;
  /** Undefined: plain TCP. */
  readonly tls: TlsTrust | undefined;
  readonly dial: LineDial;
  readonly clock: Clock;
  readonly log: Log;
  readonly meter: Meter;
  readonly network: NetworkName;
  /** In place of the network's rule, for chains without proof of work. */
  readonly workRule?: WorkRule;
  readonly patience?: ElectrumPatience;
}

class ElectrumBackend {
  readonly #options: ElectrumOptions;
  readonly #session: ElectrumSession;
  readonly #outputs = new RecentMap<ShortChannelId, ProvenOutput>(MAX_ELECTRUM_OUTPUTS);
  readonly #headers: ElectrumHeaders;
  readonly #tipListeners = new Set<() => void>();
  readonly #turns: Turns;
  /** Why the last lookup had no answer; undefined since one had, or a new connection stands. */
  #trouble: string | undefined;

  constructor(options: ElectrumOptions) {
    this.#options = options;
    const { host, port, tls, dial, clock, log, meter, network } = options;
    this.#headers = new ElectrumHeaders(options.workRule ?? workRuleOf(network), () => this.#outputs.clear());
    this.#turns = new Turns({
      clock,
      maxInFlight: MAX_ELECTRUM_LOOKUPS,
      maxWaiting: MAX_ELECTRUM_LOOKUPS_WAITING,
      maxWaitMs: LOOKUP_WAIT_MS,
    });
    this.#session = new ElectrumSession({
      target: { host, port, tls },
      dial,
      clock,
      log,
      meter,
      patience: options.patience ?? ELECTRUM_PATIENCE,
      greet: (ask) => this.#greet(ask),
      notified: (method, params) => {
        if (method === 'blockchain.headers.subscribe') this.#takeTip(params[0]);
      },
    });
    this.#session.start();
  }

  readonly lookup = async (scid: ShortChannelId, signal: AbortSignal): Promise<UtxoResult> => {
    const refusal = await this.#turns.take(signal);
    if (refusal !== undefined) return { found: 'unavailable', why: refusal };
    const result = await this.#judged(scid, signal).finally(() => this.#turns.done());
    if (result.found !== 'unavailable') this.#trouble = undefined;
    else if (!signal.aborted && result.why !== CHAIN_CHANGED) this.#trouble = result.why;
    return result;
  };

  /** Asked of the server each time: a push may have been lost, and what is remembered says nothing of a server that hangs. */
  readonly tip = async (signal: AbortSignal): Promise<ChainTip> => {
    const fault = await this.#refreshTip(signal);
    const { tip } = this.#headers;
    if (fault !== undefined || tip === undefined) throw chainUnavailable(fault ?? 'the tip is not known yet');
    return tip;
  };

  readonly hashAt = async (height: number, signal: AbortSignal): Promise<string | undefined> => {
    const refusal = await this.#session.ready(signal);
    if (refusal !== undefined) throw chainUnavailable(refusal);
    const known = this.#headers.tip?.height ?? -1;
    if (height > known && height > (await this.tip(signal)).height) return undefined;
    const { epoch } = this.#headers;
    const header = await headerAt(this.#view(signal), height);
    if (!(header instanceof Halt)) return header.hash;
    if (header.fault !== undefined) await this.#convict(header, epoch, signal);
    throw chainUnavailable(header.result.found === 'unavailable' ? (header.result.why ?? '') : '');
  };

  readonly onTip = (changed: () => void): (() => void) => {
    this.#tipListeners.add(changed);
    return () => this.#tipListeners.delete(changed);
  };

  readonly status = (): ChainBackendStatus => {
    const status = this.#session.status();
    if (status.state !== 'ok' || this.#trouble === undefined) return status;
    return { ...status, state: 'unavailable', reason: this.#trouble };
  };

  readonly close = async (): Promise<void> => {
    this.#tipListeners.clear();
    this.#turns.end('the Electrum backend is closed');
    await this.#session.close();
  };

  #view(signal: AbortSignal): ElectrumChainView {
    return { headers: this.#headers, ask: (method, params) => this.#session.ask(method, params, signal) };
  }

  async #judged(scid: ShortChannelId, signal: AbortSignal): Promise<UtxoResult> {
    const refusal = await this.#session.ready(signal);
    if (refusal !== undefined) return { found: 'unavailable', why: refusal };
    const { epoch } = this.#headers;
    const answer = await this.#answer(this.#view(signal), scid, signal);
    if (answer instanceof Halt) {
      if (answer.fault !== undefined) await this.#convict(answer, epoch, signal);
      if (answer.result.found === 'unavailable') return answer.result;
    }
    if (epoch !== this.#headers.epoch) return { found: 'unavailable', why: CHAIN_CHANGED };
    if (answer instanceof Halt) return answer.result;
    const { script, satoshis, txid } = answer;
    if (script.length <= MAX_REMEMBERED_SCRIPT_BYTES) this.#outputs.set(scid, answer);
    return { found: 'unspent', script, satoshis, txid };
  }

  /** The output if no block has spent it. */
  async #answer(
    view: ElectrumChainView,
    scid: ShortChannelId,
    signal: AbortSignal,
  ): Promise<ProvenOutput | Halt> {
    const [hi, lo] = [scidHi(scid), scidLo(scid)];
    const place = { height: scidBlock(hi), position: scidTransaction(hi, lo), vout: scidOutput(lo) };
    if (place.height > (this.#headers.tip?.height ?? -1)) {
      // The push of a new tip may be on its way.
      const fault = await this.#refreshTip(signal);
      if (fault !== undefined) return haltUnavailable(fault);
      if (place.height > (this.#headers.tip?.height ?? -1)) return this.#noBlock();
    }
    const output = this.#outputs.get(scid) ?? (await provenOutput(view, place));
    if (output instanceof Halt) return output;
    return (await spendOf(view, output)) ?? output;
  }

  /** A server that still catches up with the chain must not say that a channel's block does not exist. */
  #noBlock(): Halt {
    const { clock, network } = this.#options;
    const { tip, tipHeader } = this.#headers;
    if (tipHeader === undefined || !isOldTip(tipHeader, clock.nowMs(), network)) return haltNone('no_block');
    return haltUnavailable(
      `the Electrum server is at block ${tip?.height}, which is more than a day old; wait until it has caught up, or choose another server`,
    );
  }

  /** What is wrong with the server's tip, or why it does not tell it; undefined when it is taken. */
  async #refreshTip(signal: AbortSignal): Promise<string | undefined> {
    const answer = await this.#session.ask('blockchain.headers.subscribe', [], signal);
    if (answer.kind === 'result') return this.#takeTip(answer.result);
    return answer.kind === 'unavailable'
      ? answer.reason
      : `the Electrum server does not tell its tip (${answer.message}); choose another server`;
  }

  /**
   * Counts what the server did. An answer that does not hold may only mean that the chain changed before the push of it came:
   * the tip is asked for first, and when it is another one nobody is convicted.
   */
  async #convict(
    { fault = 'contradiction', result }: Halt,
    epoch: number,
    signal: AbortSignal,
  ): Promise<void> {
    const before = this.#headers.tip?.hash;
    await this.#refreshTip(signal);
    if (before !== this.#headers.tip?.hash) return;
    if (fault !== 'bad_header' && epoch !== this.#headers.epoch) return;
    const reason = result.found === 'unavailable' ? result.why : undefined;
    this.#session.countFailure();
    this.#options.meter.count('gossipd_electrum_failures_total', fault);
    this.#options.log.info('the Electrum server gave an answer that does not hold', { fault, reason });
  }

  async #greet(ask: Ask): Promise<string | undefined> {
    const version = await ask('server.version', ['gossipd', PROTOCOL_VERSION]);
    if (version.kind === 'unavailable') return version.reason;
    if (version.kind === 'refused')
      return `it does not speak protocol ${PROTOCOL_VERSION} (${version.message}); choose another server`;
    const first = await ask('blockchain.block.header', [0]);
    if (first.kind === 'unavailable') return first.reason;
    const raw = first.kind === 'result' ? bytesFromHexText(first.result) : undefined;
    const genesis = hashFromText(raw === undefined ? undefined : readHeader(raw)?.hash);
    const { network } = this.#options;
    if (genesis === undefined || !bytesEqual(genesis, NETWORKS[network].chainHashBytes)) {
      return `it does not serve the chain of ${network}; check its port and the network of gossipd`;
    }
    const tip = await ask('blockchain.headers.subscribe', []);
    if (tip.kind !== 'result')
      return tip.kind === 'refused' ? `it does not tell its tip (${tip.message})` : tip.reason;
    this.#trouble = undefined;
    return this.#takeTip(tip.result);
  }

  /** What is wrong with it, or undefined. */
  #takeTip(value: unknown): string | undefined {
    const taken = this.#headers.takeTip(value);
    if (taken === 'changed') for (const changed of [...this.#tipListeners]) changed();
    if (typeof taken === 'string') return undefined;
    this.#trouble = `the Electrum server is wrong: ${taken.fault}; choose another server`;
    this.#session.countFailure();
    this.#options.meter.count('gossipd_electrum_failures_total', 'bad_header');
    return this.#trouble;
  }
}

const chainUnavailable = (why: string): OperationalError =>
  new OperationalError(
    'chain_unavailable',
    'retry',
    why,
    'It is asked again by itself; see the chain backend in the status.',
  );

/** Connects at once and stays connected; never throws. */
export const openElectrum = (options: ElectrumOptions): ChainBackend => {
  const backend = new ElectrumBackend(options);
  const { lookup, tip, hashAt, onTip, status, close } = backend;
  const blocks: BlockSource = { name: 'electrum', tip, hashAt, rawBlock: undefined, onTip };
  return { lookup: { name: 'electrum', verifies: true, lookup }, blocks, status, close };
};
