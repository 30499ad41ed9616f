import type { LeftOutReason, LeftOutRow, ServedCount, ServedKind } from '../../model/served.ts';
import { requireLimit } from '../misuse.ts';
import type { Reader, Transaction } from '../store.ts';
import type { Sync } from '../synchronous.ts';
import { readCited } from './cited.ts';
import { invert, observableCodes, observableOfCode } from './codes.ts';
import type { Connection } from './connection.ts';
import { Changes, VERDICT_COUNTS } from './counts.ts';
import { type Kind, OBJECTS, OBSERVATIONS } from './feed-rows.ts';
import { findFeed, openFeed } from './feeds.ts';
import { findJournal, requireJournal } from './journals.ts';

/** Numbers on disk: never reused, never changed. 0 is live, which only objects are told of. */
const LIVE = 0;
const reasonCodes: Record<LeftOutReason, number> = {
  'above-ceiling': 1,
  revoked: 2,
  expired: 3,
  'type-not-taken': 4,
  'objects-not-taken': 5,
  'not-for-elastic': 6,
  'below-confidence': 7,
  'too-few-sources': 8,
  superseded: 9,
  'end-not-served': 10,
  expanded: 11,
  suppressed: 12,
  'label-not-taken': 13,
  'false-positive': 14,
};
const reasonByCode = new Map<number, LeftOutReason>(invert(reasonCodes));

function reasonOfCode(code: number): LeftOutReason {
  const reason = reasonByCode.get(code);
  if (reason === undefined) throw new Error(`unknown reason code ${code}`);
  return reason;
}

/** Kinds: codes of observables, or these. */
const OBJECT = 0;
const MARKING = -1;

function kindOfCode(code: number): ServedKind {
  return code === OBJECT ? 'object' : code === MARKING ? 'marking' : observableOfCode(code);
}

/** A row of `verdicts` within its journal and feed. */
interface Verdict {
  name: string;
  kind: number;
  reason: number;
}

export function readVerdicts(connection: Connection): Sync<Pick<Reader, 'served' | 'leftOut'>> {
  return {
    served() {
      const rows = connection.all<[string, string, number, number, number]>(
        `SELECT j.name, f.name, c.kind, c.reason, c.verdicts FROM verdict_counts c
         CROSS JOIN journals j ON j.id = c.journal CROSS JOIN feeds f ON f.id = c.feed WHERE c.verdicts > 0`,
      );
      const judged = rows.map(([journal, feed, kind, reason, rows]): ServedCount => {
        return { journal, feed, kind: kindOfCode(kind), reason: reasonByCode.get(reason) ?? null, rows };
      });
      return [...readCited(connection), ...judged];
    },

    leftOut(name, feed, limit) {
      const of = [findJournal(connection, name)?.id ?? null, findFeed(connection, feed) ?? null];
      // Keys are blobs and ids are texts: each kind is a range of the table.
      const observations = connection.all<[number, string, number]>(
        `SELECT v.kind, o.value, v.reason FROM verdicts v
         CROSS JOIN observations o INDEXED BY observations_by_key ON o.feed = v.feed AND o.key = v.name
         WHERE v.journal = ? AND v.feed = ? AND v.name >= x'' ORDER BY v.name LIMIT ?`,
        ...of,
        requireLimit(limit, 0),
      );
      const objects = connection.all<[number, string, number]>(
        `SELECT v.kind, v.name, v.reason FROM verdicts v
         WHERE v.journal = ? AND v.feed = ? AND v.name < x'' AND v.reason <> ${LIVE} ORDER BY v.name LIMIT ?`,
        ...of,
        limit - observations.length,
      );
      return [...observations, ...objects].map(([kind, value, reason]): LeftOutRow => {
        return { kind: kindOfCode(kind), value, reason: reasonOfCode(reason) };
      });
    },
  };
}

type Verdicts = Pick<Transaction, 'judge' | 'judgeObjects' | 'forgetVerdicts'>;

export function writeVerdicts(connection: Connection): Sync<Verdicts> {
  return {
    judge(name, keys, leftOut) {
      const journal = requireJournal(connection, name).id;
      const wanted = byFeed(connection, leftOut, ({ key, type, reason }) => {
        return { name: key, kind: observableCodes[type], reason: reasonCodes[reason] };
      });
      replaceVerdicts(connection, OBSERVATIONS, journal, keys, wanted);
    },

    judgeObjects(name, ids, verdicts) {
      const journal = requireJournal(connection, name).id;
      const wanted = byFeed(connection, verdicts, ({ id, kind, reason }) => {
        const code = kind === 'marking' ? MARKING : OBJECT;
        return { name: id, kind: code, reason: reason === null ? LIVE : reasonCodes[reason] };
      });
      replaceVerdicts(connection, OBJECTS, journal, ids, wanted);
    },

    forgetVerdicts(name, feeds, limit) {
      requireLimit(limit);
      const journal = findJournal(connection, name)?.id;
      if (journal === undefined) return 0;
      const [other] =
        connection.get<[number]>(
          `SELECT feed FROM verdict_counts WHERE journal = ? AND verdicts > 0
           AND feed NOT IN (SELECT f.id FROM json_each(?) n CROSS JOIN feeds f ON f.name = n.value) LIMIT 1`,
          journal,
          JSON.stringify(feeds),
        ) ?? [];
      if (other === undefined) return 0;
      const rows = connection.all<[number, number]>(
        `DELETE FROM verdicts WHERE journal = ?1 AND feed = ?2
         AND name IN (SELECT name FROM verdicts WHERE journal = ?1 AND feed = ?2 LIMIT ?3) RETURNING kind, reason`,
        journal,
        other,
        limit,
      );
      const tally: Tally = new Changes();
      for (const [kind, reason] of rows) tally.add([kind, reason], -1);
      tally.save(connection, VERDICT_COUNTS, journal, other);
      return rows.length;
    },
  };
}

