import type { Entry } from '../model/entry.ts';
import type { Output, Selection } from './output.ts';

/** What a reader of entries can arrange, besides leaving some out. */
export type Arrangement = Pick<Selection, 'order' | 'prefixes'>;

/** Is the format fine with entries arranged like this? */
export function fits(output: Output, options: object, { order, prefixes }: Arrangement): boolean {
  const needs = output.needs?.(options) ?? {};
  return (needs.order ?? order) === order && (needs.prefixes ?? prefixes) === prefixes;
}

/** What was asked for, within what the format can hold. */
export function within(asked: Selection, output: Output, options: object): Selection {
  const { types = null, maximum = null } = output.needs?.(options) ?? {};
  return {
    ...asked,
    types: types === null ? asked.types : (asked.types ?? types).filter((type) => types.includes(type)),
    maximum: maximum === null ? asked.maximum : Math.min(maximum, asked.maximum ?? maximum),
  };
}

/** Is the entry's type selected? Objects that are no indicators have none, and pass. */
export function isSelected(entry: Entry, { types }: Pick<Selection, 'types'>): boolean {
  return types === null || entry.kind === 'object' || types.includes(entry.type);
}

/** Slices without what is not selected, and no more entries than may be. */
export async function* selectAll(
  slices: AsyncIterable<readonly Entry[]>,
  selection: Selection,
): AsyncGenerator<readonly Entry[]> {
  let left = selection.maximum ?? Number.POSITIVE_INFINITY;
  for await (const slice of slices) {
    const selected = slice.filter((entry) => isSelected(entry, selection)).slice(0, left);
    left -= selected.length;
    yield selected;
    if (left <= 0) return;
  }
}
