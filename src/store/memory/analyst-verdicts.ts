import { type AnalystVerdict, isSameQuestion } from '../../model/analyst-verdict.ts';
import type { Micros } from '../../model/clock.ts';
import type { AnalystVerdictReader, AnalystVerdictWriter } from '../contract/analyst-verdicts.ts';
import { MAX_ENDED_VERDICTS } from '../limits.ts';
import { requireLimit } from '../misuse.ts';
import type { Sync } from '../synchronous.ts';
import type { Database, View } from './database.ts';
import { keyOf, matching } from './table.ts';

export function readAnalystVerdicts(view: View): Sync<AnalystVerdictReader> {
  return {
    analystVerdicts({ pool, keys, withEnded, before, limit }) {
      const wanted = keys === null ? null : new Set(keys);
      return [...view.standingVerdicts.values(), ...(withEnded ? view.endedVerdicts.values() : [])]
        .filter((one) => pool === null || one.pool === pool)
        .filter((one) => wanted === null || wanted.has(one.key))
        .filter((one) => before === null || one.id < before)
        .sort((a, b) => b.id - a.id)
        .slice(0, requireLimit(limit, 0));
    },

    countAnalystVerdicts: (pool) => matching(view.standingVerdicts, (one) => one.pool === pool).length,
  };
}

export function writeAnalystVerdicts(database: Database): Sync<AnalystVerdictWriter> {
  const { standingVerdicts: standing, endedVerdicts: ended } = database.tables;
  const end = (one: AnalystVerdict, at: Micros, by: string | null): void => {
    standing.delete(nameOf(one));
    ended.set(String(one.id), { ...one, ended: { at, by } });
  };
  return {
    addAnalystVerdict(verdict) {
      const before = standing.get(nameOf(verdict));
      if (before !== undefined) end(before, verdict.at, verdict.by);
      const added = { ...verdict, id: database.nextId(), ended: null };
      standing.set(nameOf(added), added);
      return added;
    },

    hasStandingVerdicts: (pool) => matching(standing, (one) => one.pool === pool).length > 0,

    standingVerdicts: (pool, keys) =>
      [...new Set(keys)].flatMap((key) =>
        (['confirmed', 'sighted'] as const).flatMap((kind) => standing.get(nameOf({ pool, key, kind })) ?? []),
      ),

    endAnalystVerdicts(ids, at, by) {
      for (const one of matching(standing, ({ id }) => ids.includes(id))) {
        end(one, by === null ? (one.until ?? at) : at, by);
      }
    },

    overdueVerdicts: (now, limit) =>
      matching(standing, ({ until }) => until !== null && until <= now)
        .sort((a, b) => (a.until ?? 0) - (b.until ?? 0))
        .slice(0, requireLimit(limit)),

    reviveVerdicts(now, limit) {
      const early = matching(ended, (one) => {
        if (one.ended === null || one.ended.by !== null || one.ended.at <= now) return false;
        if (standing.get(nameOf(one)) !== undefined) return false;
        return matching(ended, (later) => later.id > one.id && nameOf(later) === nameOf(one)).length === 0;
      });
      const revived = early.slice(0, requireLimit(limit)).map((one) => ({ ...one, ended: null }));
      for (const one of revived) {
        ended.delete(String(one.id));
        standing.set(nameOf(one), one);
      }
      return revived;
    },

    forgetEndedVerdicts(before) {
      const latest = matching(ended, () => true).sort((a, b) => endOf(b) - endOf(a) || b.id - a.id);
      for (const [i, one] of latest.entries()) {
        if (i >= MAX_ENDED_VERDICTS || endOf(one) < before) ended.delete(String(one.id));
      }
    },
  };
}

function endOf({ ended }: AnalystVerdict): Micros {
  return ended?.at ?? 0;
}

/** Verdicts of one name answer one question: at most one of them stands. */
function nameOf({ pool, key, kind }: Pick<AnalystVerdict, 'pool' | 'key' | 'kind'>): string {
  return keyOf(pool, key, String(isSameQuestion(kind, 'sighted')));
}
