/** The text of a JSON object before and behind the items of a list in it. */
export interface ListFrame {
  opening: string;
  closing: string;
}

/**
 * Frames a list whose items are written one by one, so that a page or a document is never one value in memory: opening, items with
 * commas between them, closing are `JSON.stringify({ ...members, [list]: items })`.
 */
export function frameList(members: object, list: string): ListFrame {
  const closing = ']}';
  return { opening: JSON.stringify({ ...members, [list]: [] }).slice(0, -closing.length), closing };
}
