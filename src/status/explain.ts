import type { Micros } from '../model/clock.ts';
import type { ExplainedCollection, ExplainedValue, ExplainReport } from '../model/explain.ts';
import { formatMillis } from '../model/timestamp.ts';

/** An explanation as JSON: what `sluice explain --json` and the routes answer. */
export function explainJson({ asked, values, unreadable, refused }: ExplainReport) {
  return {
    asked,
    unreadable,
    values: values.map(valueJson),
    refused: refused.map(({ lastAt, ...row }) => ({ ...row, last_at: timeOf(lastAt) })),
  };
}

function valueJson({ observable, said, analysts, collections, within }: ExplainedValue) {
  return {
    ...observable,
    said: said.map(({ firstSeen, lastSeen, validUntil, reportedAt, ...one }) => ({
      ...one,
      first_seen: timeOf(firstSeen),
      last_seen: timeOf(lastSeen),
      valid_until: timeOf(validUntil),
      reported_at: timeOf(reportedAt),
    })),
    analysts: analysts.map(({ pool, kind, by, note, at, until, ended }) => ({
      ...{ pool, kind, by, note, at: timeOf(at), until: timeOf(until) },
      ended: ended === null ? null : { at: timeOf(ended.at), by: ended.by },
    })),
    collections: collections.map(collectionJson),
    within,
  };
}

function collectionJson({ alias, state, reason, why, merged, rule, leftOut, history }: ExplainedCollection) {
  return {
    collection: alias,
    state,
    reason,
    why,
    served_as:
      merged === null
        ? null
        : {
            confidence: merged.confidence,
            publishers: merged.publishers,
            tlp: merged.tlp,
            valid_until: timeOf(merged.validUntil),
            score: merged.score,
            inputs: merged.inputs,
          },
    rule,
    left_out: leftOut,
    history: history.map(({ since, at, validUntil, ...entry }) => ({
      ...entry,
      since: timeOf(since),
      at: timeOf(at),
      valid_until: timeOf(validUntil),
    })),
  };
}

/**
 * What a reader may know: of the collections that it may read and that hold the value or held it, what it was told. Who says it in a
 * collection is told where it stands, as its indicator tells it too. A value in none of them is answered like an unknown one.
 */
export function readableExplanation(report: ExplainReport, mayRead: (alias: string) => boolean): ExplainReport {
  const values = report.values.map(({ observable, collections, within }): ExplainedValue => {
    const held = collections.filter(({ alias, history }) => mayRead(alias) && history.length > 0);
    const holding = within.map((network) => ({ ...network, collections: network.collections.filter(mayRead) }));
    return {
      observable,
      said: [],
      analysts: [],
      collections: held.map(toldOf),
      within: holding.filter(({ collections }) => collections.length > 0),
    };
  });
  const known = values.filter(({ collections, within }) => collections.length > 0 || within.length > 0);
  return {
    asked: report.asked,
    values: known.length > 0 ? known : values.slice(0, 1).map(({ observable }) => unknown(observable)),
    unreadable: report.unreadable,
    refused: [],
  };
}

function unknown(observable: ExplainedValue['observable']): ExplainedValue {
  return { observable, said: [], analysts: [], collections: [], within: [] };
}

/** Why it left is what its readers were told, and no more: what is said of it now may be above what they may know. */
function toldOf(collection: ExplainedCollection): ExplainedCollection {
  const { state, history, why, reason } = collection;
  if (state === 'live') return { ...collection, leftOut: [] };
  const told = history.findLast(({ withdrawn }) => withdrawn !== null)?.withdrawn ?? null;
  const isRule = told === 'suppressed' && reason === 'suppressed';
  return {
    ...collection,
    reason: told,
    why: isRule ? why : `It was withdrawn: ${told}.`,
    merged: null,
    rule: isRule ? collection.rule : null,
    leftOut: [],
  };
}

function timeOf(at: Micros | null): string | null {
  return at === null ? null : formatMillis(at);
}
