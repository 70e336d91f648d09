/** `gossipd undo`: takes a repair in place back, while nobody else uses the store. */
import { existsSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { OperationalError } from '../base/errors.ts';
import { systemClock } from '../observe/system_clock.ts';
import { readJournal, type Undone, undoRepair } from '../repair/undo_journal.ts';
import { nodeStoreFolder } from '../store/store_file.ts';
import type { Flags } from './cli.ts';
import { EXIT, NO_FUNDS } from './exit_bits.ts';
import { inUse } from './file_holders.ts';
import { lockFor } from './file_owner.ts';
import { shellWord } from './findings_text.ts';
import { printJson, printText } from './output.ts';
import { runTask } from './run_task.ts';

const textOf = (path: string, { outcome, displaced }: Undone, kept: string | null): string => {
  switch (outcome) {
    case 'cancelled':
      return `Stopped: ${path} is as it was.`;
    case 'already':
      return `${path} has its old content already: there was nothing to undo.\n${NO_FUNDS}`;
    case 'restored': {
      const repaired = displaced === undefined ? '' : ` What was there is now ${kept}.`;
      return `${path} is again what it was before the repair, bit for bit.${repaired}\nNext: gossipd check ${shellWord(path)}\n${NO_FUNDS}`;
    }
  }
};

export const undo = async (journalPath: string, flags: Flags, json: boolean): Promise<number> => {
  if (!existsSync(journalPath)) {
    throw new OperationalError(
      'bad_argument',
      'stop',
      `there is no ${journalPath}`,
      'Name the .undo-….json file that "gossipd repair --in-place" wrote beside the store.',
    );
  }
  const folder = nodeStoreFolder(dirname(resolve(journalPath)));
  const journal = readJournal(folder, basename(journalPath));
  const path = join(folder.path, journal.name);
  const holder = inUse(path);
  if (holder !== undefined) throw holder;
  const lock = lockFor(path, folder, journal.name);
  let undone: Undone;
  try {
    undone = await runTask(flags, (task) =>
      undoRepair(folder, journal, flags['force'] === true, systemClock(), task),
    );
  } finally {
    lock.release();
  }
  const exitCode = undone.outcome === 'cancelled' ? EXIT.cancelled : EXIT.clean;
  const displaced = undone.displaced === undefined ? null : join(folder.path, undone.displaced);
  if (json) {
    await printJson({
      path,
      journal: resolve(journalPath),
      outcome: undone.outcome,
      displaced,
      bytes: journal.before.bytes,
      sha256: journal.before.sha256,
      exit_code: exitCode,
    });
  } else if (flags['quiet'] !== true) await printText(textOf(path, undone, displaced));
  return exitCode;
};
