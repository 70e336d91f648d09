/** The version of the package, read once from its package.json. */
import { readFileSync } from 'node:fs';

const read = (): string => {
  const text = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8');
  const { version } = JSON.parse(text) as { version?: string };
  return version ?? 'unknown';
};

export const VERSION: string = read();