/** What was judged of rows that leave the store goes with them. */
export function dropVerdicts(connection: Connection, kind: Kind, feed: number, names: readonly string[]): void {
  const journals = connection.all<[number]>(
    'SELECT j.id FROM journals j WHERE EXISTS (SELECT 1 FROM verdict_counts WHERE journal = j.id AND feed = ? AND verdicts > 0)',
    feed,
  );
  if (journals.length === 0) return;
  const list = JSON.stringify(names);
  for (const [journal] of journals) {
    const tally: Tally = new Changes();
    remove(connection, kind, journal, feed, list, tally);
    tally.save(connection, VERDICT_COUNTS, journal, feed);
  }
}

/** Verdicts by the feed that they are on, then by name. */
type Wanted = Map<number, Map<string, Verdict>>;

function byFeed<T extends { feed: string }>(
  connection: Connection,
  all: readonly T[],
  verdictOf: (one: T) => Verdict,
): Wanted {
  const numbers = new Map<string, number>();
  const wanted: Wanted = new Map();
  for (const one of all) {
    const feed = numbers.get(one.feed) ?? openFeed(connection, one.feed);
    numbers.set(one.feed, feed);
    const verdict = verdictOf(one);
    const ofFeed = wanted.get(feed);
    if (ofFeed === undefined) wanted.set(feed, new Map([[verdict.name, verdict]]));
    else ofFeed.set(verdict.name, verdict);
  }
  return wanted;
}

/** Replaces the verdicts on these names. Feeds that have none, and get none, are not looked up. */
function replaceVerdicts(
  connection: Connection,
  kind: Kind,
  journal: number,
  names: readonly string[],
  wanted: Wanted,
): void {
  const judged = connection.all<[number]>(
    `SELECT DISTINCT feed FROM verdict_counts WHERE journal = ? AND verdicts > 0
     AND ${kind === OBSERVATIONS ? `kind > ${OBJECT}` : `kind <= ${OBJECT}`}`,
    journal,
  );
  const feeds = new Set([...judged.map(([feed]) => feed), ...wanted.keys()]);
  if (feeds.size === 0) return;
  const list = JSON.stringify(names);
  for (const feed of feeds) {
    const ofFeed = wanted.get(feed) ?? new Map<string, Verdict>();
    const standing = connection.all<[string, number, number]>(
      `SELECT n.value, v.kind, v.reason FROM json_each(?) n
       CROSS JOIN verdicts v ON v.journal = ? AND v.feed = ? AND v.name = ${kind.fromText('n.value')}`,
      list,
      journal,
      feed,
    );
    const tally: Tally = new Changes();
    const over: string[] = [];
    const known = new Set<string>();
    for (const [name, code, reason] of standing) {
      const verdict = ofFeed.get(name);
      if (verdict?.kind === code && verdict.reason === reason) known.add(name);
      else over.push(name);
    }
    if (over.length > 0) remove(connection, kind, journal, feed, JSON.stringify(over), tally);
    insert(
      connection,
      kind,
      journal,
      feed,
      [...ofFeed.values()].filter(({ name }) => !known.has(name)),
      tally,
    );
    tally.save(connection, VERDICT_COUNTS, journal, feed);
  }
}

function insert(
  connection: Connection,
  kind: Kind,
  journal: number,
  feed: number,
  verdicts: readonly Verdict[],
  tally: Tally,
): void {
  const statement = connection.statement(
    `INSERT INTO verdicts (journal, feed, name, kind, reason) VALUES (?, ?, ${kind.fromText('?')}, ?, ?)`,
  );
  for (const verdict of verdicts) {
    statement.run(journal, feed, verdict.name, verdict.kind, verdict.reason);
    tally.add([verdict.kind, verdict.reason], 1);
  }
}

/** `names`: a JSON list. */
function remove(connection: Connection, kind: Kind, journal: number, feed: number, names: string, tally: Tally): void {
  const rows = connection.all<[number, number]>(
    `DELETE FROM verdicts WHERE journal = ? AND feed = ?
     AND name IN (SELECT ${kind.fromText('n.value')} FROM json_each(?) n) RETURNING kind, reason`,
    journal,
    feed,
    names,
  );
  for (const [code, reason] of rows) tally.add([code, reason], -1);
}

/** By how much the counts of one journal and feed change. */
type Tally = Changes<[kind: number, reason: number]>;
