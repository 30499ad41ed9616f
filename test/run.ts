import { type StdioOptions, spawn } from 'node:child_process';
import type { Writable } from 'node:stream';
import t from 'tap';
import { testFiles } from './files.ts';
import { elasticsearchHome } from './helpers/elasticsearch.ts';
import { celRuntime } from './helpers/mito.ts';
import { pythonEnvironment } from './helpers/python.ts';

/**
 * Runs the test files, each in a process of its own: `node test/run.ts`, or with `--fast` those without a `// slow` line. A
 * terminal sees tap's own report, anything else one TAP stream.
 */
const isFast = process.argv.includes('--fast');
/** Three on two processor cores: some files wait most of their time. */
const JOBS = 3;
const FILE_MS = 900_000;
/** A fast file that takes longer is named at the end. */
const FAST_MS = 10_000;

if (process.stdout.isTTY) {
  const stdio: StdioOptions = ['pipe', 'inherit', 'inherit'];
  t.pipe(spawn('tap', ['run', '--disable-coverage', '-'], { stdio }).stdin as Writable);
}
t.setTimeout(0);
t.jobs = JOBS;
const files = testFiles();
if (!isFast) prepare();
const env = { ...process.env, TAP_TIMEOUT: String(FILE_MS / 1000), ...(isFast ? { SLUICE_TEST: 'fast' } : {}) };
for (const { path, slow } of files) {
  if (isFast && slow !== null) continue;
  const options = { buffered: true, timeout: FILE_MS, stdio: 'pipe' as const, env };
  const results = t.spawn(process.execPath, [path], options, path);
  if (isFast) results.then((ended) => noteSlow(path, ended?.time ?? 0));
}
t.teardown(() => {
  if (!t.passing()) process.exitCode = 1;
});
if (isFast) {
  t.teardown(() => {
    const left = files.filter(({ slow }) => slow !== null);
    t.comment('not in test:fast, but in npm test, beside checks by programs of other makers:');
    for (const { path, slow } of left) t.comment(`  ${path}: ${slow?.reason}`);
  });
}

function noteSlow(path: string, millis: number): void {
  if (millis > FAST_MS)
    t.comment(`longer than a fast file takes on an idle machine: ${path}, ${Math.round(millis / 1000)} s`);
}

/** Downloads and builds, while fast files run, what the slow ones need; those wait for it and say what is missing. */
function prepare(): void {
  const all = [pythonEnvironment(), elasticsearchHome('9.5.3'), elasticsearchHome('8.19.21'), celRuntime()];
  for (const one of all) one.catch(() => null);
}
