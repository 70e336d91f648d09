/**
 * Which version of the gossip_store a conversion or repair writes: by number, or by the release of CLN that is to read it.
 */
import { OperationalError } from '../base/errors.ts';
import { type StoreFormat, storeFormat, WRITABLE_VERSIONS, type WritableVersion } from '../store/versions.ts';

const RELEASE = /^v?(\d{2})\.(\d{2})(?:\.(\d+))?(?:-?rc\d+)?$/;

const badTarget = (text: string): OperationalError =>
  new OperationalError(
    'bad_argument',
    'stop',
    `"${text}" is no version that can be written`,
    'Use 14, 15 or 16, or a release of CLN such as v24.11, v25.12 or v26.06.',
  );

/** Releases up to v25.09 keep version 14, v25.09.1 to v25.12 version 15, v26.04 and later version 16 (cln-gossip A.4). */
const versionOfRelease = (year: number, month: number, point: number): WritableVersion | undefined => {
  const release = year * 100 + month;
  if (release < 2402) return undefined;
  if (release < 2509 || (release === 2509 && point === 0)) return 14;
  return release < 2604 ? 15 : 16;
};

/** `16`, `v24.11`, `25.09.1`. Throws `bad_argument` for anything else, and for releases before v24.02. */
export const parseTarget = (text: string): WritableVersion => {
  const number = WRITABLE_VERSIONS.find((version) => String(version) === text.trim());
  if (number !== undefined) return number;
  const match = RELEASE.exec(text.trim());
  const version =
    match === null ? undefined : versionOfRelease(Number(match[1]), Number(match[2]), Number(match[3] ?? 0));
  if (version === undefined) throw badTarget(text);
  return version;
};

/** Oldest version that is written back as it was: from 7 on, headers are what they are today. */
const OLDEST_KEPT_VERSION = 7;
const NEWEST_KEPT_VERSION = 16;

/** The source's own version unless another is wanted; older and unknown ones become 16. */
export const targetFormat = (source: StoreFormat, wanted: WritableVersion | undefined): StoreFormat => {
  const keeps = source.version >= OLDEST_KEPT_VERSION && source.version <= NEWEST_KEPT_VERSION;
  const version = wanted ?? (keeps ? source.version : NEWEST_KEPT_VERSION);
  const format = storeFormat(version);
  if (format === undefined) throw badTarget(String(version));
  return format;
};
