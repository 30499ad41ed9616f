import { hash } from 'node:crypto';
import type { Micros } from '../model/clock.ts';
import type { ContributedDefinition, JournalDefinition } from '../model/definition.ts';
import { lastVersions } from '../model/entry-filter.ts';
import type { StixObject } from '../model/observation.ts';
import { creditOf } from '../stix/external-reference.ts';
import type { Journal, Transaction } from '../store/store.ts';
import type { Published } from './changes.ts';
import { readmit, viewsOf, widened } from './collection-views.ts';
import { republishCovered } from './covered.ts';
import type { Journals } from './journals.ts';
import { publishObjects } from './objects.ts';
import { appendProducerObjects, currentIdentity } from './producer-objects.ts';
import { isReviewDue, republish, republishFeeds, review } from './review.ts';
import { changedEntries, openPolicy, type SealedLists, type SealedPolicy, sealPolicy } from './sealed-policy.ts';
import { undoClockAhead } from './tick.ts';
import { walk } from './walk.ts';

/** Keys, entries and verdicts taken per transaction. */
const SLICE = 10_000;
/** The same for whole objects, which may be large. */
const OBJECT_SLICE = 1000;

/**
 * Makes journals that are new, and brings those whose policy, feeds or views changed up to what the configuration now says. What is
 * no longer configured is forgotten. After a start that was cut off, the next start begins with the first journal that is not finished.
 */
export async function reconcile(journals: Journals, signal: AbortSignal): Promise<void> {
  const { writer, clock, feeds, contributed = [] } = journals.parts;
  const published: Published = { entries: 0, withdrawn: 0 };
  const identities = new Map<string, StixObject>();
  for (const definition of journals.parts.journals) {
    const policy = wantedPolicy(journals, definition);
    const { views } = policy;
    const objects = journals.parts.producerObjectsOf(definition);
    const journal = await writer.transaction((tx) => openJournal(tx, definition, objects, identities));
    if (journal.policyHash === sealPolicy(policy)) continue;
    const before = openPolicy(journal.policyHash);
    if (before.hash !== policy.hash) {
      const entries = changedEntries(before.lists, policy.lists, definition.policy);
      if (entries === null) await applyPolicy(journals, definition, signal, published);
      else await republishCovered(journals, definition, entries, signal, published);
    }
    const added = widened(before.views, views);
    if (added.length > 0) await readmit(writer, definition.name, added, SLICE, signal);
    await writer.transaction((tx) => tx.setPolicyHash(definition.name, sealPolicy(policy)));
  }
  for (const definition of contributed) {
    const objects = contributedCompany(journals, definition);
    await writer.transaction((tx) => openJournal(tx, { ...definition, pool: '' }, objects, identities));
  }
  await closeUnknownJournals(journals, signal);
  await dropUnknownFeeds(journals, signal);
  for (const { attemptedAt } of await writer.feedStates()) {
    journals.decidedAt = Math.max(journals.decidedAt, attemptedAt ?? 0);
  }
  await undoClockAhead(journals, clock.now(), signal, published);
  // Reviews that were cut off.
  for (const feed of feeds) if (await isReviewDue(journals, feed)) await review(journals, feed, signal);
}

/** Makes the journal when it isn't there, and brings its producer objects up to date. `identities`: as decided in this run. */
async function openJournal(
  tx: Transaction,
  definition: Pick<JournalDefinition, 'name' | 'pool' | 'keepVersions'>,
  producerObjects: readonly StixObject[],
  identities: Map<string, StixObject>,
): Promise<Journal> {
  const journal = await tx.openJournal(definition);
  const objects: StixObject[] = [];
  for (const object of producerObjects) {
    if (object.type !== 'identity') {
      objects.push(object);
      continue;
    }
    // Decided once, so that it is the same in all journals.
    const identity = identities.get(object.id) ?? (await currentIdentity(tx, object));
    identities.set(object.id, identity);
    objects.push(identity);
  }
  await appendProducerObjects(tx, definition.name, objects);
  return journal;
}

/** The producer objects of a journal whose objects keep their markings: those of both versions of TLP. */
function contributedCompany({ parts }: Journals, { tlp }: ContributedDefinition): StixObject[] {
  const inVersion = (tlpVersion: 1 | 2) => parts.producerObjectsOf({ policy: { tlp, tlpVersion } });
  return [...inVersion(2), ...inVersion(1).filter(({ type }) => type !== 'identity')];
}

