/**
 * The block headers that an Electrum server has shown: the tip as it is pushed, and headers by height, each judged before it counts.
 *
 * electrum.ts hands in the server's pushes and asks for headers. A header must be 80 bytes, show its work (header_proof.ts), and link
 * to the headers of the heights beside it where they are known. When the tip does not follow from the one before, or links
 * break, everything remembered is forgotten and the epoch grows: an answer that was begun in one epoch and ends in another is not given.
 * Bounds: MAX_ELECTRUM_HEADERS, the one used longest ago is forgotten.
 */
import { fromHex } from '../base/bytes.ts';
import type { ChainTip } from './block_source.ts';
import type { ElectrumAnswer } from './electrum_session.ts';
import { asRecord } from './electrum_wire.ts';
import { type BlockHeader, readHeader, type WorkRule } from './header_proof.ts';
import { RecentMap } from './recent_map.ts';

/** Headers of about 400 bytes with their hashes as text: 1.6 MB. A month of blocks; older heights are asked for once more. */
export const MAX_ELECTRUM_HEADERS = 4096;

export type HeaderResult =
  | { readonly kind: 'header'; readonly header: BlockHeader }
  | { readonly kind: 'fault'; readonly reason: string }
  | { readonly kind: 'unavailable'; readonly reason: string };

type AskHeader = (height: number) => Promise<ElectrumAnswer>;

export class ElectrumHeaders {
  readonly #workRule: WorkRule;
  readonly #headers = new RecentMap<number, BlockHeader>(MAX_ELECTRUM_HEADERS);
  readonly #forgotten: () => void;
  #tip: ChainTip | undefined;
  #tipHeader: BlockHeader | undefined;
  #epoch = 0;

  /** @param forgotten called when what was proven before no longer counts */
  constructor(workRule: WorkRule, forgotten: () => void) {
    this.#workRule = workRule;
    this.#forgotten = forgotten;
  }

  /** Undefined until the server has told it. */
  get tip(): ChainTip | undefined {
    return this.#tip;
  }

  get tipHeader(): BlockHeader | undefined {
    return this.#tipHeader;
  }

  /** Grows when blocks that were known may have left the chain. */
  get epoch(): number {
    return this.#epoch;
  }

  get size(): number {
    return this.#headers.size;
  }

  forget(): void {
    this.#headers.clear();
    this.#epoch++;
    this.#forgotten();
  }

  /** Takes `{ height, hex }` of blockchain.headers.subscribe: `changed`, `same`, or what is wrong with it. */
  takeTip(value: unknown): 'changed' | 'same' | { readonly fault: string } {
    const { height, hex } = asRecord(value) ?? {};
    if (typeof height !== 'number' || !Number.isSafeInteger(height) || height < 0) {
      return { fault: 'its tip has no height' };
    }
    const header = this.#read(height, hex);
    if (typeof header === 'string') return { fault: header };
    const before = this.#tip;
    if (before?.hash === header.hash && before.height === height) return 'same';
    const follows = before !== undefined && height === before.height + 1 && header.previous === before.hash;
    if (!follows) this.forget();
    this.#tip = { height, hash: header.hash };
    this.#tipHeader = header;
    this.#headers.set(height, header);
    return 'changed';
  }

  /** The header of the best chain at a height at or below the tip. */
  async at(height: number, ask: AskHeader): Promise<HeaderResult> {
    const known = this.#headers.get(height);
    if (known !== undefined) return { kind: 'header', header: known };
    const epoch = this.#epoch;
    const answer = await ask(height);
    if (answer.kind === 'unavailable') return answer;
    if (answer.kind === 'refused') {
      const reason = `the Electrum server has no header for height ${height} (${answer.message}), below its own tip; it is asked again by itself`;
      return { kind: 'unavailable', reason };
    }
    if (epoch !== this.#epoch) return { kind: 'unavailable', reason: CHAIN_CHANGED };
    const header = this.#read(height, answer.result);
    if (typeof header === 'string') return { kind: 'fault', reason: header };
    if (!this.#isLinked(height, header)) {
      this.forget();
      return { kind: 'fault', reason: `its header ${height} does not link to the headers beside it` };
    }
    this.#headers.set(height, header);
    return { kind: 'header', header };
  }

  #isLinked(height: number, { hash, previous }: BlockHeader): boolean {
    const below = this.#headers.get(height - 1);
    const above = this.#headers.get(height + 1);
    if (below !== undefined && below.hash !== previous) return false;
    if (above !== undefined && above.previous !== hash) return false;
    return this.#tip?.height !== height || this.#tip.hash === hash;
  }

  /** The header, or what is wrong with it. */
  #read(height: number, hex: unknown): BlockHeader | string {
    const raw = typeof hex === 'string' ? fromHex(hex) : undefined;
    const header = raw === undefined ? undefined : readHeader(raw);
    if (header === undefined) return `its header ${height} is not 80 bytes of hex`;
    const fault = this.#workRule(header, height);
    return fault === undefined ? header : `its header ${height} shows no work: ${fault}`;
  }
}

/** Why an answer that spans a reorganisation is not given. */
export const CHAIN_CHANGED = 'the chain changed while the question was answered; it is asked again by itself';
