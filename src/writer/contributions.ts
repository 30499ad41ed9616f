import { randomUUID } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Config } from '../config/config.ts';
import { addIocs } from '../ingest/contribute-iocs.ts';
import { type Clock, MICROS_PER_DAY } from '../model/clock.ts';
import type { Contribution, Contributions } from '../model/contribution.ts';
import type { ContributedDefinition } from '../model/definition.ts';
import { GatewayError } from '../model/error.ts';
import { createSemaphore } from '../model/semaphore.ts';
import { addContributed, type Checked, checkContributed, removeContributed } from '../publish/contribute.ts';
import type { Writer } from '../store/store.ts';
import { readEnvelope } from './envelope.ts';

export interface ContributionsParts {
  clock: Clock;
  writer: Writer;
  namespace: string;
  /** Called after a collection has changed. */
  onChange(collection: string): void;
}

/** How long a client may ask what became of its objects: TAXII 2.1 section 4.3 wants a day. */
const KEPT_DAYS = 2;
/** The same as a number, for each client. */
const KEPT = 200;
/** Objects checked in one turn of the event loop. */
const CHECKED_AT_ONCE = 25;

/**
 * Changes contributed collections, one after the other, each in one transaction: when it is answered it is kept, so that nothing is ever
 * pending.
 */
export function openContributions(
  { contributed }: Config,
  { clock, writer, namespace, onChange }: ContributionsParts,
): Contributions {
  const oneByOne = createSemaphore(1);
  const journalOf = (alias: string): ContributedDefinition => {
    const journal = contributed.find(({ collection }) => collection === alias);
    if (journal === undefined) throw new GatewayError('not-found', 'There is no such collection.');
    return journal;
  };
  return {
    addEnvelope: ({ client, collection }, body) =>
      oneByOne.run(async () => {
        const journal = journalOf(collection);
        const checked: Checked[] = [];
        for (const [place, value] of (await readEnvelope(body)).entries()) {
          checked.push(checkContributed(value, place));
          if (checked.length % CHECKED_AT_ONCE === 0) await nextTurn();
        }
        const contribution = await writer.transaction(async (tx): Promise<Contribution> => {
          const at = clock.now();
          const added = await addContributed(tx, journal, checked);
          const contribution = { id: randomUUID(), client, at, ...added };
          await tx.saveContribution(contribution);
          await tx.forgetContributions(client, at - KEPT_DAYS * MICROS_PER_DAY, KEPT);
          return contribution;
        });
        onChange(collection);
        return contribution;
      }),

    addIocs: ({ collection }, rows) =>
      oneByOne.run(async () => {
        const journal = journalOf(collection);
        const outcomes = await writer.transaction((tx) => addIocs(tx, { journal, namespace }, rows, clock.now()));
        if (outcomes.some(({ outcome }) => outcome === 'added' || outcome === 'updated')) onChange(collection);
        return outcomes;
      }),

    removeObject: ({ collection }, objectId, versions) =>
      oneByOne.run(async () => {
        const journal = journalOf(collection);
        const removed = await writer.transaction((tx) => removeContributed(tx, journal, objectId, versions));
        if (removed > 0) onChange(collection);
        return removed;
      }),
  };
}
