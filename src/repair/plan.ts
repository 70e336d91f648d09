/**
 * planRepair: from the findings of an audit to what a writer has to do: which records to leave out, where to add an amount,
 * what to write in another place, and which bytes to set aside.
 *
 * Two passes over the file: the audit, whose findings say what, and, only where something is to be moved or an amount to be
 * added, a second one that finds out where to and how much. The plan refers to records by header position; 8 or 16 bytes
 * for each that is not simply copied.
 */
import { MAX_SAT } from '../base/amount.ts';
import type { Rng } from '../base/rng.ts';
import type { Finding, FindingId } from '../store/finding.ts';
import { EMPTY_STORE_BYTES } from '../store/format.ts';
import type { QuarantineRange } from '../store/quarantine.ts';
import { NEWEST_KNOWN_VERSION, type StoreFormat, storeFormat } from '../store/versions.ts';
import { channelAnnouncementNodeId1At, channelAnnouncementNodeId2At } from '../wire/channel_announcement.ts';
import { CHANNEL_UPDATE_MIN_BYTES, channelUpdateHtlcMaximumMsat } from '../wire/channel_update.ts';
import { MESSAGE_TYPE } from '../wire/message_types.ts';
import { nodeAnnouncementNodeIdAt } from '../wire/node_announcement.ts';
import type { StoreRecord } from '../wire/store_record.ts';
import { type AuditOptions, type AuditResult, audit } from './audit.ts';
import { KeyTable } from './key_table.ts';
import { eachLiveRecord, messageOf, type ReadSource, scidAt } from './live_records.ts';
import { NumberList, PositionMap, PositionSet } from './positions.ts';

/** Ranges that are set aside; what lies in further ones is counted as lost and not kept. 64 MiB is the cap of their bytes. */
const MAX_QUARANTINE_RANGES = 65_536;

export interface PlanOptions extends Omit<AuditOptions, 'onFinding'> {
  /** Not reported; and what they concern is kept, unless readers would stumble over it. */
  readonly ignore: ReadonlySet<string>;
  readonly onFinding: (finding: Finding) => void;
}

/** Records that are written behind an announcement that comes later in the file. */
export interface Moves {
  /** Header positions of what moves, in the order of `targets`. */
  readonly froms: Float64Array;
  /** Header positions of the announcements, ascending. */
  readonly targets: Float64Array;
  /** The same froms, to ask. */
  readonly moved: PositionSet;
}

export interface RepairPlan {
  readonly source: ReadSource;
  /** What the audit counted. */
  readonly audit: AuditResult;
  readonly drops: PositionSet;
  /** Header position of an announcement -> satoshi of the amount that it gets. */
  readonly amounts: PositionMap;
  readonly moves: Moves;
  readonly quarantine: readonly QuarantineRange[];
  /** Findings of at least `warn` that writing puts right. */
  readonly work: number;
  /** Findings of at least `warn` that no writing can put right. */
  readonly unfixable: number;
  /** Records that the audit would leave out and that are kept because their findings are ignored. */
  readonly kept_by_ignore: number;
  readonly counts: Readonly<Partial<Record<FindingId, number>>>;
}

/** `not_a_store`: nothing in the file can be read. */
export type PlanResult = RepairPlan | 'cancelled' | 'not_a_store';

/** What readers end on, or take for the end of the file: left out whatever the user wants to ignore. */
const NEVER_KEPT: ReadonlySet<FindingId> = new Set<FindingId>([
  ...(['GS-VERSION', 'GS-TORN-TAIL', 'GS-LEN', 'GS-CRC', 'GS-HEADER', 'GS-INCOMPLETE'] as const),
  ...(['GS-ZERO-HOLE', 'GS-EMPTY-RECORD', 'GS-GARBAGE', 'GS-DOUBLE-STORE', 'GS-OVERWRITE-HEAD'] as const),
  ...(['GS-MALFORMED', 'GS-UNKNOWN-TYPE', 'GS-ENDED', 'GS-NO-UUID', 'GS-DUP-UUID', 'GS-NO-AMOUNT'] as const),
  ...(['GS-AMOUNT', 'GS-DUP-ANN', 'GS-NODE-IDS', 'GS-FLAGS'] as const),
]);

