/** `gossipd store-map`: draws a gossip_store as text, SVG or JSON. Reads the store only, in bounded memory. */
import { existsSync, realpathSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { OperationalError } from '../base/errors.ts';
import { deadWeight, drawStore, type StorePicture } from '../repair/store_picture.ts';
import { pictureSvg } from '../repair/store_picture_svg.ts';
import { pictureJson, pictureLines } from '../repair/store_picture_text.ts';
import { nodeStoreFolder } from '../store/store_file.ts';
import type { Flags, StorePlace } from './cli.ts';
import { EXIT, NO_FUNDS } from './exit_bits.ts';
import { printJson, printText } from './output.ts';
import { runTask } from './run_task.ts';

export interface StoreMapOptions {
  readonly columns: number;
  readonly rows: number;
  /** File to write the SVG to. */
  readonly svg: string | undefined;
  readonly json: boolean;
  readonly quiet: boolean;
}

/** From this share on a rewrite is worth a sentence. */
const MUCH_DEAD_WEIGHT = 0.5;

/** Throws OperationalError for a place that is no place for a picture, before anything is read. */
const svgPlace = (svg: string, store: string): { readonly directory: string; readonly name: string } => {
  const path = resolve(svg);
  const [directory, name] = [dirname(path), basename(path)];
  const isBeside = existsSync(directory) && realpathSync(directory) === realpathSync(dirname(store));
  const isStore = existsSync(path) && realpathSync(path) === realpathSync(store);
  // The names of what is kept beside a store all begin as the store's; none of them ends so.
  const isKept = isBeside && name.startsWith(basename(store)) && !name.endsWith('.svg');
  if (isStore || isKept)
    throw new OperationalError(
      'bad_argument',
      'stop',
      `the picture cannot be written to ${svg}: that name belongs to the store`,
      'Choose another name, e.g. "--svg picture.svg".',
    );
  if (!existsSync(directory))
    throw new OperationalError(
      'bad_argument',
      'stop',
      `the picture cannot be written to ${svg}: there is no folder ${directory}`,
      `Make it first: mkdir -p ${directory}`,
    );
  return { directory, name };
};

/** Whole or not at all. */
const writeSvg = (place: { readonly directory: string; readonly name: string }, svg: string): void => {
  const folder = nodeStoreFolder(place.directory);
  const draft = `${place.name}.store-map.tmp`;
  try {
    const file = folder.open(draft, 'create');
    try {
      file.write(new TextEncoder().encode(svg), 0);
    } finally {
      file.close();
    }
    folder.rename(draft, place.name);
  } catch (error) {
    folder.remove(draft);
    throw error;
  }
};

const nextStep = (picture: StorePicture, path: string): string => {
  const file = /^[\w./+-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
  if (picture.cancelled !== undefined) return 'Next: run it again without a limit to see all of the file.';
  if (picture.bytes > 0 && picture.version === undefined)
    return 'Next: look whether this is the right file; CLN keeps it in the network folder of its lightning-dir.';
  if (picture.damaged_ranges > 0) return `Next: gossipd check ${file}`;
  if (deadWeight(picture) >= MUCH_DEAD_WEIGHT)
    return `Next: gossipd repair ${file} --output NEW, which leaves out what is deleted.`;
  return `Next: nothing has to be done; "gossipd check ${file}" looks at order and contents as well.`;
};

/** Returns exit bits: 0, or 32 when the picture is partial. Throws OperationalError. */
export const storeMap = async (
  place: StorePlace,
  flags: Flags,
  options: StoreMapOptions,
): Promise<number> => {
  const { columns, rows, svg } = options;
  const target = svg === undefined ? undefined : svgPlace(svg, place.path);
  const file = place.open();
  let picture: StorePicture;
  try {
    picture = await runTask(flags, (task) => drawStore({ file, task, columns, rows }));
  } finally {
    file.close();
  }
  if (target !== undefined) writeSvg(target, pictureSvg(picture, place.name));
  if (options.json) await printJson(pictureJson(picture, place.path));
  else if (!options.quiet) {
    const colours = process.stdout.isTTY === true && (process.env['NO_COLOR'] ?? '') === '';
    const lines = pictureLines(picture, place.path, colours);
    if (target !== undefined) lines.push(`The picture is in ${join(target.directory, target.name)}.`);
    await printText([...lines, '', nextStep(picture, place.path), NO_FUNDS].join('\n'));
  }
  return picture.cancelled === undefined ? EXIT.clean : EXIT.cancelled;
};