/** What a journal is to be brought up to date with. */
export function wantedPolicy(
  journals: Journals,
  definition: JournalDefinition,
): SealedPolicy & { hash: string; lists: SealedLists } {
  const { suppress = [], admit = [], ...policy } = definition.policy;
  return {
    hash: policyHash(journals, definition),
    views: viewsOf(definition.name, journals.parts.collections),
    lists: { rest: policyHash(journals, { ...definition, policy }), suppress, admit },
  };
}

/** A hash of all that defines what a journal holds. When it differs from the kept one, the journal is brought up to date. */
function policyHash(journals: Journals, definition: JournalDefinition): string {
  const { profile, policy } = definition;
  const feeds = journals
    .feedsOf(definition)
    .map(
      ({
        name,
        title,
        aliases,
        republishes,
        mode,
        lifetime,
        decay,
        outageLimit,
        confidence,
        trust,
        tlp,
        suppress,
        admit,
        ...rest
      }) => ({
        name,
        title,
        credit: creditOf({ title, ...rest }) ?? undefined,
        aliases,
        republishes,
        mode,
        lifetime,
        decay,
        outageLimit,
        idle: journals.isIdle(name),
        confidence,
        trust,
        tlp,
        suppress,
        admit,
      }),
    );
  const suppressing = journals.suppressing(definition);
  return hash('sha256', JSON.stringify({ profile, policy, feeds, suppressing }), 'hex');
}

/** What now qualifies enters the journal, and what no longer does leaves. */
async function applyPolicy(
  journals: Journals,
  definition: JournalDefinition,
  signal: AbortSignal,
  published: Published,
): Promise<void> {
  const { name } = definition;
  const feeds = journals.feedsOf(definition).map((feed) => feed.name);
  await republishFeeds(journals, definition, feeds, signal, published);
  await republish(journals, definition, (tx, after, limit) => tx.liveKeys(name, after, limit), signal, published);
  await republishObjects(journals, definition, feeds, signal);
  await forgetVerdicts(journals, name, feeds, signal);
}

async function republishObjects(
  journals: Journals,
  definition: JournalDefinition,
  feeds: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const { writer, clock } = journals.parts;
  const publishSlice = async (tx: Transaction, ids: readonly string[]): Promise<void> => {
    const now = clock.now();
    await publishObjects(tx, await journals.context(tx, definition, now), ids, now);
  };
  await walk(signal, (after: string | null) =>
    writer.transaction(async (tx) => {
      // Each once: several feeds may hold it.
      const ids = [...new Set((await tx.objects(feeds, after, OBJECT_SLICE)).map(({ id }) => id))];
      await publishSlice(tx, ids);
      return ids.at(-1) ?? null;
    }),
  );
  await walk(signal, (after: Micros | null) =>
    writer.transaction(async (tx) => {
      const { entries } = await tx.page({ ...lastVersions(definition.name), after: after ?? 0, limit: OBJECT_SLICE });
      const ids = entries.flatMap((entry) =>
        entry.kind === 'object' && !entry.isProducerObject ? [entry.objectId] : [],
      );
      await publishSlice(tx, ids);
      return entries.at(-1)?.dateAdded ?? null;
    }),
  );
}

/** Forgets the journal's verdicts on rows of all feeds but these, because no other feed belongs to it any more. */
async function forgetVerdicts(
  { parts: { writer } }: Journals,
  journal: string,
  feeds: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  await walk(signal, () =>
    writer.transaction(async (tx) => ((await tx.forgetVerdicts(journal, feeds, SLICE)) > 0 ? true : null)),
  );
}

/** A journal that is no longer configured is not published to: should it come back, it is brought up to date from the beginning. */
async function closeUnknownJournals(journals: Journals, signal: AbortSignal): Promise<void> {
  const { writer, contributed = [] } = journals.parts;
  const known = new Set([...journals.parts.journals, ...contributed].map(({ name }) => name));
  for (const { name, policyHash } of await writer.journals()) {
    if (known.has(name)) continue;
    if (policyHash !== null) await writer.transaction((tx) => tx.setPolicyHash(name, null));
    await forgetVerdicts(journals, name, [], signal);
  }
}

/** Removes what feeds said that are no longer configured. By now every journal has withdrawn it. */
async function dropUnknownFeeds({ parts }: Journals, signal: AbortSignal): Promise<void> {
  const { writer, feeds } = parts;
  const known = await writer.transaction((tx) => tx.knownFeeds());
  for (const feed of known.filter((name) => !feeds.some((definition) => definition.name === name))) {
    await walk(signal, () =>
      writer.transaction(async (tx) => {
        const keys = await tx.observedKeys([feed], null, SLICE);
        await tx.removeObservations(feed, keys);
        return keys.length === 0 ? null : true;
      }),
    );
    await writer.transaction((tx) => tx.removeFeed(feed));
  }
}
