import type { Test } from 'tap';
import { runPython } from './python.ts';

/** What OASIS' validator and library say of one object. */
export interface Finding {
  id: string;
  errors: string[];
  /** Departures from recommendations. */
  warnings: string[];
  /** The complaint of stix2's strict parser, null when it took the object. */
  parse: string | null;
}

/**
 * Findings in the order of the objects' JSON texts; null where there is no Python, which the test has then said. `musts`: what
 * is only recommended is not looked at.
 */
export async function judgeStix(t: Test, texts: readonly string[], extent?: 'musts'): Promise<Finding[] | null> {
  const script = new URL('./python/judge_stix.py', import.meta.url);
  const result = await runPython(
    t,
    script,
    extent === undefined ? [] : [extent],
    texts.map((text) => text.replaceAll('\n', ' ')).join('\n'),
  );
  if (result === null) return null;
  if (result.code !== 0) throw new Error(`stix2-validator: ${result.stderr.slice(-2000)}`);
  const lines = result.stdout.trim().split('\n');
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Finding);
}
