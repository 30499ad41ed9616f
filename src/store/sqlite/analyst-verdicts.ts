import { type AnalystVerdict, type AnalystVerdictKind, isSameQuestion } from '../../model/analyst-verdict.ts';
import type { Micros } from '../../model/clock.ts';
import type { AnalystVerdictReader, AnalystVerdictWriter } from '../contract/analyst-verdicts.ts';
import { MAX_ENDED_VERDICTS } from '../limits.ts';
import { requireLimit } from '../misuse.ts';
import type { Sync } from '../synchronous.ts';
import { observableCodes, observableOfCode } from './codes.ts';
import type { Connection } from './connection.ts';

/** Numbers on disk: never reused, never changed. */
const kindCodes: Record<AnalystVerdictKind, number> = { 'false-positive': 1, confirmed: 2, sighted: 3 };
const kindByCode = new Map(Object.entries(kindCodes).map(([kind, code]) => [code, kind as AnalystVerdictKind]));

const COLUMNS =
  'v.id, v.pool, lower(hex(v.key)), v.type, v.value, v.kind, v.given_by, v.note, v.given_at, v.seen_at, v.until, v.ended_at, v.ended_by';
type Row = [
  id: number,
  pool: string,
  key: string,
  type: number,
  value: string,
  kind: number,
  by: string,
  note: string | null,
  at: Micros,
  seenAt: Micros | null,
  until: Micros | null,
  endedAt: Micros | null,
  endedBy: string | null,
];

function verdictOf([
  id,
  pool,
  key,
  type,
  value,
  kind,
  by,
  note,
  at,
  seenAt,
  until,
  endedAt,
  endedBy,
]: Row): AnalystVerdict {
  return {
    id,
    pool,
    key,
    observable: { type: observableOfCode(type), value },
    kind: kindByCode.get(kind) as AnalystVerdictKind,
    by,
    note,
    at,
    seenAt,
    until,
    ended: endedAt === null ? null : { at: endedAt, by: endedBy },
  };
}

export function readAnalystVerdicts(connection: Connection): Sync<AnalystVerdictReader> {
  return {
    analystVerdicts: ({ pool, keys, withEnded, before, limit }) =>
      connection
        .all<Row>(
          `SELECT ${COLUMNS} FROM analyst_verdicts v WHERE v.id < ?
           ${pool === null ? '' : 'AND v.pool = ?'} ${withEnded ? '' : 'AND v.ended_at IS NULL'}
           ${keys === null ? '' : 'AND v.key IN (SELECT unhex(value) FROM json_each(?))'} ORDER BY v.id DESC LIMIT ?`,
          before ?? Number.MAX_SAFE_INTEGER,
          ...(pool === null ? [] : [pool]),
          ...(keys === null ? [] : [JSON.stringify(keys)]),
          requireLimit(limit, 0),
        )
        .map(verdictOf),

    countAnalystVerdicts: (pool) =>
      connection.get<[number]>(
        'SELECT count(*) FROM analyst_verdicts INDEXED BY analyst_verdicts_standing WHERE pool = ? AND ended_at IS NULL',
        pool,
      )?.[0] ?? 0,
  };
}

export function writeAnalystVerdicts(connection: Connection): Sync<AnalystVerdictWriter> {
  return {
    addAnalystVerdict(verdict) {
      const { pool, key, observable, kind, by, note, at, seenAt, until } = verdict;
      const question = isSameQuestion(kind, 'sighted') ? 1 : 0;
      connection.run(
        `UPDATE analyst_verdicts SET ended_at = ?, ended_by = ?
         WHERE pool = ? AND key = unhex(?) AND question = ? AND ended_at IS NULL`,
        at,
        by,
        pool,
        key,
        question,
      );
      const [id] = connection.get<[number]>(
        `INSERT INTO analyst_verdicts (pool, key, type, value, kind, question, given_by, note, given_at, seen_at, until)
         VALUES (?, unhex(?), ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id`,
        pool,
        key,
        observableCodes[observable.type],
        observable.value,
        kindCodes[kind],
        question,
        by,
        note,
        at,
        seenAt,
        until,
      ) as [number];
      return { ...verdict, id, ended: null };
    },

    hasStandingVerdicts: (pool) =>
      connection.get(
        'SELECT 1 FROM analyst_verdicts INDEXED BY analyst_verdicts_standing WHERE pool = ? AND ended_at IS NULL LIMIT 1',
        pool,
      ) !== undefined,

    standingVerdicts: (pool, keys) =>
      connection
        .all<Row>(
          `SELECT ${COLUMNS} FROM json_each(?) n CROSS JOIN analyst_verdicts v INDEXED BY analyst_verdicts_standing
           ON v.pool = ? AND v.key = unhex(n.value) AND v.ended_at IS NULL`,
          JSON.stringify([...new Set(keys)]),
          pool,
        )
        .map(verdictOf),

    endAnalystVerdicts(ids, at, by) {
      connection.run(
        `UPDATE analyst_verdicts SET ended_at = iif(?1 IS NULL, ifnull(until, ?2), ?2), ended_by = ?1
         WHERE id IN (SELECT value FROM json_each(?3)) AND ended_at IS NULL`,
        by,
        at,
        JSON.stringify(ids),
      );
    },

    overdueVerdicts: (now, limit) =>
      connection
        .all<Row>(
          `SELECT ${COLUMNS} FROM analyst_verdicts v INDEXED BY analyst_verdicts_by_date
           WHERE v.ended_at IS NULL AND v.until <= ? ORDER BY v.until LIMIT ?`,
          now,
          requireLimit(limit),
        )
        .map(verdictOf),

    reviveVerdicts(now, limit) {
      const early = connection.all<Row>(
        `SELECT ${COLUMNS} FROM analyst_verdicts v INDEXED BY analyst_verdicts_by_end
         WHERE v.ended_at > ? AND v.ended_by IS NULL AND NOT EXISTS (
           SELECT 1 FROM analyst_verdicts n INDEXED BY analyst_verdicts_by_key
           WHERE n.pool = v.pool AND n.key = v.key AND n.question = v.question AND n.id > v.id) LIMIT ?`,
        now,
        requireLimit(limit),
      );
      const revived = early.map((row) => ({ ...verdictOf(row), ended: null }));
      connection.run(
        'UPDATE analyst_verdicts SET ended_at = NULL WHERE id IN (SELECT value FROM json_each(?))',
        JSON.stringify(revived.map(({ id }) => id)),
      );
      return revived;
    },

    forgetEndedVerdicts(before) {
      connection.run('DELETE FROM analyst_verdicts WHERE ended_at < ?', before);
      connection.run(
        `DELETE FROM analyst_verdicts WHERE id IN (
           SELECT id FROM analyst_verdicts INDEXED BY analyst_verdicts_by_end WHERE ended_at IS NOT NULL
           ORDER BY ended_at DESC, id DESC LIMIT -1 OFFSET ?)`,
        MAX_ENDED_VERDICTS,
      );
    },
  };
}
