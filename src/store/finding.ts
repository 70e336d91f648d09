/**
 * Finding: one thing that is wrong with a gossip_store, or worth knowing about it, with its place and what repair does.
 *
 * The salvage reader and repair/ make them; check, repair, guard, the log and the store map show them. Ids never change
 * their meaning, so that scripts can rely on them. Severity: `error` costs records or stops a reader, `warn` is dead
 * weight or contradicts the format's order, `info` is neither.
 */

export type Severity = 'info' | 'warn' | 'error';

/** What `gossipd repair` does about it. */
export type Fix =
  /** Nothing: it stays as it is. */
  | 'keep'
  /** The record is left out of the new file. */
  | 'drop'
  /** The bytes go to the quarantine; they hold no record that could be read. */
  | 'quarantine'
  /** The record is written with its header put right; nothing of it is lost. */
  | 'restore'
  /** The announcement gets an amount taken from the channel's updates. */
  | 'add_amount'
  /** The record is written where its order is right. */
  | 'move'
  | 'set_version'
  | 'add_uuid'
  /** The chain or a peer would have to be asked; this tool cannot. */
  | 'none';

export interface FindingKind {
  readonly severity: Severity;
  readonly fix: Fix;
  /** One sentence for people: what it is. */
  readonly means: string;
  /** What to do, or why nothing needs to be done. */
  readonly hint: string;
  /** CLN release that no longer writes it. */
  readonly fixed_in?: string;
}

