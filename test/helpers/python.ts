import { spawn } from 'node:child_process';
import { hash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import { cachedFolder } from './cache.ts';
import { isFast, notFast } from './fast.ts';

/**
 * The judges that are written in Python: the OASIS validator, pattern parser and TAXII client, at the versions that
 * test/requirements.txt pins, in a virtual environment under `.cache/` that the next run finds again.
 */
const project = fileURLToPath(new URL('../../', import.meta.url));
const requirements = join(project, 'test', 'requirements.txt');
const guard = join(project, 'test', 'helpers', 'python');

const INSTALL_MS = 10 * 60_000;
const RUN_MS = 5 * 60_000;

export interface PythonResult {
  code: number | null;
  stdout: string;
  stderr: string;
}

let environment: Promise<{ python: string } | { missing: string }> | undefined;

/**
 * The environment's interpreter, or in one line why this machine has none. Throws instead of giving a reason where `CI` is set.
 */
export function pythonEnvironment(): Promise<{ python: string } | { missing: string }> {
  environment ??= prepare();
  return environment;
}

async function prepare(): Promise<{ python: string } | { missing: string }> {
  if (isFast) return { missing: notFast };
  const base = await findPython();
  const result = base === null ? { missing: 'no python3 with venv and pip' } : await build(base.command, base.version);
  if ('missing' in result && process.env['CI']) throw new Error(`CI must run the Python checks: ${result.missing}`);
  return result;
}

async function findPython(): Promise<{ command: string; version: string } | null> {
  for (const command of ['python3', 'python']) {
    const probe = 'import sys, venv, ensurepip; assert sys.version_info >= (3, 10); print(sys.version)';
    const found = await start(command, ['-c', probe], { timeout: 30_000 }).catch(() => null);
    if (found?.code === 0) return { command, version: found.stdout };
  }
  return null;
}

async function build(base: string, version: string): Promise<{ python: string } | { missing: string }> {
  const name = hash('sha256', `${version}\n${await readFile(requirements, 'utf8')}`).slice(0, 16);
  try {
    const home = await cachedFolder(`python-${name}`, async (draft) => {
      await step(base, ['-m', 'venv', draft]);
      const install = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', requirements];
      await step(join(draft, 'bin', 'python'), install);
      // Only `bin/python` is used, which finds its home by itself; the scripts beside it do not survive being moved.
      return draft;
    });
    return { python: join(home, 'bin', 'python') };
  } catch (error) {
    return { missing: error instanceof Error ? error.message : String(error) };
  }
}

async function step(command: string, args: readonly string[]): Promise<void> {
  const { code, stderr } = await start(command, args, { timeout: INSTALL_MS });
  if (code !== 0) throw new Error(`${args[1]} failed: ${lastLine(stderr)}`);
}

/**
 * Runs Python source, or a file given as a URL, with `input` on its standard input. Proxies are unset and every address
 * but loopback is refused. Null when there is no environment: the test has then said so and should return.
 */
export async function runPython(
  t: Test,
  script: string | URL,
  args: readonly string[] = [],
  input = '',
  env: Record<string, string> = {},
): Promise<PythonResult | null> {
  const ready = await pythonEnvironment();
  if ('missing' in ready) {
    t.pass(`skipped: ${ready.missing}`, { skip: ready.missing });
    return null;
  }
  const source = script instanceof URL ? [fileURLToPath(script)] : ['-c', script];
  const clean = Object.entries(process.env).filter(([key]) => !/^(PYTHON|PIP_)|_proxy$/i.test(key));
  return start(ready.python, [...source, ...args], {
    input,
    timeout: RUN_MS,
    env: { ...Object.fromEntries(clean), PYTHONPATH: guard, PYTHONUTF8: '1', PYTHONDONTWRITEBYTECODE: '1', ...env },
  });
}

interface StartOptions {
  timeout: number;
  input?: string;
  env?: NodeJS.ProcessEnv;
}

function start(command: string, args: readonly string[], options: StartOptions): Promise<PythonResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { timeout: options.timeout, env: options.env ?? process.env });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on('data', (chunk) => out.push(chunk));
    child.stderr.on('data', (chunk) => err.push(chunk));
    child.on('error', reject);
    child.on('close', (code) => {
      resolve({ code, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() });
    });
    // A program that ends before it has read its input is judged by its exit code, not by the broken pipe.
    child.stdin.on('error', () => {});
    child.stdin.end(options.input ?? '');
  });
}

/**
 * Starts a Python program that goes on until the test ends, under the same rules as `runPython`; null, with the skip
 * said, where there is no environment.
 */
export async function startPython(t: Test, args: readonly string[]): Promise<{ stderr(): string } | null> {
  const ready = await pythonEnvironment();
  if ('missing' in ready) {
    t.pass(`skipped: ${ready.missing}`, { skip: ready.missing });
    return null;
  }
  const clean = Object.entries(process.env).filter(([key]) => !/^(PYTHON|PIP_)|_proxy$/i.test(key));
  const child = spawn(ready.python, args, {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...Object.fromEntries(clean), PYTHONPATH: guard, PYTHONUTF8: '1', PYTHONDONTWRITEBYTECODE: '1' },
  });
  let said = '';
  child.stderr.on('data', (chunk) => {
    said = (said + chunk).slice(-4096);
  });
  const ended = new Promise((resolve) => child.on('close', resolve));
  t.teardown(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  return { stderr: () => said };
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? '';
}
