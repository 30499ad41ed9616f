import type { Micros } from '../model/clock.ts';
import type { FeedState } from '../model/state.ts';
import { parseHttpDate } from '../model/timestamp.ts';

/** What a pull that was read to its end shows of whether the list is another one than before. */
export interface SeenList {
  /** Rows came, changed or left. */
  hasChanges: boolean;
  answer: Pick<FeedState, 'bodyHash' | 'lastModified'>;
}

/**
 * Returns when the list of a feed last changed. `before`: the state when the pull began. Where a pull is one answer, the answers tell: a
 * publisher who makes the same list anew is at work. Where it is several, the rows tell.
 *
 * A list that was never read before may be old: its own date counts. After that it changed between two pulls, whatever it says of itself.
 */
export function lastChange(before: FeedState, { hasChanges, answer }: SeenList, now: Micros): Micros {
  const [known, read] = [bodyOf(before), bodyOf(answer)];
  const isOther = known === '' || read === '' ? hasChanges : known !== read;
  if (!isOther && before.changedAt !== null) return before.changedAt;
  const dated = parseHttpDate(answer.lastModified ?? '') ?? now;
  const earliest = before.changedAt === null ? 0 : (before.succeededAt ?? 0);
  return Math.max(earliest, Math.min(dated, now));
}

/** The hash of the body, without the fingerprint of how it is read (upstream.ts). */
function bodyOf({ bodyHash }: Pick<FeedState, 'bodyHash'>): string {
  return bodyHash?.slice(bodyHash.indexOf(':') + 1) ?? '';
}
