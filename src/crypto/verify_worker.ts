/**
 * The thread of the verification pool: loads its own engine, then answers the batches of its ring until terminated.
 *
 * Started by verify_pool.ts with a WorkerStart. It blocks in Atomics.wait when idle, so it listens to no messages; what it
 * posts reaches the main thread without its event loop.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { loadEngine } from './engine.ts';
import { answerBatches, FELL_BACK_TO_NOBLE, type WorkerStart } from './verify_loop.ts';

const start = workerData as WorkerStart;
const engine = loadEngine(start.engine);
const tell = (message: number): void => parentPort?.postMessage(message);

if (start.engine === 'fastest' && engine.name === 'noble') tell(FELL_BACK_TO_NOBLE);
answerBatches(start.shared, start.firstSlot, engine, tell);
