import type { Selection, Tally } from './output.ts';

export function newTally(): Tally {
  return { total: 0, tooWide: 0, notWritable: 0 };
}

/** What of the selection is in no page of the document, by its reason. */
export function leftOutOf({ total, tooWide, notWritable }: Tally, { maximum }: Pick<Selection, 'maximum'>) {
  return { beyondMaximum: Math.max(0, total - (maximum ?? total)), tooWide, notWritable };
}

export type DocumentLeftOut = ReturnType<typeof leftOutOf>;

export function sumOf(leftOut: DocumentLeftOut): number {
  return leftOut.beyondMaximum + leftOut.tooWide + leftOut.notWritable;
}

/** For people; null where nothing is left out. */
export function leftOutText(leftOut: DocumentLeftOut): string | null {
  const { beyondMaximum, tooWide, notWritable } = leftOut;
  const parts = [
    [beyondMaximum, 'beyond the maximum'],
    [tooWide, 'networks that are too wide'],
    [notWritable, 'that this format cannot write'],
  ] as const;
  const said = parts.flatMap(([count, words]) => (count === 0 ? [] : [`${count} ${words}`]));
  return said.length === 0 ? null : `Left out: ${said.join(', ')}.`;
}
