import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';

/** Heap of the thread: the check itself is one statement of SQLite's, so most of it is for loading modules. */
const LIMITS = { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 8 };

/**
 * `PRAGMA quick_check` (https://sqlite.org/pragma.html#pragma_quick_check) on a store's file, in a thread of its own: the
 * statement reads the whole file without a pause. Answers its first complaint, or null. Throws when the thread dies.
 */
export function checkFile(file: string, signal: AbortSignal): Promise<string | null> {
  if (signal.aborted) return Promise.resolve(null);
  const worker = new Worker(new URL(`./check-thread${extname(import.meta.filename)}`, import.meta.url), {
    workerData: file,
    resourceLimits: LIMITS,
  });
  return new Promise<string | null>((resolve, reject) => {
    const abort = (): void => void worker.terminate().then(() => resolve(null));
    signal.addEventListener('abort', abort, { once: true });
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.once('exit', () => resolve(null));
    worker.once('exit', () => signal.removeEventListener('abort', abort));
  });
}