/** Every id with what it means. */
export const FINDING_KINDS = {
  'GS-VERSION': {
    severity: 'error',
    fix: 'set_version',
    means: 'the version byte is wrong',
    hint: 'Repair sets the version that the records show.',
    fixed_in: 'v0.10.0',
  },
  'GS-TORN-TAIL': {
    severity: 'error',
    fix: 'quarantine',
    means: 'the last record was not written whole',
    hint: 'An unclean stop or a full disk. Check the free space; repair keeps everything in front of it.',
  },
  'GS-LEN': {
    severity: 'error',
    fix: 'restore',
    means: 'the length of a record is wrong',
    hint: 'Memory or disk may be failing: test both. Repair puts the length right where the checksum proves it.',
  },
  'GS-CRC': {
    severity: 'error',
    fix: 'quarantine',
    means: 'the checksum of a record is wrong',
    hint: 'Memory or disk may be failing: test both. Repair puts a single flipped bit right, and leaves out what is worse.',
    fixed_in: 'v25.02',
  },
  'GS-HEADER': {
    severity: 'error',
    fix: 'restore',
    means: 'the header of a sound record is damaged',
    hint: 'Memory or disk may be failing: test both. Repair writes the header anew.',
  },
  'GS-INCOMPLETE': {
    severity: 'error',
    fix: 'restore',
    means: 'a record is not marked as completely written',
    hint: 'An unclean stop. Readers stop in front of it; repair completes it if its checksum is right.',
  },
  'GS-ZERO-HOLE': {
    severity: 'error',
    fix: 'quarantine',
    means: 'a range of zero bytes',
    hint: 'A power cut, or a file system on which mmap and write disagree (ZFS). Repair leaves it out.',
    fixed_in: 'v25.09.1',
  },
  'GS-EMPTY-RECORD': {
    severity: 'error',
    fix: 'quarantine',
    means: 'a record with a length of 0 or 1',
    hint: 'Readers of CLN up to v24.11 abort here. Repair leaves it out.',
    fixed_in: 'v25.02',
  },
  'GS-GARBAGE': {
    severity: 'error',
    fix: 'quarantine',
    means: 'a range in which no record can be recognised',
    hint: 'Something else was written here, or the disk is failing. Repair keeps the records on both sides.',
  },
  'GS-DOUBLE-STORE': {
    severity: 'error',
    fix: 'quarantine',
    means: 'a second store begins in the middle of the file',
    hint: 'A writer appended to a file left behind. Repair keeps the records of both parts.',
    fixed_in: 'v0.7.1',
  },
  'GS-OVERWRITE-HEAD': {
    severity: 'error',
    fix: 'quarantine',
    means: 'records were written over older ones in the middle of the file',
    hint: 'CLN v24.02 to v24.11 did this after it had found damage. Upgrade CLN; repair keeps what is whole.',
    fixed_in: 'v25.02',
  },
  'GS-IN-FLIGHT': {
    severity: 'info',
    fix: 'keep',
    means: 'the writer is just adding a record',
    hint: 'Nothing needs to be done.',
  },
  'GS-MALFORMED': {
    severity: 'error',
    fix: 'drop',
    means: 'a record whose checksum is right but whose message does not parse',
    hint: 'Readers of CLN abort on some of these. Repair leaves it out.',
  },
  'GS-UNKNOWN-TYPE': {
    severity: 'error',
    fix: 'drop',
    means: 'a record of a type that this version does not have',
    hint: 'Readers of CLN complain about it. Repair leaves it out.',
  },
  'GS-ENDED': {
    severity: 'error',
    fix: 'drop',
    means: 'an end marker in a file that is in use',
    hint: 'All processes of CLN crash on it, at every start. Repair leaves it out.',
  },
  'GS-NO-UUID': {
    severity: 'error',
    fix: 'add_uuid',
    means: 'the file does not start with its uuid',
    hint: 'CLN v26.04 and later refuse to follow such a file. Repair adds one.',
  },
  'GS-DUP-UUID': {
    severity: 'error',
    fix: 'drop',
    means: 'a second uuid',
    hint: 'Repair leaves it out.',
  },
  'GS-NO-AMOUNT': {
    severity: 'error',
    fix: 'add_amount',
    means: 'a channel_announcement without its amount',
    hint: 'Readers of CLN abort when they are asked for the capacity. Repair takes it from the channel’s updates.',
    fixed_in: 'v25.02',
  },
  'GS-ORPHAN-AMOUNT': {
    severity: 'warn',
    fix: 'drop',
    means: 'an amount that follows no channel_announcement',
    hint: 'Readers step over it. Repair leaves it out: it names no channel.',
  },
  'GS-ORPHAN-UPDATE': {
    severity: 'warn',
    fix: 'keep',
    means: 'a channel_update of a channel that is not announced before it',
    hint: 'Readers step over it. Repair moves it behind the announcement if that comes later.',
  },
  'GS-ORPHAN-NODE': {
    severity: 'info',
    fix: 'keep',
    means: 'a node_announcement of a node that has no channel in the file',
    hint: 'Readers step over it.',
    fixed_in: 'v23.02',
  },
  'GS-NODE-ORDER': {
    severity: 'warn',
    fix: 'move',
    means: 'a node_announcement that stands before all channels of its node',
    hint: 'Readers step over it, and the node has no name. Repair moves it.',
    fixed_in: 'v25.12.1',
  },
  'GS-NODE-IDS': {
    severity: 'error',
    fix: 'drop',
    means: 'a channel_announcement whose node ids are in the wrong order, or the same',
    hint: 'Its directions are inverted; with equal ids readers of CLN abort. Repair leaves out the channel.',
    fixed_in: 'v26.04.1',
  },
  'GS-DUP-ANN': {
    severity: 'error',
    fix: 'drop',
    means: 'a second announcement of a channel',
    hint: 'CLN drops its whole store for it, or stops there. Repair keeps the first.',
    fixed_in: 'v24.05',
  },
  'GS-DUP-UPDATE': {
    severity: 'warn',
    fix: 'drop',
    means: 'an update that a later one in the file replaces',
    hint: 'An unclean stop between two writes. Readers take the later one.',
  },
  'GS-DUP-NODE': {
    severity: 'warn',
    fix: 'drop',
    means: 'a node_announcement that a later one in the file replaces',
    hint: 'An unclean stop between two writes. Readers take the later one.',
    fixed_in: 'v23.08',
  },
  'GS-REMOVED': {
    severity: 'warn',
    fix: 'drop',
    means: 'a record of a channel that a later record removes',
    hint: 'An unclean stop between two writes. Readers remove the channel all the same.',
  },
  'GS-AMOUNT': {
    severity: 'error',
    fix: 'add_amount',
    means: 'an amount of more than 21 million bitcoin',
    hint: 'Readers of CLN end with an error on it. Repair takes the amount from the channel’s updates.',
  },
  'GS-FLAGS': {
    severity: 'warn',
    fix: 'drop',
    means: 'flags that contradict each other',
    hint: 'Half of a pair is deleted. Repair leaves out the other half.',
  },
  'GS-DEAD-WEIGHT': {
    severity: 'info',
    fix: 'drop',
    means: 'most of the file is deleted records',
    hint: 'A rewrite makes the file small again: "gossipd repair FILE --output NEW", or restart CLN v24.02 to v25.12.',
    fixed_in: 'v26.04',
  },
  'GS-OVER-4G': {
    severity: 'warn',
    fix: 'keep',
    means: 'the file is larger than 4 GiB',
    hint: 'CLN before v24.08.2 loses its place in such a file. Rewrite it, and upgrade CLN.',
    fixed_in: 'v24.08.2',
  },
  'GS-WRONG-CHAIN': {
    severity: 'warn',
    fix: 'drop',
    means: 'a message of another chain',
    hint: 'CLN stored these until v26.04. Repair leaves them out.',
    fixed_in: 'v26.06',
  },
  'GS-BAD-SIG': {
    severity: 'error',
    fix: 'drop',
    means: 'a signature is wrong',
    hint: 'Peers refuse this message. Repair with "--level signature" leaves it out.',
  },
  'GS-NOT-ON-CHAIN': {
    severity: 'error',
    fix: 'drop',
    means: 'the funding output does not exist, is spent, or has another script',
    hint: 'The channel is closed or was never there. Repair with "--level chain" leaves it out.',
  },
  'GS-PRIVATE': {
    severity: 'info',
    fix: 'keep',
    means: 'a private channel of this node',
    hint: 'It is left out of reports, backups for others, and files of version 13 and later.',
  },
  'GS-INDEX': {
    severity: 'warn',
    fix: 'none',
    means: 'the index beside the store does not match it',
    hint: 'It is written anew by the next start of the daemon; the store does not depend on it.',
  },
} as const satisfies Readonly<Record<string, FindingKind>>;

