import { execFile } from 'node:child_process';
import { hash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Test } from 'tap';
import type { JsonObject } from '../../src/model/json.ts';
import { cachedFolder } from './cache.ts';
import { isFast, notFast } from './fast.ts';

/**
 * Elastic's own CEL runtime (github.com/elastic/mito), which Filebeat's CEL input runs programs with, built by the installed Go
 * from the versions and checksums in test/fixtures/mito into `.cache/`, where the next run finds it.
 */
const run = promisify(execFile);
const source = fileURLToPath(new URL('../fixtures/mito', import.meta.url));

const BUILD_MS = 10 * 60_000;
const RUN_MS = 60_000;

/** What a program left behind in one interval. */
export interface CelRun {
  /** The state after each evaluation, the last one at the end. */
  states: JsonObject[];
  stderr: string;
}

/**
 * Runs a program from a state until it wants no more, as Filebeat does in one interval. Null when there is no runtime: the test
 * has then said so and should return. Rejects when the program fails to evaluate, which would degrade the input.
 */
export async function runCel(t: Test, program: string, state: JsonObject): Promise<CelRun | null> {
  const ready = await celRuntime();
  if ('missing' in ready) {
    t.pass(`skipped: ${ready.missing}`, { skip: ready.missing });
    return null;
  }
  // Not in the test's own directory, which a gateway may live in.
  const work = await mkdtemp(join(tmpdir(), 'sluice-cel-'));
  const data = join(work, 'state.json');
  await writeFile(data, JSON.stringify(state));
  const { stdout, stderr } = await run(ready.mito, ['-data', data, program], { timeout: RUN_MS }).finally(() =>
    rm(work, { recursive: true }),
  );
  // One indented object after another.
  const states = JSON.parse(`[${stdout.trim().replaceAll('\n}\n{', '\n},\n{')}]`) as JsonObject[];
  return { states, stderr };
}

let runtime: Promise<{ mito: string } | { missing: string }> | undefined;

/** The built runtime, or in one line why this machine has none. Throws instead of giving a reason where `CI` is set. */
export function celRuntime(): Promise<{ mito: string } | { missing: string }> {
  runtime ??= build();
  return runtime;
}

async function build(): Promise<{ mito: string } | { missing: string }> {
  if (isFast) return { missing: notFast };
  const go = await run('go', ['version']).catch(() => null);
  if (go === null) return { missing: "no Go toolchain to build Elastic's CEL runtime with" };
  const pins = await readFile(join(source, 'go.sum'), 'utf8');
  const name = `mito-${hash('sha256', `${go.stdout}\n${pins}`).slice(0, 16)}`;
  try {
    const home = await cachedFolder(name, async (draft) => {
      // One compiler at a time: the tests beside this one need the machine too.
      const args = ['build', '-buildvcs=false', '-p', '1', '-o', join(draft, 'mito'), '.'];
      await run('go', args, { cwd: source, timeout: BUILD_MS });
      return draft;
    });
    return { mito: join(home, 'mito') };
  } catch (error) {
    if (process.env['CI']) throw new Error('CI must run the CEL checks', { cause: error });
    return { missing: `Elastic's CEL runtime can't be built: ${String(error).split('\n').at(1) ?? error}` };
  }
}
