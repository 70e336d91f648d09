/**
 * openTail: what happens in a gossip_store that another process writes, as events, each exactly once.
 *
 * `gossipd tail` and importers of gossipd/store drive it: call next() until it gives nothing, then again after a while. Any
 * file of versions 7 to 16 is followed across deletions, compaction, renaming, truncation and restarts of its writer. While the
 * name leads to another file, the old one is held open and read to its end; then the new one is read and every record compared
 * with what was told, so that compaction neither repeats nor loses anything. What a tail has told is one ReportedTable.
 *
 * Guarantee. With a state file, a tail that is opened with the cursor of an event goes on exactly behind that event, whatever
 * happened to it or to the store in between, for the last 65,536 changes; without a cursor it goes on behind the last event
 * that was marked delivered, so that those which were handed out and not marked come again. Without a state file a cursor is
 * exact while the store is the same file (uuid, or first record, and the record in front of the cursor); in any other
 * file everything is told again, and onNotice says so. Records deleted before they were reached are not told.
 */
import { OperationalError } from '../base/errors.ts';
import type { Rng } from '../base/rng.ts';
import { channelAmountSatoshis } from '../wire/gossip_store_messages.ts';
import { MESSAGE_TYPE } from '../wire/message_types.ts';
import {
  GOSSIP_STORE_CHAN_DYING,
  GOSSIP_STORE_CHANNEL_AMOUNT,
  RECORD_HEADER_BYTES,
  type StoreRecord,
  storeOffset,
} from '../wire/store_record.ts';
import { FIRST_RECORD_POSITION, STORE_NAME } from './format.ts';
import { SCAN_BUFFER_BYTES } from './scan.ts';
import type { StoreFolder } from './store_file.ts';
import { Comparison, type MissingChannel } from './tail_comparison.ts';
import {
  type Anchor,
  anchorEnd,
  anchorOf,
  formatToken,
  headOf,
  holdsPlace,
  NO_ANCHOR,
  parseToken,
  type TailPlace,
  type TailToken,
} from './tail_cursor.ts';
import type {
  DeletionReason,
  Tail,
  TailEvent,
  TailEventKind,
  TailNotice,
  TailOptions,
} from './tail_event.ts';
import { FlagSweep } from './tail_flag_sweep.ts';
import { emptyKey, readKey, TailLedger } from './tail_ledger.ts';
import { TailPersistence } from './tail_persistence.ts';
import { survey, TailSource, type TailWait } from './tail_source.ts';
import { loadTailState, type TailContext, TailStateFile } from './tail_state.ts';
import { emptyRecord, type MutableRecord } from './walker.ts';

/** Throws OperationalError: `bad_argument` for a cursor that is none; `store_version_unsupported`; what the disk throws. */
export const openTail = (options: TailOptions): Tail => new OpenTail(options);

const badCursor = (): OperationalError =>
  new OperationalError(
    'bad_argument',
    'stop',
    'the cursor is not one that this program gave',
    'Take it whole from the "cursor" field of an event, or leave --cursor away.',
  );

const randomStream = (rng: Rng): string =>
  Math.floor(rng.fraction() * 4294967296)
    .toString(16)
    .padStart(8, '0');

class OpenTail implements Tail {
  waitingFor: TailWait | 'file' = 'file';
  readonly #options: TailOptions;
  readonly #name: string;
  readonly #ledger: TailLedger;
  readonly #buffer = new Uint8Array(SCAN_BUFFER_BYTES);
  readonly #key = emptyKey();
  readonly #sweep: FlagSweep;
  readonly #state: TailPersistence | undefined;
  #context: TailContext;
  /** What the first file is to be, if reading goes on somewhere. */
  #resume: TailPlace | undefined;
  #cursor: TailToken | undefined;
  #hasBegun = false;
  #wasMissing = false;
  #source: TailSource | undefined;
  #comparison: Comparison | undefined;
  /** Nobody writes to the source any more. */
  #isFinal = false;
  /** An announcement whose amount must come next, in bytes of its own. */
  readonly #held: MutableRecord = emptyRecord();
  #heldEnd = 0;
  #isHolding = false;
  /** Channels to be told as deleted, from the last one on. */
  #missing: readonly MissingChannel[] = [];
  #missingAt = 0;
  #anchor: Anchor = NO_ANCHOR;
  #unreadable = '';
  #isClosed = false;

