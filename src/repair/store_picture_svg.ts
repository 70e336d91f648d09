/**
 * pictureSvg: a StorePicture as one self-contained SVG, to be put into a report.
 *
 * The same picture gives the same bytes: no time, no random names. Colours are those of Okabe and Ito, which people with
 * any common colour blindness tell apart; each class has a pattern as well, for print in grey. Neighbouring cells of one class in a
 * row are one rectangle with a <title> that names its offsets.
 */
import {
  CLASS_MEANS,
  PICTURE_CLASSES,
  type PictureClass,
  type StorePicture,
  sizeText,
} from './store_picture.ts';
import { shareText } from './store_picture_text.ts';

const CELL_WIDTH = 12;
const CELL_HEIGHT = 16;
const MARGIN = 12;
const LABEL_WIDTH = 110;
const LINE_HEIGHT = 20;
const LEAST_WIDTH = 640;

/** Fill and the path that is drawn over it in a square of 8 by 8. */
const CLASS_LOOK: Readonly<Record<PictureClass, readonly [fill: string, stroke: string, path: string]>> = {
  damaged: ['#d55e00', '#000000', 'M0 0L8 8M8 0L0 8'],
  tail: ['#e69f00', '#000000', 'M0 8L8 0'],
  unknown: ['#f0e442', '#000000', 'M2 2h1v1h-1zM6 6h1v1h-1z'],
  internal: ['#ffffff', '#000000', 'M2 0V8M6 0V8'],
  deleted: ['#bbbbbb', '#666666', 'M0 0L8 8'],
  dying: ['#cc79a7', '#ffffff', 'M0 4H8M4 0V8'],
  announcement: ['#0072b2', '#0072b2', ''],
  update: ['#009e73', '#ffffff', 'M0 4H8'],
  node: ['#56b4e9', '#ffffff', 'M4 0V8'],
};

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Text of any origin for XML, which also forbids control characters. */
export const xmlText = (text: string): string =>
  [...text]
    .map((letter) => (/[\p{Cc}\p{Cs}\uFFFE\uFFFF]/u.test(letter) ? '\uFFFD' : (ESCAPES[letter] ?? letter)))
    .join('');

const patterns = (): string[] =>
  PICTURE_CLASSES.map((name) => {
    const [fill, stroke, path] = CLASS_LOOK[name];
    const over = path === '' ? '' : `<path d="${path}" fill="none" stroke="${stroke}"/>`;
    return (
      `<pattern id="${name}" width="8" height="8" patternUnits="userSpaceOnUse">` +
      `<rect width="8" height="8" fill="${fill}"/>${over}</pattern>`
    );
  });

const rowRuns = (picture: StorePicture, row: number): string[] => {
  const { cells, columns } = picture;
  const first = row * columns;
  const behind = Math.min(cells.length, first + columns);
  const runs: string[] = [];
  for (let from = first; from < behind; ) {
    const start = cells[from];
    let to = from;
    while (to < behind && cells[to]?.shows === start?.shows) to++;
    const last = cells[to - 1];
    if (start?.shows !== undefined && last !== undefined) {
      const bytes = cells.slice(from, to).reduce((sum, cell) => sum + cell.bytes, 0);
      const end = last.offset + last.length;
      runs.push(
        `<rect x="${MARGIN + LABEL_WIDTH + (from - first) * CELL_WIDTH}" y="${yOf(row)}" ` +
          `width="${(to - from) * CELL_WIDTH}" height="${CELL_HEIGHT}" fill="url(#${start.shows})">` +
          `<title>${start.shows}: offset ${start.offset} to ${end}, ${bytes} of ${end - start.offset} bytes</title></rect>`,
      );
    }
    from = to;
  }
  return runs;
};

const GRID_TOP = MARGIN + 2 * LINE_HEIGHT + 8;
const yOf = (row: number): number => GRID_TOP + row * CELL_HEIGHT;

const text = (x: number, y: number, what: string, more = ''): string =>
  `<text x="${x}" y="${y}"${more}>${xmlText(what)}</text>`;

/** @param title what the picture is of, e.g. the file's name */
export const pictureSvg = (picture: StorePicture, title: string): string => {
  const { columns, rows, cell_bytes, bytes } = picture;
  const shown = picture.totals.filter((total) => total.bytes > 0);
  const legendTop = yOf(rows) + LINE_HEIGHT + 4;
  const width = Math.max(LEAST_WIDTH, 2 * MARGIN + LABEL_WIDTH + columns * CELL_WIDTH);
  const height = legendTop + shown.length * LINE_HEIGHT + MARGIN;
  const version = picture.version === undefined ? 'no gossip_store' : `version ${picture.version}`;
  const labels = Array.from({ length: rows }, (_, row) =>
    text(MARGIN + LABEL_WIDTH - 8, yOf(row) + 12, String(row * columns * cell_bytes), ' text-anchor="end"'),
  );
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" ` +
      `font-family="ui-monospace, Menlo, Consolas, monospace" font-size="12" role="img" aria-label="${xmlText(title)}">`,
    `<title>${xmlText(title)}</title>`,
    `<defs>${patterns().join('')}</defs>`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    text(
      MARGIN,
      MARGIN + 14,
      `${title}: ${version}, ${bytes} bytes, ${picture.records} records`,
      ' font-weight="bold"',
    ),
    text(
      MARGIN,
      MARGIN + 14 + LINE_HEIGHT,
      `One cell is ${sizeText(cell_bytes)}. No funds are in this file.`,
    ),
    ...labels,
    ...Array.from({ length: rows }, (_, row) => rowRuns(picture, row)).flat(),
    ...shown.flatMap((total, index) => {
      const y = legendTop + index * LINE_HEIGHT;
      const says = `${CLASS_MEANS[total.name]} (${total.records} records, ${total.bytes} bytes, ${shareText(total.bytes, bytes)})`;
      return [
        `<rect x="${MARGIN}" y="${y}" width="16" height="14" fill="url(#${total.name})" stroke="#000000"/>`,
        text(MARGIN + 24, y + 12, says),
      ];
    }),
    '</svg>',
  ].join('\n')}\n`;
};
