import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** What tests download or build once and find again: `.cache/` of the project. */
const cache = fileURLToPath(new URL('../../.cache/', import.meta.url));

const WAIT_MS = 250;

/**
 * The folder `.cache/NAME`. Where there is none, `fill` makes it: it gets an empty folder to work in, and returns that or the
 * folder within it that is to be kept. One process fills, the others wait for it; what it throws is thrown.
 */
export async function cachedFolder(name: string, fill: (draft: string) => Promise<string>): Promise<string> {
  const folder = join(cache, name);
  if (existsSync(folder)) return folder;
  await mkdir(cache, { recursive: true });
  const unlock = await lock(`${folder}.lock`);
  try {
    if (existsSync(folder)) return folder;
    const draft = await mkdtemp(`${folder}.`);
    try {
      await rename(await fill(draft), folder);
      return folder;
    } finally {
      await rm(draft, { recursive: true, force: true });
    }
  } finally {
    await unlock();
  }
}

/** Holds a file that names this process; one of a process that is gone is taken away. Returns what lets go of it. */
async function lock(path: string): Promise<() => Promise<void>> {
  for (;;) {
    const file = await open(path, 'wx').catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
      return null;
    });
    if (file !== null) {
      await file.writeFile(`${process.pid}`);
      await file.close();
      return () => rm(path, { force: true });
    }
    const holder = await readFile(path, 'utf8').catch(() => '');
    if (holder !== '' && !runs(Number(holder))) await rm(path, { force: true });
    else await new Promise((resolve) => setTimeout(resolve, WAIT_MS));
  }
}

function runs(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
