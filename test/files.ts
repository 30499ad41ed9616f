import { globSync, readFileSync } from 'node:fs';

/** A test file, and whether daily work can do without it. */
export interface TestFile {
  path: string;
  /** Null: it is in `npm run test:fast`. */
  slow: { seconds: number; reason: string } | null;
}

/** A line of its own in the file, `// slow (30 s): why`; seconds on a machine with nothing else to do. */
const MARK = /^\/\/ slow \((\d+) s\): (.+)$/m;

/**
 * All test files in the order in which they run: fast ones first, so that most failures show early, then slow ones, longest first,
 * so that all processes end at about the same time.
 */
export function testFiles(): TestFile[] {
  const paths = globSync('test/**/*.test.ts').sort();
  const files = paths.map((path) => ({ path, slow: markOf(readFileSync(path, 'utf8')) }));
  return files.sort((a, b) => rank(a) - rank(b));
}

function markOf(text: string): TestFile['slow'] {
  const [, seconds, reason] = MARK.exec(text) ?? [];
  return seconds === undefined || reason === undefined ? null : { seconds: Number(seconds), reason };
}

function rank({ slow }: TestFile): number {
  return slow === null ? -Infinity : -slow.seconds;
}