  constructor(options: TailOptions) {
    this.#options = options;
    this.#name = options.name ?? STORE_NAME;
    const { state, rng } = options;
    this.#ledger = new TailLedger(rng, state !== undefined);
    this.#sweep = new FlagSweep(this.#ledger.table);
    this.#context = { stream: randomStream(rng), generation: 0 };
    if (options.cursor !== undefined) {
      this.#cursor = parseToken(options.cursor);
      if (this.#cursor === undefined) throw badCursor();
    }
    if (state !== undefined) {
      const onError = (error: OperationalError): void => this.#notice({ kind: 'state_not_written', error });
      this.#state = new TailPersistence(new TailStateFile(state.folder, state.name), options.clock, onError);
      this.#takeUpState(state.folder, state.name);
    }
    this.#open();
  }

  get generation(): number {
    return this.#context.generation;
  }

  readonly next = (): TailEvent | undefined => {
    if (this.#isClosed) return undefined;
    try {
      return this.#advance();
    } catch (error) {
      // Whatever was half read is read again.
      if (this.#source !== undefined) this.#rewind(this.#source);
      throw error;
    }
  };

  #advance(): TailEvent | undefined {
    for (;;) {
      if (this.#missingAt < this.#missing.length) return this.#tellMissing();
      if (this.#source === undefined && !this.#open()) return undefined;
      const source = this.#source;
      if (source === undefined) return undefined;
      this.#settle(source);
      if (this.#missingAt < this.#missing.length) continue;
      if (source.next(this.#isFinal)) {
        const event = this.#take(source);
        if (event !== undefined) return event;
        continue;
      }
      if (this.#isHolding) this.#rewind(source);
      this.waitingFor = source.waiting;
      if (this.#isFinal) this.#retire(source);
      else if (this.#isReplaced(source)) this.#isFinal = true;
      else if (source.wasRewritten()) this.#retire(source);
      else return source.waiting === 'end' ? this.#tellFlagged(source) : undefined;
    }
  }

  #rewind(source: TailSource): void {
    source.seek(this.#isHolding ? this.#held.offset - RECORD_HEADER_BYTES : source.position);
    this.#isHolding = false;
  }

  readonly persist = async (): Promise<void> => {
    const state = this.#state;
    if (state === undefined) return;
    const source = this.#source;
    if (state.isDue && source !== undefined) this.#passOn(source);
    await state.persist(this.#ledger, this.#context);
  };

  readonly markDelivered = (): void => this.#ledger.markDelivered();

  readonly close = async (): Promise<void> => {
    if (this.#isClosed) return;
    this.#state?.makeDue();
    await this.persist();
    this.#isClosed = true;
    this.#state?.close();
    this.#source?.file.close();
  };

  #notice(notice: TailNotice): void {
    this.#options.onNotice?.(notice);
  }

  /** Takes over what an earlier tail told, rolled back to the cursor, or to what was delivered. */
  #takeUpState(folder: StoreFolder, name: string): void {
    const ledger = this.#ledger;
    const loaded = loadTailState(folder, name, ledger);
    if (loaded.found === 'damage') this.#notice({ kind: 'state_damaged', reason: loaded.reason });
    if (loaded.found !== 'state') return;
    const cursor = this.#cursor;
    const wanted = cursor === undefined ? ledger.delivered : cursor.sequence;
    const isOurs = cursor === undefined || cursor.stream === loaded.context.stream;
    const isLast = wanted === ledger.sequence;
    const kept = !isOurs ? undefined : isLast ? loaded.operations : ledger.undoTo(wanted, loaded.operations);
    if (kept !== undefined) {
      for (const block of kept) this.#state?.remember(block);
      ledger.delivered = wanted;
      this.#context = loaded.context;
      this.#resume = ledger.place;
      this.#cursor = undefined;
      return;
    }
    ledger.table.clear();
    [ledger.sequence, ledger.delivered, ledger.place] = [0, 0, undefined];
  }

  /** Opens the file that has the name; false when there is nothing to read yet. */
  #open(): boolean {
    const { folder, clock } = this.#options;
    this.waitingFor = 'file';
    if (folder.identity(this.#name) === undefined) return this.#isMissing();
    try {
      const source = TailSource.open(folder, this.#name, clock, this.#buffer, {
        onGap: (gap) => this.#notice({ kind: 'gap', gap }),
        onRestored: (position, restored) => this.#notice({ kind: 'restored', position, restored }),
      });
      if (source === undefined) return this.#isMissing();
      this.#source = source;
      this.#begin(source);
      return true;
    } catch (error) {
      if (!(error instanceof OperationalError)) throw error;
      this.#source?.file.close();
      this.#source = undefined;
      if (error.code === 'store_missing') return this.#isMissing();
      if (!this.#hasBegun) throw error;
      // The writer may be replacing it again.
      if (this.#unreadable !== error.message) this.#notice({ kind: 'unreadable', error });
      this.#unreadable = error.message;
      return false;
    }
  }

  #isMissing(): false {
    if (!this.#wasMissing) this.#notice({ kind: 'waiting_for_file' });
    this.#wasMissing = true;
    return false;
  }

  /** Decides where to read a file that was just opened. */
  #begin(source: TailSource): void {
    const isFirst = !this.#hasBegun;
    this.#isFinal = false;
    this.#anchor = NO_ANCHOR;
    this.#unreadable = '';
    this.#state?.mustWrite();
    this.#sweep.restart();
    if (!isFirst || this.#resume !== undefined) this.#goOn(source);
    else if (this.#cursor !== undefined) this.#beginAtCursor(source, this.#cursor);
    else if (this.#options.from !== 'start' && !this.#wasMissing) {
      source.position = this.#enterAll(source, Number.POSITIVE_INFINITY, false);
    }
    this.#wasMissing = false;
    if (isFirst) this.#ledger.begin(this.#placeIn(source));
    this.#hasBegun = true;
  }

  #goOn(source: TailSource): void {
    const place = this.#resume;
    this.#resume = undefined;
    if (place !== undefined && holdsPlace(source.file, place)) {
      source.position = place.position;
      this.#anchor = place.anchor;
      return;
    }
    this.#context = { ...this.#context, generation: this.#context.generation + 1 };
    this.#comparison = new Comparison(source, this.#ledger.table, this.#options.rng, this.#buffer);
    this.#notice({ kind: 'file_replaced', version: source.format.version });
  }

  /** Without a state that knows the cursor: the file in front of it shows what had been told. */
  #beginAtCursor(source: TailSource, cursor: TailToken): void {
    if (!holdsPlace(source.file, cursor)) {
      this.#notice({ kind: 'cursor_unknown' });
      return;
    }
    this.#enterAll(source, cursor.position, true);
    source.position = cursor.position;
    this.#anchor = cursor.anchor;
    this.#context = { ...this.#context, stream: cursor.stream };
    this.#ledger.sequence = cursor.sequence;
    this.#ledger.delivered = cursor.sequence;
  }

  /** Enters what is in the file without telling it; returns where that ends. */
  #enterAll(source: TailSource, until: number, opensDeleted: boolean): number {
    const { file, format } = source;
    const key = this.#key;
    let last = 0;
    const visit = (record: StoreRecord, position: number): void => {
      last = readKey(record, key) ? position : 0;
      if (last !== 0) this.#ledger.enter(key, position);
      if (record.type !== MESSAGE_TYPE.channel_announcement)
        this.#anchor = anchorOf(position, record.bytes, record.at, record.length);
    };
    const { end } = survey({ file, format, until, opensDeleted, buffer: this.#buffer, visit });
    // At the end of the file, an announcement that still waits for its amount will be told.
    if (until > end && last >= end && key.kind !== 0) this.#ledger.table.remove(key.kind, key.hi, key.lo);
    if (this.#anchor.position >= end) this.#anchor = NO_ANCHOR;
    return end;
  }

  /** When all of a new file is compared: what it lacks is told as deleted, and then forgotten. */
  #settle(source: TailSource): void {
    const comparison = this.#comparison;
    if (comparison === undefined || this.#isHolding || source.position < comparison.limit) return;
    if (!comparison.isListed) {
      const { missing, withheld, reason } = comparison.list();
      [this.#missing, this.#missingAt] = [missing, 0];
      if (withheld > 0 && reason !== undefined)
        this.#notice({ kind: 'deletions_withheld', channels: withheld, reason });
      if (missing.length > 0) return;
    }
    if (comparison.again()) {
      this.#anchor = NO_ANCHOR;
      source.seek(FIRST_RECORD_POSITION);
      return;
    }
    comparison.finish();
    this.#comparison = undefined;
    this.#missing = [];
    this.#missingAt = 0;
    this.#state?.mustWrite();
  }

  #isReplaced(source: TailSource): boolean {
    const named = this.#options.folder.identity(this.#name);
    return named !== undefined && (named.dev !== source.identity.dev || named.ino !== source.identity.ino);
  }

  #retire(source: TailSource): void {
    source.file.close();
    this.#source = undefined;
    // What was not compared to its end is compared with the next file.
    this.#comparison = undefined;
  }

  #take(source: TailSource): TailEvent | undefined {
    const { record, recordPosition } = source;
    if (record === undefined) return undefined;
    if (this.#isHolding) {
      this.#isHolding = false;
      const isAmount = record.type === GOSSIP_STORE_CHANNEL_AMOUNT && recordPosition === this.#heldEnd;
      if (isAmount) {
        this.#anchor = anchorOf(recordPosition, record.bytes, record.at, record.length);
        return this.#judge(source, this.#held, channelAmountSatoshis(record.bytes, record.at));
      }
      // No amount will come: the announcement is told without one, and this record is read again behind it.
      source.seek(recordPosition);
      const { bytes, length, offset } = this.#held;
      this.#anchor = anchorOf(offset - RECORD_HEADER_BYTES, bytes, 0, length);
      return this.#judge(source, this.#held, undefined);
    }
    if (record.type !== MESSAGE_TYPE.channel_announcement) {
      this.#anchor = anchorOf(recordPosition, record.bytes, record.at, record.length);
      return this.#judge(source, record, undefined);
    }
    Object.assign(this.#held, record, {
      bytes: record.bytes.slice(record.at, record.at + record.length),
      at: 0,
    });
    this.#heldEnd = source.position;
    this.#isHolding = true;
    return undefined;
  }

  #judge(source: TailSource, record: StoreRecord, satoshis: number | undefined): TailEvent | undefined {
    const key = this.#key;
    if (!readKey(record, key)) return undefined;
    const position = record.offset - RECORD_HEADER_BYTES;
    const comparison = this.#comparison;
    if (key.kind === 0) {
      // In a file that is compared, the channels that are not there at its end tell what was deleted.
      if (comparison !== undefined || !this.#ledger.forget(key.hi, key.lo)) return undefined;
      return this.#tell(source, 'channel_deleted', record, undefined, 'delete_chan', key.hi, key.lo);
    }
    if (comparison?.isBuried(key, position) === true) return undefined;
    const isIntact = comparison?.isDamaged !== true;
    if (!this.#ledger.meet(key, position, comparison !== undefined, isIntact)) return undefined;
    switch (record.type) {
      case MESSAGE_TYPE.channel_announcement:
        return this.#tell(source, 'channel_announcement', record, satoshis);
      case MESSAGE_TYPE.channel_update:
        return this.#tell(source, 'channel_update', record);
      case MESSAGE_TYPE.node_announcement:
        return this.#tell(source, 'node_announcement', record);
      case GOSSIP_STORE_CHAN_DYING:
        return this.#tell(source, 'channel_dying', record);
    }
    return undefined;
  }

  #tell(
    source: TailSource,
    event: TailEventKind,
    record: StoreRecord | undefined,
    satoshis?: number,
    reason?: DeletionReason,
    scidHi = 0,
    scidLo = 0,
  ): TailEvent {
    const place = this.#placeIn(source);
    const sequence = this.#ledger.tell(place);
    const { stream, generation } = this.#context;
    return {
      event,
      sequence,
      cursor: formatToken({ ...place, stream, sequence }),
      offset: record?.offset ?? storeOffset(0),
      generation,
      version: source.format.version,
      uuid: source.uuid(),
      record,
      satoshis,
      reason,
      scidHi,
      scidLo,
    };
  }

  #tellMissing(): TailEvent | undefined {
    const channel = this.#missing[this.#missingAt++];
    const source = this.#source;
    if (channel === undefined || source === undefined) return undefined;
    const { hi, lo, tombstone } = channel;
    if (!this.#ledger.forget(hi, lo)) return undefined;
    return this.#tell(
      source,
      'channel_deleted',
      undefined,
      undefined,
      tombstone ? 'delete_chan' : 'absent',
      hi,
      lo,
    );
  }

  /** Versions 7 and 8 have no tombstones: a channel is gone when its announcement is flagged. */
  #tellFlagged(source: TailSource): TailEvent | undefined {
    for (;;) {
      const channel = this.#sweep.next(source.file);
      if (channel === undefined) return undefined;
      if (!this.#ledger.forget(channel.hi, channel.lo)) continue;
      return this.#tell(source, 'channel_deleted', undefined, undefined, 'flag', channel.hi, channel.lo);
    }
  }

  /** Notes where reading is, if it went on since the last event. */
  #passOn(source: TailSource): void {
    const place = this.#placeIn(source);
    const last = this.#ledger.place;
    if (last?.position !== place.position || last.head !== place.head || last.comparing !== place.comparing)
      this.#ledger.pass(place);
  }

  /** Behind the last live record that was judged: deleted ones behind it may be looked at again. */
  #placeIn(source: TailSource): TailPlace {
    if (source.head === '') source.head = headOf(source.file);
    const comparing = this.#comparison !== undefined;
    const anchor = this.#anchor;
    return { head: source.head, position: anchorEnd(anchor), anchor, comparing };
  }
}
