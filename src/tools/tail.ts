/**
 * `gossipd tail`: drives a store's tail and prints its events, JSON lines or text.
 *
 * Events are gathered, made durable in the state, printed, and then marked as delivered, in this order, so that a kill at any
 * moment neither loses nor repeats one for a reader that keeps cursors. The folder is watched where the system can; the clock
 * looks all the same, every --poll milliseconds. Memory: one batch of lines. Ends with 0 on SIGINT, SIGTERM, or when its
 * reader leaves.
 */
import { existsSync, statSync, watch } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { toHex } from '../base/bytes.ts';
import { OperationalError } from '../base/errors.ts';
import { scidText } from '../base/short_channel_id.ts';
import { standardError } from '../observe/line_output.ts';
import { systemClock } from '../observe/system_clock.ts';
import { systemRng } from '../observe/system_rng.ts';
import { nodeStoreFolder } from '../store/store_file.ts';
import { openTail } from '../store/tail.ts';
import {
  TAIL_EVENTS,
  type Tail,
  type TailEvent,
  type TailEventKind,
  type TailNotice,
} from '../store/tail_event.ts';
import { NEWEST_KNOWN_VERSION, storeFormat } from '../store/versions.ts';
import type { Flags, StorePlace } from './cli.ts';
import { NO_FUNDS } from './exit_bits.ts';
import { Output } from './output.ts';
import { allMessageFields, type Fields, fieldText, flagNames } from './record_fields.ts';
import { parseDuration } from './run_task.ts';

export interface TailToolOptions {
  readonly json: boolean;
  readonly raw: boolean;
  readonly once: boolean;
  readonly from: 'start' | 'end';
  readonly types: ReadonlySet<TailEventKind>;
  readonly pollMs: number;
  readonly maxEvents: number;
  readonly maxDurationMs: number;
  readonly state?: string;
  readonly cursor?: string;
}

const POLL_MS = 250;
/** Events between two rests of the event loop, printed or not. */
const BATCH_EVENTS = 2_048;

const typesOf = (list: unknown): ReadonlySet<TailEventKind> => {
  if (list === undefined) return new Set(TAIL_EVENTS);
  const wanted = String(list).split(',');
  const known = TAIL_EVENTS.filter((event) => wanted.includes(event));
  const strange = wanted.find((name) => !TAIL_EVENTS.some((event) => event === name));
  if (strange === undefined) return new Set(known);
  throw new OperationalError(
    'bad_argument',
    'stop',
    `"${strange}" is no event`,
    `Events are ${TAIL_EVENTS.join(', ')}.`,
  );
};

/** From the flags of the command line. Throws OperationalError `bad_argument`. */
export const tailOptions = (flags: Flags, json: boolean): TailToolOptions => {
  const { state, cursor, maxDuration, maxEvents, poll } = flags;
  return {
    json: json || (process.stdout.isTTY !== true && flags['text'] !== true),
    raw: flags['raw'] === true,
    once: flags['once'] === true,
    from: flags['from'] === 'start' ? 'start' : 'end',
    types: typesOf(flags['types']),
    pollMs: poll === undefined ? POLL_MS : Number(poll),
    maxEvents: maxEvents === undefined ? Number.POSITIVE_INFINITY : Number(maxEvents),
    maxDurationMs:
      maxDuration === undefined ? Number.POSITIVE_INFINITY : parseDuration(String(maxDuration)) * 1000,
    ...(state === undefined ? {} : { state: String(state) }),
    ...(cursor === undefined ? {} : { cursor: String(cursor) }),
  };
};

/** The store, or where it will be: a named file may not exist yet. */
const placeOf = (
  find: () => StorePlace,
  argument: string | undefined,
): Pick<StorePlace, 'folder' | 'name' | 'path' | 'directory'> => {
  try {
    return find();
  } catch (error) {
    const isMissing = error instanceof OperationalError && error.code === 'store_missing';
    if (!isMissing || argument === undefined) throw error;
    const isFolder = existsSync(argument) && statSync(argument).isDirectory();
    const path = isFolder ? join(argument, 'gossip_store') : argument;
    const directory = dirname(path);
    if (!existsSync(directory)) throw error;
    return { path, directory, name: basename(path), folder: nodeStoreFolder(directory) };
  }
};

const stateOf = (path: string) => {
  const directory = dirname(path);
  if (existsSync(directory)) return { folder: nodeStoreFolder(directory), name: basename(path) };
  throw new OperationalError(
    'bad_argument',
    'stop',
    `there is no folder ${directory} for the state`,
    'Make it first, or name a file in a folder that exists.',
  );
};

const sentence = (notice: TailNotice, path: string): string => {
  switch (notice.kind) {
    case 'waiting_for_file':
      return `${path}: not there yet; waiting for it`;
    case 'file_replaced':
      return `${path}: another file took its place (version ${notice.version}); comparing`;
    case 'gap':
      return (
        `${path}: ${notice.gap.length} damaged bytes at ${notice.gap.position} (${notice.gap.kind}); what was in them is not told. ` +
        `${NO_FUNDS} Next: gossipd check ${path}`
      );
    case 'restored':
      return `${path}: the header of a record at ${notice.position} is damaged (${notice.restored}); the record is told all the same`;
    case 'deletions_withheld':
      return `${path}: ${notice.channels} channels are missing in the new file, which is ${notice.reason}; they are not told as deleted`;
    case 'state_damaged':
      return `the state cannot be used (${notice.reason}); starting over as told by --from`;
    case 'state_not_written':
      return `the state could not be written: ${notice.error.message}; trying again. Until then a restart repeats events`;
    case 'cursor_unknown':
      return `neither the state nor ${path} know this cursor; telling everything that is in the file`;
    case 'unreadable':
      return `${path} cannot be followed now: ${notice.error.message}; looking again`;
  }
};

