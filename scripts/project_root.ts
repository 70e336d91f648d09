/**
 * Where the project lies, and its source files. Scripts run compiled, from `dist/scripts`, so the root is found by walking
 * up to the tsconfig.json that compiled them. Reads only; follows no links.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Absolute path of the folder that holds tsconfig.json. Throws when there is none above this file. */
export const projectRoot = (from: string = dirname(fileURLToPath(import.meta.url))): string => {
  let folder = from;
  while (!existsSync(join(folder, 'tsconfig.json'))) {
    const above = dirname(folder);
    if (above === folder)
      throw new Error(`no tsconfig.json above ${from}: run this inside a source checkout`);
    folder = above;
  }
  return folder;
};

export interface SourceFile {
  /** Relative to the root, with forward slashes, e.g. `src/wire/init.ts`. */
  readonly path: string;
  readonly text: string;
}

/** Every file under the named folders whose name ends as asked, sorted by path. Missing folders are empty. */
export const readSources = (root: string, folders: readonly string[], ending = '.ts'): SourceFile[] => {
  const found: SourceFile[] = [];
  const walk = (folder: string): void => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) walk(path);
      else if (entry.isFile() && entry.name.endsWith(ending))
        found.push({ path: relative(root, path).split(sep).join('/'), text: readFileSync(path, 'utf8') });
    }
  };
  for (const folder of folders) if (existsSync(join(root, folder))) walk(join(root, folder));
  return found.sort((left, right) => (left.path < right.path ? -1 : 1));
};

/** True when the module is the program being run, not imported by another. */
export const isProgram = (moduleUrl: string): boolean => process.argv[1] === fileURLToPath(moduleUrl);