export type FindingId = keyof typeof FINDING_KINDS;

export interface Finding {
  readonly id: FindingId;
  readonly severity: Severity;
  /** Position in the file of the first byte concerned: of a record, its header. */
  readonly offset: number;
  /** Bytes concerned; of a record, header included. */
  readonly length: number;
  /** Counts the file's records, deleted and damaged ones included, from 0; undefined for what is no record. */
  readonly record_no?: number;
  /** Name of the record's type, as far as it can be told. */
  readonly type?: string;
  readonly short_channel_id?: string;
  readonly node_id?: string;
  /** Of a channel whose amount is missing: what its updates prove that it holds at least. */
  readonly satoshis?: number;
  /** What exactly was found there, in words. */
  readonly reason: string;
  readonly hint: string;
  readonly fix: Fix;
  readonly fixed_in?: string;
}

/** What only some findings have. `fix` and `severity` override what the id implies. */
export interface FindingDetails {
  readonly record_no?: number | undefined;
  readonly type?: string | undefined;
  readonly short_channel_id?: string | undefined;
  readonly node_id?: string | undefined;
  readonly satoshis?: number | undefined;
  readonly reason?: string | undefined;
  readonly fix?: Fix | undefined;
  readonly severity?: Severity | undefined;
}

export const finding = (
  id: FindingId,
  offset: number,
  length: number,
  details: FindingDetails = {},
): Finding => {
  const kind: FindingKind = FINDING_KINDS[id];
  const { record_no, type, short_channel_id, node_id, satoshis } = details;
  return {
    id,
    severity: details.severity ?? kind.severity,
    offset,
    length,
    ...(record_no === undefined ? {} : { record_no }),
    ...(type === undefined ? {} : { type }),
    ...(short_channel_id === undefined ? {} : { short_channel_id }),
    ...(node_id === undefined ? {} : { node_id }),
    ...(satoshis === undefined ? {} : { satoshis }),
    reason: details.reason ?? kind.means,
    hint: kind.hint,
    fix: details.fix ?? kind.fix,
    ...(kind.fixed_in === undefined ? {} : { fixed_in: kind.fixed_in }),
  };
};
