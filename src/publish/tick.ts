import { setImmediate as nextTurn } from 'node:timers/promises';
import { MICROS_PER_DAY, MICROS_PER_SECOND, type Micros } from '../model/clock.ts';
import type { JournalDefinition } from '../model/definition.ts';
import type { Transaction } from '../store/store.ts';
import { AgedRows } from './aged-rows.ts';
import { keepVerdictDates } from './analyst-verdicts.ts';
import { addPublished, type Published } from './changes.ts';
import type { Journals } from './journals.ts';
import { publish } from './publish.ts';
import { republishFeeds } from './review.ts';

/** Due entries looked at per transaction. */
const SLICE = 10_000;
/** A clock that is set back by less was not wrong, it is kept in step. */
const CLOCK_STEP = 30 * MICROS_PER_SECOND;

/** Turns what time has done into entries: renewals, re-issues, expiries; tombstones leave when their keep is over. */
export class Ticks {
  readonly #journals: Journals;
  readonly #agedRows: AgedRows;

  constructor(journals: Journals) {
    this.#journals = journals;
    this.#agedRows = new AgedRows(journals);
  }

  async tick(signal: AbortSignal): Promise<Published> {
    const published: Published = { entries: 0, withdrawn: 0 };
    const { clock, journals, writer } = this.#journals.parts;
    const now = clock.now();
    await undoClockAhead(this.#journals, now, signal, published);
    await keepVerdictDates(this.#journals, now, signal, published);
    for (const definition of journals) {
      while (!signal.aborted) {
        const seen = await writer.transaction((tx) => this.#tickSlice(tx, definition, now, published));
        if (seen < SLICE) break;
        await nextTurn();
      }
    }
    if (!signal.aborted) addPublished(published, await this.#agedRows.sweep(now - MICROS_PER_DAY, now, signal));
    return published;
  }

  /** Returns how many entries were due. */
  async #tickSlice(tx: Transaction, definition: JournalDefinition, now: Micros, published: Published): Promise<number> {
    const { name } = definition;
    const due = await tx.dueEntries(name, now, SLICE);
    const over = due.filter((entry) => entry.kind === 'object' || entry.revoked);
    const dates = over.map(({ dateAdded }) => dateAdded);
    if (dates.length > 0) await tx.purge(name, dates);
    const keys = due.flatMap((entry) => (entry.kind === 'indicator' && !entry.revoked ? [entry.key] : []));
    const contexts = [await this.#journals.context(tx, definition, now)];
    addPublished(published, await publish(tx, contexts, { keys, objects: [] }, now));
    return due.length;
  }
}

/** After a clock that was ahead is set right: brings back what ended too early. */
export async function undoClockAhead(
  journals: Journals,
  now: Micros,
  signal: AbortSignal,
  published: Published,
): Promise<void> {
  const isSetBack = now < journals.decidedAt - CLOCK_STEP;
  for (const definition of isSetBack ? journals.parts.journals : []) {
    const feeds = journals.feedsOf(definition).map(({ name }) => name);
    await republishFeeds(journals, definition, feeds, signal, published);
  }
  journals.decidedAt = now;
}
