import type { Config } from '../config/config.ts';
import type { Asked } from '../model/asked.ts';
import type { Clock, Micros } from '../model/clock.ts';
import { type CollectionDefinition, type JournalDefinition, sectionOf } from '../model/definition.ts';
import type {
  AskedType,
  ExplainedCollection,
  ExplainedInput,
  ExplainedMerge,
  ExplainedRule,
  ExplainedValue,
  ExplainReport,
  RefusedRow,
  SaidOf,
  ToldEntry,
} from '../model/explain.ts';
import { type Observable, observableKey } from '../model/observable.ts';
import { readAsked } from '../normalise/asked.ts';
import { CONFIRMED_CONFIDENCE, CONFIRMED_LABEL } from '../publish/analysts.ts';
import { type Explanation, explainObservable } from '../publish/explain.ts';
import type { Journals } from '../publish/journals.ts';
import type { FeedObservation, Merged } from '../publish/merge.ts';
import { whyOf } from '../publish/why.ts';
import type { Transaction, Writer } from '../store/store.ts';

export interface ExplainParts {
  clock: Clock;
  writer: Writer;
  journals: Journals;
}

/** Refused rows of a feed that are looked through for the value, the newest first, and of all feeds so many that are shown. */
const REFUSED_SEARCHED = 1000;
const REFUSED_SHOWN = 10;
const ANALYSTS_SHOWN = 20;

/** Tells which feeds say a value, what becomes of that in each collection, and what readers were told. Writes nothing. */
export async function explain(
  config: Config,
  parts: ExplainParts,
  ioc: string,
  type: AskedType,
): Promise<ExplainReport> {
  const asked = readAsked(ioc, type);
  const refused = await findRefused(config, parts.writer, asked);
  const now = parts.clock.now();
  const values = await parts.writer.transaction(async (tx) => {
    const explained: ExplainedValue[] = [];
    for (const observable of asked.exact) {
      explained.push(await explainValue(tx, config, parts.journals, observable, asked.networks, now));
    }
    return explained;
  });
  const detected = asked.observable === null ? null : observableKey(asked.observable);
  return {
    asked: ioc,
    // Further readings only where something is known of them.
    values: values.filter((one) => observableKey(one.observable) === detected || isKnown(one)),
    unreadable: asked.unreadable,
    refused,
  };
}

function isKnown({ said, collections }: ExplainedValue): boolean {
  return said.length > 0 || collections.some(({ history }) => history.length > 0);
}

async function explainValue(
  tx: Transaction,
  config: Config,
  journals: Journals,
  observable: Observable,
  networks: readonly Observable[],
  now: Micros,
): Promise<ExplainedValue> {
  const said = new Map<string, SaidOf>();
  const collections: ExplainedCollection[] = [];
  const within = new Map<string, string[]>();
  for (const definition of journals.parts.journals) {
    const explanation = await explainObservable(tx, await journals.context(tx, definition, now), observable, now);
    for (const one of explanation.said) said.set(`${one.feed} ${one.network ?? ''}`, saidOf(one));
    const views = config.collections.filter(({ journal }) => journal === definition.name);
    for (const collection of views)
      collections.push(explainCollection(explanation, definition, collection, observable));
    for (const entry of await tx.lookup(definition.name, networks.map(observableKey))) {
      const holding = views.filter(({ types }) => types === null || types.includes(entry.type));
      if (entry.revoked || holding.length === 0) continue;
      within.set(entry.value, [...(within.get(entry.value) ?? []), ...holding.map(({ alias }) => alias)]);
    }
  }
  return {
    observable,
    said: [...said.values()],
    analysts: await tx.analystVerdicts({
      ...{ pool: null, keys: [observableKey(observable)], withEnded: true, before: null },
      limit: ANALYSTS_SHOWN,
    }),
    collections,
    within: Array.from(within, ([value, aliases]) => ({ value, collections: aliases })),
  };
}

function saidOf({ feed, network, observation }: FeedObservation): SaidOf {
  const { source, sourceId, confidence, tlp, firstSeen, lastSeen, validUntil, revoked, labels, reportedAt } =
    observation;
  return {
    feed,
    publisher: source.feed_name,
    ...(network === undefined ? {} : { network }),
    id: sourceId,
    confidence,
    tlp,
    firstSeen,
    lastSeen,
    validUntil,
    revoked,
    labels,
    reportedAt,
  };
}

