import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** One change that Stryker made to the source, and what the tests said of it. */
export interface Mutant {
  file: string;
  /** `line:column`, both counted from 1. */
  start: string;
  end: string;
  mutator: string;
  replacement: string;
  status: 'Killed' | 'Timeout' | 'Survived' | 'NoCoverage' | 'CompileError' | 'RuntimeError' | 'Ignored';
}

const project = fileURLToPath(new URL('../../', import.meta.url));
const work = join(project, '.cache', 'mutation');

/** Texts for people and SQL are left alone: the first change no behaviour, any change of the second is an error. */
const excludedMutations = ['StringLiteral'];

/**
 * Runs Stryker over ranges of the source, `file:line:column-line:column`, in a copy of the project. A mutant meets those of the
 * test files that reach it, one after another, until one fails.
 */
export async function runStryker(mutate: readonly string[], testFiles: readonly string[]): Promise<Mutant[]> {
  await mkdir(work, { recursive: true });
  const settings = join(work, 'stryker.json');
  const report = join(work, 'report.json');
  await rm(report, { force: true });
  await writeFile(settings, JSON.stringify(configuration(mutate, testFiles, report)));
  await execute(['node_modules/@stryker-mutator/core/bin/stryker.js', 'run', settings]);
  const answer = await readFile(report, 'utf8');
  const files: Record<string, { mutants: ReportedMutant[] }> = JSON.parse(answer).files;
  return Object.entries(files).flatMap(([file, { mutants }]) => mutants.map((mutant) => read(file, mutant)));
}

interface Position {
  line: number;
  column: number;
}

interface ReportedMutant {
  mutatorName: string;
  replacement?: string;
  status: Mutant['status'];
  location: { start: Position; end: Position };
}

function read(file: string, { mutatorName, replacement, status, location }: ReportedMutant): Mutant {
  const [start, end] = [location.start, location.end].map(({ line, column }) => `${line}:${column}`);
  if (start === undefined || end === undefined) throw new Error(`a mutant of ${file} has no location`);
  return { file, start, end, mutator: mutatorName, replacement: replacement ?? '', status };
}

const configuration = (mutate: readonly string[], testFiles: readonly string[], report: string): object => ({
  testRunner: 'tap',
  tap: { testFiles, nodeArgs: ['-r', '{{hookFile}}', '{{testFile}}'] },
  coverageAnalysis: 'perTest',
  mutate,
  mutator: { excludedMutations },
  concurrency: 1,
  timeoutMS: 60_000,
  timeoutFactor: 3,
  ignorePatterns: ['.cache', '.tap'],
  tempDirName: join('.cache', 'mutation', 'copy'),
  reporters: ['json', 'progress-append-only'],
  jsonReporter: { fileName: report },
  checkers: [],
  allowEmpty: true,
  fileLogLevel: 'off',
});

async function execute(args: string[]): Promise<void> {
  // The runner starts `node`: it has to be the one that runs this.
  const PATH = [dirname(process.execPath), process.env['PATH']].join(delimiter);
  const env = { ...process.env, PATH, SLUICE_TEST: 'fast', TAP_TIMEOUT: '900' };
  const child = spawn(process.execPath, args, { cwd: project, env, stdio: 'inherit' });
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`Stryker ended with ${code}`);
}