const eventFields = (event: TailEvent): Fields => {
  const { record, satoshis, reason, scidHi, scidLo } = event;
  if (event.event === 'channel_deleted')
    return { short_channel_id: scidText(scidHi, scidLo), ...(reason === undefined ? {} : { reason }) };
  return {
    ...(record === undefined ? {} : allMessageFields(record)),
    ...(satoshis === undefined ? {} : { satoshis }),
  };
};

/** One line for an event. */
export const eventLine = (event: TailEvent, { json, raw }: Pick<TailToolOptions, 'json' | 'raw'>): string => {
  const { record, offset, uuid } = event;
  const timestamp = record?.timestamp ?? 0;
  const format = storeFormat(event.version) ?? storeFormat(NEWEST_KNOWN_VERSION);
  const flags = record === undefined || format === undefined ? [] : flagNames(record.flags, format);
  const fields: Fields = {
    ...eventFields(event),
    ...(raw && record !== undefined
      ? { raw: toHex(record.bytes, record.at, record.at + record.length) }
      : {}),
  };
  if (!json) return [`@${offset}`, `t=${timestamp}`, event.event, ...flags, ...fieldText(fields)].join(' ');
  const { sequence, cursor, generation } = event;
  return JSON.stringify({
    event: event.event,
    sequence,
    cursor,
    offset,
    generation,
    ...(uuid === undefined ? {} : { uuid }),
    timestamp,
    flags,
    ...fields,
  });
};

/** Something to wait for: a change of the file, the clock, or the end. */
class Waker {
  readonly #pollMs: number;
  #wake: (() => void) | undefined;
  #isAwake = false;

  constructor(pollMs: number) {
    this.#pollMs = pollMs;
  }

  readonly wake = (): void => {
    this.#isAwake = true;
    this.#wake?.();
  };

  async wait(): Promise<void> {
    if (!this.#isAwake) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, this.#pollMs);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    this.#wake = undefined;
    this.#isAwake = false;
  }
}

/** Wakes when the name, or the file under it, changes; undefined where that cannot be had. */
const watchName = (directory: string, name: string, wake: () => void): (() => void) | undefined => {
  try {
    const watcher = watch(directory, { persistent: false }, (_event, file) => {
      if (file === null || file === name) wake();
    });
    watcher.on('error', () => watcher.close());
    return () => watcher.close();
  } catch {
    return undefined;
  }
};

/** Reads events into `output` until one of the bounds; how many were printed, and whether more may be there. */
const gather = (
  tail: Tail,
  output: Output,
  options: TailToolOptions,
  most: number,
  onError: (error: OperationalError) => void,
): { readonly printed: number; readonly isMore: boolean } => {
  let printed = 0;
  for (let count = 0; count < BATCH_EVENTS && printed < most; count++) {
    let event: TailEvent | undefined;
    try {
      event = tail.next();
    } catch (error) {
      if (!(error instanceof OperationalError)) throw error;
      onError(error);
    }
    if (event === undefined) return { printed, isMore: false };
    if (!options.types.has(event.event)) continue;
    printed++;
    if (output.line(eventLine(event, options))) break;
  }
  return { printed, isMore: true };
};

/** Prints events until it is told to stop. Throws OperationalError. */
export const tail = async (
  find: () => StorePlace,
  argument: string | undefined,
  options: TailToolOptions,
): Promise<number> => {
  const place = placeOf(find, argument);
  const output = new Output();
  const errors = standardError();
  const clock = systemClock();
  const waker = new Waker(options.pollMs);
  let isStopping = false;
  const stop = (): void => {
    isStopping = true;
    waker.wake();
  };
  const { folder, name, path, directory } = place;
  const following = openTail({
    folder,
    name,
    clock,
    rng: systemRng(),
    from: options.from,
    ...(options.cursor === undefined ? {} : { cursor: options.cursor }),
    ...(options.state === undefined ? {} : { state: stateOf(options.state) }),
    onNotice: (notice) => errors.line(`gossipd: ${sentence(notice, path)}`),
  });
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  const unwatch = watchName(directory, name, waker.wake);
  const started = clock.monotonicMs();
  try {
    let left = options.maxEvents;
    while (!isStopping && !output.closed && left > 0) {
      if (clock.monotonicMs() - started >= options.maxDurationMs) break;
      // Signals and timers have their turn also while a whole store is printed.
      await turn();
      const { printed, isMore } = gather(following, output, options, left, (error) => {
        if (options.once) throw error;
        errors.line(`gossipd: ${error.message}; looking again. ${error.hint}`);
      });
      left -= printed;
      await following.persist();
      await output.drain();
      if (output.closed) break;
      following.markDelivered();
      await following.persist();
      if (isMore) continue;
      if (options.once && following.waitingFor !== 'damage') break;
      await waker.wait();
    }
  } finally {
    process.off('SIGINT', stop);
    process.off('SIGTERM', stop);
    unwatch?.();
    await following.close();
  }
  return 0;
};
