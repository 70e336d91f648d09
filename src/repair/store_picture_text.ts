/**
 * pictureLines: a StorePicture as lines of text for a terminal or a report.
 *
 * store_map hands it the picture and whether colours are wanted. Every class has a sign of its own, so that nothing depends on
 * colour; a small letter says that less than half of the cell is what it shows. Offsets are file positions in decimal, as
 * CLN's log lines have them. Pure; the same picture gives the same lines.
 */
import {
  CLASS_MEANS,
  type ClassTotal,
  deadWeight,
  LISTED_RANGES,
  type PictureCell,
  type PictureClass,
  type StorePicture,
  sizeText,
} from './store_picture.ts';

/** In capitals: at least half of the cell. */
export const CLASS_SIGN: Readonly<Record<PictureClass, string>> = {
  damaged: '#',
  tail: '>',
  unknown: '?',
  internal: 'I',
  deleted: 'X',
  dying: 'D',
  announcement: 'A',
  update: 'U',
  node: 'N',
};
const NOT_REACHED = '.';

/** Colours of the 256 that are told apart with any common colour blindness. */
const CLASS_COLOUR: Readonly<Record<PictureClass, number>> = {
  damaged: 202,
  tail: 214,
  unknown: 227,
  internal: 136,
  deleted: 245,
  dying: 175,
  announcement: 33,
  update: 36,
  node: 117,
};

const painted = (text: string, name: PictureClass, colours: boolean): string =>
  colours ? `\u001b[38;5;${CLASS_COLOUR[name]}m${text}\u001b[0m` : text;

const signOf = ({ shows, bytes, length }: PictureCell): string => {
  if (shows === undefined) return NOT_REACHED;
  const sign = CLASS_SIGN[shows];
  return bytes * 2 >= length ? sign : sign.toLowerCase();
};

/** One row's cells; neighbours of one class are coloured together. */
const rowText = (cells: readonly PictureCell[], colours: boolean): string => {
  let text = '';
  for (let from = 0; from < cells.length; ) {
    const shows = cells[from]?.shows;
    let to = from;
    while (to < cells.length && cells[to]?.shows === shows) to++;
    const signs = cells.slice(from, to).map(signOf).join('');
    text += shows === undefined ? signs : painted(signs, shows, colours);
    from = to;
  }
  return text;
};

/** 12,345,678 */
const grouped = (value: number): string => String(value).replace(/\B(?=(\d{3})+$)/g, ',');

/** 12.3 %; anything but nothing is at least 0.1 %. */
export const shareText = (part: number, whole: number): string => {
  if (part === 0 || whole === 0) return '0 %';
  const share = (part / whole) * 100;
  return share < 0.1 ? '< 0.1 %' : `${share.toFixed(1)} %`;
};

const legend = (picture: StorePicture, colours: boolean): string[] => {
  const rows = picture.totals
    .filter(({ name, bytes }) => bytes > 0 || name === 'damaged' || name === 'deleted')
    .map((total: ClassTotal) => ({
      total,
      records: grouped(total.records),
      bytes: grouped(total.bytes),
      share: shareText(total.bytes, picture.bytes),
    }));
  const width = (pick: (row: (typeof rows)[number]) => string, title: string): number =>
    Math.max(title.length, ...rows.map((row) => pick(row).length));
  const records = width((row) => row.records, 'records');
  const bytes = width((row) => row.bytes, 'bytes');
  const share = width((row) => row.share, 'share');
  return [
    `  ${'records'.padStart(records + 2)}  ${'bytes'.padStart(bytes)}  ${'share'.padStart(share)}`,
    ...rows.map(({ total, ...row }) => {
      const sign = painted(CLASS_SIGN[total.name], total.name, colours);
      const numbers = `${row.records.padStart(records)}  ${row.bytes.padStart(bytes)}  ${row.share.padStart(share)}`;
      return `  ${sign} ${numbers}  ${CLASS_MEANS[total.name]}`;
    }),
  ];
};

const damageLines = ({ damaged, damaged_ranges }: StorePicture): string[] => {
  if (damaged_ranges === 0) return ['No damage.'];
  const places = damaged_ranges === 1 ? '1 place' : `${grouped(damaged_ranges)} places`;
  const first = damaged_ranges > LISTED_RANGES ? `, the first ${LISTED_RANGES}` : '';
  return [
    `Damaged in ${places}${first}:`,
    ...damaged.map(({ offset, length, kind }) => `  offset ${offset}  length ${length}  ${kind}`),
  ];
};

const headline = ({ version, version_byte, bytes, records }: StorePicture): string => {
  const size = `${grouped(bytes)} byte${bytes === 1 ? '' : 's'}`;
  if (version_byte === undefined) return 'an empty file';
  if (version === undefined) return `${size}, in which no record of a gossip_store can be found`;
  const sniffed = version === version_byte ? '' : ` (its first byte says ${version_byte})`;
  return `version ${version}${sniffed}, ${size}, ${grouped(records)} record${records === 1 ? '' : 's'}`;
};

/** Escape sequences only where `colours` is set. @param title what stands in front of the first line, the path mostly */
export const pictureLines = (picture: StorePicture, title: string, colours: boolean): string[] => {
  const { cells, columns, rows, cell_bytes } = picture;
  const width = String(cells.at(-1)?.offset ?? 0).length;
  const lines = [`${title}: ${headline(picture)}`];
  if (rows > 0) {
    const small = cell_bytes === 1 ? '' : ', in small letters where less than half of it is what it shows';
    lines.push(`One sign for ${sizeText(cell_bytes)}${small}.`, '');
  }
  for (let row = 0; row < rows; row++) {
    const part = cells.slice(row * columns, (row + 1) * columns);
    lines.push(`${String(row * columns * cell_bytes).padStart(width)}  ${rowText(part, colours)}`);
  }
  if (picture.cancelled !== undefined)
    lines.push('', `Stopped early (${picture.cancelled}): "${NOT_REACHED}" was not looked at.`);
  lines.push('', ...legend(picture, colours), '');
  const dead = picture.totals.find(({ name }) => name === 'deleted')?.bytes ?? 0;
  lines.push(`Dead weight: ${shareText(dead, picture.bytes)} of the file.`, ...damageLines(picture));
  return lines;
};

/** For JSON: what the lines say. */
export const pictureJson = (picture: StorePicture, path: string): Record<string, unknown> => ({
  path,
  version_byte: picture.version_byte ?? null,
  version: picture.version ?? null,
  bytes: picture.bytes,
  records: picture.records,
  cell_bytes: picture.cell_bytes,
  columns: picture.columns,
  rows: picture.rows,
  cancelled: picture.cancelled ?? null,
  dead_weight_ratio: deadWeight(picture),
  totals: picture.totals.map(({ name, records, bytes }) => ({
    class: name,
    sign: CLASS_SIGN[name],
    records,
    bytes,
    ratio: picture.bytes === 0 ? 0 : bytes / picture.bytes,
  })),
  damaged_ranges: picture.damaged_ranges,
  damaged: picture.damaged,
  cells: picture.cells.map(({ offset, length, shows, bytes }) => ({
    offset,
    length,
    class: shows ?? null,
    class_bytes: bytes,
  })),
});
