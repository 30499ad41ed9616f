import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import type { ServedLists } from '../../routes/parts.ts';
import { openBuilds } from '../../src/lists/builds.ts';
import type { Clock } from '../../src/model/clock.ts';
import type { Reader } from '../../src/store/store.ts';

const IDENTITY = 'identity--00000000-0000-4000-8000-000000000000';

/** Lists without a section of the configuration, built in a directory that goes with the test. */
export function openLists(
  t: Pick<Test, 'teardown' | 'error'>,
  { reader, clock, named = [] }: { reader: Reader; clock: Clock; named?: ServedLists['named'] },
): ServedLists {
  const directory = mkdtempSync(join(tmpdir(), 'sluice-lists-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const onError = (error: unknown) => t.error(error as Error);
  return { named, builds: openBuilds({ store: reader, clock, directory, identityId: IDENTITY, onError }) };
}
