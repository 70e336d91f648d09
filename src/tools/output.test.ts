import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runTool } from './tool_process.test.support.ts';

test('printJson and printText print once, with a line end; big integers become text', async () => {
  const { out, code } = await runTool(
    ['output'],
    'await tools.printJson({ a: 2n ** 63n, b: [] }); await tools.printText("done");',
  );
  assert.equal(code, 0);
  assert.equal(out, '{\n  "a": "9223372036854775808",\n  "b": []\n}\ndone\n');
});

test('a long output arrives whole, however slow its reader', async () => {
  const { out, code } = await runTool(
    ['output'],
    `const output = new tools.Output();
     for (let line = 0; line < 200000; line++) if (output.line('line ' + line)) await output.drain();
     await output.drain();`,
  );
  assert.equal(code, 0);
  const lines = out.trimEnd().split('\n');
  assert.equal(lines.length, 200_000);
  assert.equal(lines.at(-1), 'line 199999');
});

test('a reader that leaves ends the output without an error', async () => {
  const { code, signal, err } = await runTool(
    ['output'],
    `const output = new tools.Output();
     while (!output.closed) if (output.line('again and again')) await output.drain();
     await tools.printText('nobody reads this');`,
    [],
    1_000,
  );
  assert.deepEqual([code, signal, err], [0, null, '']);
});
