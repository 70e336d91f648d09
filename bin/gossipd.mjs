#!/usr/bin/env node
// Starts gossipd. In a source checkout it first installs and compiles what is missing, so that one command is enough.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const setupScript = new URL('../scripts/setup.mjs', import.meta.url);
if (existsSync(fileURLToPath(setupScript))) {
  const { setup } = await import(setupScript.href);
  setup();
}
const { main } = await import('../dist/src/main.js');
await main(process.argv.slice(2));