function explainCollection(
  explanation: Explanation,
  definition: JournalDefinition,
  { alias, types }: CollectionDefinition,
  observable: Observable,
): ExplainedCollection {
  const { merged, leftOut } = explanation;
  const section = sectionOf(definition);
  const shown = types ?? definition.policy.types;
  if (shown !== null && !shown.includes(observable.type)) {
    const why = `collections.${alias}.types does not name its type.`;
    return { alias, state: 'never', reason: 'type-not-taken', why, merged: null, rule: null, leftOut: [], history: [] };
  }
  const history = explanation.entries.map(toldEntry);
  const last = history.at(-1);
  const state = last === undefined ? 'never' : last.withdrawn === null ? 'live' : 'withdrawn';
  const reason = reasonOf(explanation, state);
  return {
    alias,
    state,
    reason,
    why: whyOf(explanation, { definition, section, state, reason }),
    merged: merged === null ? null : explainMerge(merged, explanation),
    rule: ruleOf(explanation),
    leftOut: leftOut.map(({ feed, reason }) => ({ feed, reason })),
    history,
  };
}

/** Why it isn't live, or will soon be it no more: what is decided of it now, else what it was withdrawn for. */
function reasonOf(
  { merged, refused, leftOut, entries, said }: Explanation,
  state: ExplainedCollection['state'],
): ExplainedCollection['reason'] {
  if (refused !== null) return refused;
  if (merged !== null) return null;
  const [first] = leftOut;
  if (first !== undefined) return first.reason;
  if (state === 'live') return said.length === 0 ? 'vanished' : null;
  return entries.findLast(({ revoked }) => revoked)?.reason ?? null;
}

function explainMerge(
  { confidence, publishers, tlp, validUntil, labels }: Merged,
  { confidence: explained }: Explanation,
): ExplainedMerge {
  const isConfirmed = labels.includes(CONFIRMED_LABEL);
  const inputs: ExplainedInput[] = [...explained.inputs];
  if (isConfirmed) inputs.push(analystInput((confidence ?? 0) - (explained.confidence ?? 0)));
  // The word of an analyst does not decay.
  return { confidence, publishers, tlp, validUntil, score: isConfirmed ? confidence : explained.score, inputs };
}

function analystInput(added: number): ExplainedInput {
  const own = { feed: 'analyst', publisher: 'analyst', trust: 1, standing: 'independent', of: null } as const;
  return { ...own, said: CONFIRMED_CONFIDENCE, confidence: CONFIRMED_CONFIDENCE, score: CONFIRMED_CONFIDENCE, added };
}

function ruleOf({ verdict }: Explanation): ExplainedRule | null {
  if (verdict === null) return null;
  const { mode, rule, entry, reason, admit } = verdict;
  return { mode, rule, entry, reason, admit };
}

function toldEntry(entry: Explanation['entries'][number]): ToldEntry {
  const { objectId, generation, dateAdded, confidence, validUntil, revoked, reason } = entry;
  return {
    id: objectId,
    since: generation,
    at: dateAdded,
    confidence,
    validUntil,
    withdrawn: revoked ? (reason ?? 'vanished') : null,
  };
}

/** Rows hold values as feeds write them, so they are searched for the value as it was asked and in its canonical form. */
async function findRefused({ feeds, idleFeeds }: Config, writer: Writer, { ioc, exact }: Asked): Promise<RefusedRow[]> {
  const spellings = [...new Set([ioc.trim(), ...exact.map(({ value }) => value)])].filter((text) => text !== '');
  const found: RefusedRow[] = [];
  for (const { definition } of [...feeds, ...idleFeeds]) {
    const { rows } = await writer.rejections(definition.name, REFUSED_SEARCHED);
    for (const { isNote, reason, detail, row, lastAt } of rows) {
      if (isNote || !spellings.some((text) => row.includes(text))) continue;
      found.push({ feed: definition.name, reason, detail, row, lastAt });
    }
  }
  return found.sort((a, b) => b.lastAt - a.lastAt).slice(0, REFUSED_SHOWN);
}
