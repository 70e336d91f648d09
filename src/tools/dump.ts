/**
 * `gossipd dump`: every record of a gossip_store, one line each, for people or as JSON lines. Reads only, in bounded memory.
 *
 * Any version from 3 to 16. Damage is a line of its own between the records, which go on behind it; a record whose header was
 * put right says what was wrong with it.
 */
import { toHex } from '../base/bytes.ts';
import { OperationalError } from '../base/errors.ts';
import { type Gap, SalvageReader } from '../store/salvage_reader.ts';
import type { StoreFile } from '../store/store_file.ts';
import { detectFormat, OLDEST_READABLE_VERSION, type StoreFormat } from '../store/versions.ts';
import { EXIT } from './exit_bits.ts';
import { Output } from './output.ts';
import { fieldText, flagNames, messageFields, recordTypeName } from './record_fields.ts';
import type { StoreArgument } from './store_argument.ts';

export interface DumpOptions {
  readonly json: boolean;
  /** Adds the message as hex. */
  readonly raw: boolean;
  /** Shows records that are flagged DELETED as well. */
  readonly deleted: boolean;
}

const formatOf = (file: StoreFile, path: string): StoreFormat => {
  const { format, versionByte, ...found } = detectFormat(file);
  if (format === undefined) {
    throw new OperationalError(
      'store_version_unsupported',
      'stop',
      versionByte === undefined
        ? `${path} is empty`
        : `${path} has version ${versionByte}; versions ${OLDEST_READABLE_VERSION} to 16 can be read`,
      'See what it is with "gossipd check FILE".',
    );
  }
  if ('sniffed' in found && found.sniffed) {
    process.stderr.write(
      `gossipd: ${path}: the version byte is ${versionByte}, the records are of version ${format.version}.\n`,
    );
  }
  return format;
};

const describe = (reader: SalvageReader, format: StoreFormat, options: DumpOptions): string => {
  const { bytes, at, length, type, flags, timestamp, offset } = reader.record;
  const { fault, restored } = reader;
  const name = recordTypeName(type);
  // A deleted record whose checksum does not hold comes with type 0: only its frame can be trusted.
  const isOpen = type !== 0;
  const content = {
    ...(fault !== undefined ? { malformed: fault } : isOpen ? messageFields(reader.record) : {}),
    ...(restored === undefined ? {} : { restored }),
    ...(options.raw && isOpen ? { raw: toHex(bytes, at, at + length) } : {}),
  };
  const flagged = flagNames(flags, format);
  if (options.json)
    return JSON.stringify({ offset, length, type, name, flags: flagged, timestamp, ...content });
  return [`@${offset}`, `t=${timestamp}`, name, ...flagged, ...fieldText(content)].join(' ');
};

const describeGap = ({ position, length, kind, type }: Gap, json: boolean): string => {
  const name = type === undefined ? undefined : recordTypeName(type);
  if (json) return JSON.stringify({ gap: kind, position, length, ...(name === undefined ? {} : { name }) });
  return `#${position} DAMAGED ${kind} length=${length}${name === undefined ? '' : ` ${name}`}`;
};

/** Prints the records and returns exit bits: 0 the whole file is sound, 4 something in it is not. */
export const dump = async ({ path, file }: StoreArgument, options: DumpOptions): Promise<number> => {
  const output = new Output();
  try {
    const format = formatOf(file, path);
    const reader = new SalvageReader(file, { format, opensDeleted: options.deleted });
    let [gaps, gapBytes, restored] = [0, 0, 0];
    while (!output.closed) {
      const step = reader.next();
      if (step === 'end') break;
      if (step === 'gap') {
        gaps++;
        gapBytes += reader.gap.length;
      } else if (reader.restored !== undefined) restored++;
      if (step === 'deleted' && !options.deleted) continue;
      const line = step === 'gap' ? describeGap(reader.gap, options.json) : describe(reader, format, options);
      if (output.line(line)) await output.drain();
    }
    await output.drain();
    if (output.closed || gaps + restored === 0) return EXIT.clean;
    process.stderr.write(
      `gossipd: ${path}: ${gaps} damaged ${gaps === 1 ? 'place' : 'places'} (${gapBytes} bytes), ${restored} damaged ` +
        `${restored === 1 ? 'header' : 'headers'}. No funds are in this file. Next: gossipd check ${path}\n`,
    );
    return EXIT.left;
  } finally {
    file.close();
  }
};
