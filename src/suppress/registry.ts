import type { JournalPolicy } from '../model/definition.ts';
import { own } from './own.ts';
import type { Suppressor, SuppressorKind } from './suppressor.ts';

/** All kinds of suppressors by name. */
export const suppressorKinds: Readonly<Record<string, SuppressorKind>> = { own };

/** The suppressors that a policy asks for, of these kinds. */
export function openSuppressors(
  policy: JournalPolicy,
  kinds: Readonly<Record<string, SuppressorKind>> = suppressorKinds,
): Suppressor[] {
  return Object.values(kinds).flatMap((kind) => kind.open(policy) ?? []);
}
