import type { AnalystVerdict, VerdictList, VerdictReport } from '../model/analyst-verdict.ts';
import type { Micros } from '../model/clock.ts';
import { formatMillis } from '../model/timestamp.ts';

/** Verdicts of analysts as JSON: what `sluice verdict --json` and the control routes answer. */

export function verdictReportJson({ verdicts, entries, withdrawn, feeds }: VerdictReport) {
  return { verdicts: verdicts.map(verdictJson), entries, withdrawn, feeds };
}

export function verdictListJson({ verdicts, next }: VerdictList) {
  return { verdicts: verdicts.map(verdictJson), next };
}

function verdictJson({ id, pool, observable, kind, by, note, at, seenAt, until, ended }: AnalystVerdict) {
  return {
    id,
    verdict: kind,
    pool,
    ...observable,
    by,
    note,
    at: formatMillis(at),
    seen_at: timeOf(seenAt),
    until: timeOf(until),
    ended_at: timeOf(ended?.at ?? null),
    ended_by: ended?.by ?? null,
  };
}

function timeOf(at: Micros | null): string | null {
  return at === null ? null : formatMillis(at);
}
