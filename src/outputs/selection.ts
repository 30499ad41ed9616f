import type { Entry } from '../model/entry.ts';
import type { Output, Selection } from './output.ts';

/** How entries are arranged where they are read. */
export type Arrangement = Pick<Selection, 'order' | 'prefixes'>;

/** Can the format be written from entries in this arrangement? */
export function fits(output: Output, options: object, { order, prefixes }: Arrangement): boolean {
  const needs = output.needs?.(options) ?? {};
  return (needs.order ?? order) === order && (needs.prefixes ?? prefixes) === prefixes;
}

/** Narrows what the client asks for to what the format can hold. */
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

/** Leaves out entries that are not selected, and those beyond the maximum. */
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