/** Fills the sets of a plan from findings, which come in any order. */
class Collector {
  readonly drops = new PositionSet();
  /** Announcements whose amount the audit has told. */
  readonly amounts = new PositionMap();
  /** Announcements that need an amount that still has to be found out. */
  readonly amountPlaces = new PositionSet();
  readonly movePlaces = new PositionSet();
  readonly ranges: QuarantineRange[] = [];
  readonly counts: Partial<Record<FindingId, number>> = {};
  work = 0;
  unfixable = 0;
  keptByIgnore = 0;

  add(finding: Finding, ignored: boolean): void {
    const { id, fix, offset } = finding;
    if (ignored && !NEVER_KEPT.has(id)) {
      if (fix === 'drop') this.keptByIgnore++;
      return;
    }
    if (!ignored) {
      this.counts[id] = (this.counts[id] ?? 0) + 1;
      if (finding.severity !== 'info') {
        if (fix === 'none') this.unfixable++;
        else if (fix !== 'keep') this.work++;
      }
    }
    switch (fix) {
      case 'drop':
        // Dead weight is no record: its finding names the file.
        if (id !== 'GS-DEAD-WEIGHT') this.drops.add(offset);
        return;
      case 'add_amount':
        if (finding.satoshis === undefined) this.amountPlaces.add(offset);
        else this.amounts.set(offset, finding.satoshis);
        return;
      case 'move':
        this.movePlaces.add(offset);
        return;
      case 'quarantine':
        this.#setAside(finding);
        return;
      case 'keep':
      case 'restore':
      case 'set_version':
      case 'add_uuid':
      case 'none':
        return;
    }
  }

  seal(): void {
    for (const places of [this.drops, this.amountPlaces, this.movePlaces, this.amounts]) places.seal();
  }

  #setAside({ id, offset, length, reason }: Finding): void {
    // Zeros tell nothing, and there can be gigabytes of them.
    if (id === 'GS-ZERO-HOLE' || length === 0 || this.ranges.length >= MAX_QUARANTINE_RANGES) return;
    this.ranges.push({ offset, length, finding: id, reason });
  }
}

// Columns of the tables of channels and nodes; 0 stands for none, since no record is at position 0.
const TARGET = 0;
const AMOUNT_FOR = 1;
/** One more than the largest htlc_maximum_msat. */
const ABOVE_MSAT = 2;
const NODE_ID_BYTES = 33;
const SCID_BYTES = 8;

/** Whole satoshi, rounded up, of the largest htlc_maximum_msat; never more than exist. */
const satoshisFor = (msat: number): number => Math.min(Math.ceil(msat / 1000), Number(MAX_SAT));

interface Places {
  readonly amounts: PositionMap;
  readonly moves: Moves;
}

const sortedMoves = (froms: NumberList, targets: NumberList): Moves => {
  const order = Uint32Array.from({ length: froms.size }, (_, index) => index).sort(
    (left, right) => targets.at(left) - targets.at(right) || froms.at(left) - froms.at(right),
  );
  const moved = new PositionSet();
  for (const index of order) moved.add(froms.at(index));
  moved.seal();
  return {
    froms: Float64Array.from(order, (index) => froms.at(index)),
    targets: Float64Array.from(order, (index) => targets.at(index)),
    moved,
  };
};

/** The second pass: finds the announcements that moved records go behind, and amounts that the audit could not tell. */
class PlaceFinder {
  readonly #found: Collector;
  readonly #channels: KeyTable;
  readonly #nodes: KeyTable;
  /** What moves, and the ordinal of its channel, or -1 - that of its node. */
  readonly #froms = new NumberList();
  readonly #keys = new NumberList();

  constructor(found: Collector, rng: Rng) {
    this.#found = found;
    this.#channels = new KeyTable(SCID_BYTES, 3, rng);
    this.#nodes = new KeyTable(NODE_ID_BYTES, 1, rng);
  }

  visit(record: StoreRecord, position: number): void {
    const message = messageOf(record);
    const { type, at, length } = message;
    const { bytes } = record;
    if (type === MESSAGE_TYPE.channel_announcement) {
      this.#announcement(bytes, at, scidAt(message, bytes), position);
    } else if (type === MESSAGE_TYPE.channel_update) {
      this.#update(bytes, at, length, scidAt(message, bytes), position);
    } else if (type === MESSAGE_TYPE.node_announcement && this.#found.movePlaces.has(position)) {
      this.#froms.push(position);
      this.#keys.push(-1 - this.#nodes.add(bytes, nodeAnnouncementNodeIdAt(bytes, at)));
    }
  }

