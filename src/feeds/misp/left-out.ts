import type { Rejection } from '../../model/observation.ts';

/** Most words that a note names. */
const MOST_WORDS = 12;

/** Counts what a pull leaves out, by reason and word, so that a million comments are one note and not a million. */
export class LeftOut {
  readonly #counts = new Map<string, Map<string, number>>();

  add(reason: string, word: string): void {
    const words = this.#counts.get(reason) ?? new Map<string, number>();
    this.#counts.set(reason, words);
    const known = words.has(word) || words.size < 1000 ? word : 'others';
    words.set(known, (words.get(known) ?? 0) + 1);
  }

  /** A note for each reason, with the commonest words. */
  notes(what: string): Rejection[] {
    return [...this.#counts].map(([reason, words]) => {
      const sorted = [...words].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
      const total = sorted.reduce((sum, [, count]) => sum + count, 0);
      const shown = sorted.slice(0, MOST_WORDS).map(([word, count]) => `${word} ${count}`);
      const more = sorted.length > MOST_WORDS ? ', …' : '';
      return {
        reason: 'not-served',
        detail: `${total} ${what} left out, ${reason}: ${shown.join(', ').slice(0, 400).toWellFormed()}${more}`,
        row: reason,
        isNote: true,
      };
    });
  }
}
