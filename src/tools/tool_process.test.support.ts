/**
 * Runs one tool function in a process of its own, as a shell would: its standard output is a pipe, and the reader may leave
 * early. Also a small signed store to run them on.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { seededRng } from '../base/rng.ts';
import { type BuiltMap, buildMap } from '../simnet/build_map.ts';
import { drawTopology } from '../simnet/topology.ts';

export interface ToolResult {
  readonly code: number | null;
  readonly signal: string | null;
  readonly out: string;
  readonly err: string;
}

/**
 * `script` is the body of an async function; `tools` holds what the named modules of this folder export, `args` what is
 * given. What it returns becomes the exit code; an error is printed as `code: message`, with exit code 8.
 * @param leaveAfter bytes of output after which the reader leaves
 */
export const runTool = (
  modules: readonly string[],
  script: string,
  args: readonly unknown[] = [],
  leaveAfter: number = Number.POSITIVE_INFINITY,
): Promise<ToolResult> =>
  new Promise((resolve, reject) => {
    const urls = modules.map((name) => new URL(`./${name}.js`, import.meta.url).href);
    const source = `
      const tools = Object.assign({}, ...(await Promise.all(${JSON.stringify(urls)}.map((url) => import(url)))));
      const args = JSON.parse(process.argv[1]);
      try {
        process.exitCode = (await (async () => { ${script} })()) ?? 0;
      } catch (error) {
        if (error.hint === undefined) throw error;
        process.stderr.write(error.code + ': ' + error.message + '\\n');
        process.exitCode = 8;
      }`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', source, JSON.stringify(args)]);
    let out = '';
    let err = '';
    child.stdout.setEncoding('utf8').on('data', (piece: string) => {
      out += piece;
      if (out.length >= leaveAfter) child.stdout.destroy();
    });
    child.stderr.setEncoding('utf8').on('data', (piece: string) => {
      err += piece;
    });
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal, out, err }));
  });

/** A map of this many channels in `folder`/map. */
export const smallMap = (folder: string, channels = 40): Promise<BuiltMap> =>
  buildMap({
    seed: 4,
    network: 'regtest',
    folder: join(folder, 'map'),
    workers: 1,
    nowSeconds: Math.floor(Date.now() / 1000),
    drawTopology: () => drawTopology(channels, Math.round(channels / 3), seededRng(4)),
    onProgress: () => {},
  });
