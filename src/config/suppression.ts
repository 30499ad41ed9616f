import { isWarningMode, type JournalPolicy } from '../model/definition.ts';
import { parseListed } from '../normalise/listed.ts';
import { isRefusal } from '../normalise/parsed.ts';
import type { Mark, Report, Step } from './problem.ts';
import type { CollectionSection } from './schema.ts';

/** What sections of the configuration say of suppression (src/suppress/), as policies hold it. */

interface Reporting {
  report: Report;
  placeOf(path: readonly Step[]): Mark;
}

type Suppression = Pick<JournalPolicy, 'suppress' | 'admit' | 'warningLists'>;

/** What a section says of suppression, beside what is said above it. Entries that can't be read are reported. */
export function suppressionOf(
  path: readonly Step[],
  section: Pick<CollectionSection, 'suppress' | 'admit' | 'warning_lists'>,
  above: Suppression,
  { report, placeOf }: Reporting,
): Suppression {
  const [suppress, admit] = (['suppress', 'admit'] as const).map((key) =>
    [
      ...new Set([...(above[key] ?? []), ...readEntries([...path, key], section[key] ?? [], { report, placeOf })]),
    ].sort(),
  );
  const warningLists = modesOf(section.warning_lists, above.warningLists ?? {});
  return {
    ...(suppress?.length ? { suppress } : {}),
    ...(admit?.length ? { admit } : {}),
    ...(Object.keys(warningLists).length === 0 ? {} : { warningLists }),
  };
}

/** Entries in canonical form. Those that can't be read are reported. */
export function readEntries(
  path: readonly Step[],
  entries: readonly string[],
  { report, placeOf }: Reporting,
): string[] {
  return entries.flatMap((entry, i) => {
    const parsed = parseListed(entry);
    if (!isRefusal(parsed)) return [parsed.observable.value];
    const at = [...path, i];
    report(
      placeOf(at),
      at,
      `must be an address, a network, a domain, a URL, an e-mail address or a file hash: ${parsed.detail}`,
    );
    return [];
  });
}

/** The lists that do something, each with what it does. */
function modesOf(
  given: CollectionSection['warning_lists'],
  above: NonNullable<Suppression['warningLists']>,
): NonNullable<Suppression['warningLists']> {
  if (given === 'off') return {};
  const modes = Object.entries({ ...above, ...given });
  return Object.fromEntries(modes.flatMap(([name, mode]) => (isWarningMode(mode) ? [[name, mode]] : [])));
}