  places(): Places {
    const [channels, nodes] = [this.#channels, this.#nodes];
    const { amounts } = this.#found;
    for (let ordinal = 0; ordinal < channels.size; ordinal++) {
      const position = channels.get(ordinal, AMOUNT_FOR);
      const above = channels.get(ordinal, ABOVE_MSAT);
      if (position !== 0 && above > 0) amounts.set(position, satoshisFor(above - 1));
    }
    amounts.seal();
    const [froms, targets] = [new NumberList(), new NumberList()];
    for (let index = 0; index < this.#froms.size; index++) {
      const key = this.#keys.at(index);
      const target = key >= 0 ? channels.get(key, TARGET) : nodes.get(-1 - key, TARGET);
      if (target === 0) continue;
      froms.push(this.#froms.at(index));
      targets.push(target);
    }
    return { amounts, moves: sortedMoves(froms, targets) };
  }

  #announcement(bytes: Uint8Array, at: number, scid: number, position: number): void {
    const needsAmount = this.#found.amountPlaces.has(position);
    const channels = this.#channels;
    const channel = needsAmount ? channels.add(bytes, scid) : channels.find(bytes, scid);
    if (channel >= 0) {
      if (needsAmount) channels.set(channel, AMOUNT_FOR, position);
      if (channels.get(channel, TARGET) === 0) channels.set(channel, TARGET, position);
    }
    if (this.#nodes.size === 0) return;
    this.#atNode(bytes, channelAnnouncementNodeId1At(bytes, at), position);
    this.#atNode(bytes, channelAnnouncementNodeId2At(bytes, at), position);
  }

  #atNode(bytes: Uint8Array, at: number, position: number): void {
    const node = this.#nodes.find(bytes, at);
    if (node >= 0 && this.#nodes.get(node, TARGET) === 0) this.#nodes.set(node, TARGET, position);
  }

  #update(bytes: Uint8Array, at: number, length: number, scid: number, position: number): void {
    const moves = this.#found.movePlaces.has(position);
    const channel = moves ? this.#channels.add(bytes, scid) : this.#channels.find(bytes, scid);
    if (channel < 0) return;
    if (moves) {
      this.#froms.push(position);
      this.#keys.push(channel);
    }
    if (length < CHANNEL_UPDATE_MIN_BYTES) return;
    const above = channelUpdateHtlcMaximumMsat(bytes, at) + 1;
    if (above > this.#channels.get(channel, ABOVE_MSAT)) this.#channels.set(channel, ABOVE_MSAT, above);
  }
}

export const noMoves = (): Moves => sortedMoves(new NumberList(), new NumberList());

/** An empty file is a store that has lost everything. One that is larger without a single record is none of ours. */
const formatOf = ({ format, bytes, records, records_lost }: AuditResult): StoreFormat | undefined => {
  if (bytes === 0) return storeFormat(NEWEST_KNOWN_VERSION);
  const isEmpty = records.live + records.deleted + records.malformed + records_lost === 0;
  return isEmpty && bytes > EMPTY_STORE_BYTES ? undefined : format;
};

/**
 * Throws only what the disk throws. Findings are handed to `options.onFinding` as they come, those of ignored ids left out.
 */
export const planRepair = async (options: PlanOptions): Promise<PlanResult> => {
  const found = new Collector();
  const result = await audit({
    ...options,
    onFinding: (finding) => {
      const ignored = options.ignore.has(finding.id);
      found.add(finding, ignored);
      if (!ignored) options.onFinding(finding);
    },
  });
  if (result.cancelled !== undefined) return 'cancelled';
  const format = formatOf(result);
  if (format === undefined) return 'not_a_store';
  found.seal();
  const { file, restoreBits, task, rng } = options;
  const source: ReadSource = { file, format, bytes: result.bytes, restoreBits };
  let places: Places = { amounts: found.amounts, moves: noMoves() };
  if (found.amountPlaces.size > 0 || found.movePlaces.size > 0) {
    const finder = new PlaceFinder(found, rng);
    const whole = await eachLiveRecord(source, found.drops, task, 'planning', (record, position) =>
      finder.visit(record, position),
    );
    if (!whole) return 'cancelled';
    places = finder.places();
  }
  return {
    source,
    audit: result,
    drops: found.drops,
    ...places,
    quarantine: found.ranges,
    work: found.work,
    unfixable: found.unfixable,
    kept_by_ignore: found.keptByIgnore,
    counts: found.counts,
  };
};
