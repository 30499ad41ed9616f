import type { JournalDefinition } from '../model/definition.ts';
import { own } from './own.ts';
import type { Suppressor, SuppressorKind } from './suppressor.ts';
import { warningLists } from './warning-lists.ts';

/** All kinds of suppressors by name. The first verdict counts. */
export const suppressorKinds: Readonly<Record<string, SuppressorKind>> = { own, 'warning-lists': warningLists };

/** The suppressors that a journal's policy asks for, of these kinds. */
export function openSuppressors(
  journal: Pick<JournalDefinition, 'name' | 'policy'>,
  kinds: Readonly<Record<string, SuppressorKind>> = suppressorKinds,
): Suppressor[] {
  return Object.values(kinds).flatMap((kind) => kind.open(journal) ?? []);
}
