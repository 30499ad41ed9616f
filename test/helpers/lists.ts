import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import type { ServedLists } from '../../routes/parts.ts';
import { openBuilds } from '../../src/lists/builds.ts';
import type { Clock } from '../../src/model/clock.ts';
import type { ListDefinition } from '../../src/model/definition.ts';
import type { Reader } from '../../src/store/store.ts';

/** The list of all there is as text, with what a test says of it. */
export function listOf(changes: Partial<ListDefinition> = {}): ListDefinition {
  return {
    collection: 'all',
    format: 'txt',
    options: { comments: false, prefixes: 'cidr' },
    types: null,
    minConfidence: null,
    minPrefix: { ipv4: 0, ipv6: 0 },
    aggregate: false,
    order: 'strongest',
    maxEntries: null,
    pageSize: null,
    emptyLine: null,
    ...changes,
  };
}

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
