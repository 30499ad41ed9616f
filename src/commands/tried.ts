import type { Micros } from '../model/clock.ts';
import type { TriedAnswer, TryReport } from '../model/control.ts';
import { cut, formatTable, printable, timeText } from './terminal.ts';

/** What `sluice try` shows to a person. `yaml`: what to paste; null for a feed that is configured. */
export function humanTry(report: TryReport, yaml: string | null): string {
  const { feed, format, guessed, mode, answers, rows, rejections, note } = report;
  const parts = [
    `${printable(feed)}: format ${format}${guessed === undefined ? '' : `, guessed from ${guessed}`}, ${mode}\n${answers.map(answerText).join('')}${summaryOf(report)}`,
  ];
  if (note !== null) parts.push(`${printable(note)}\n`);
  if (rows.length > 0) parts.push(rowTable(report));
  const refused = rejections.filter(({ isNote }) => !isNote);
  const notes = rejections.filter(({ isNote }) => isNote);
  if (refused.length > 0) parts.push(`Refused\n${rejectionTable(refused)}`);
  if (notes.length > 0) parts.push(`Notes, on rows that were taken\n${rejectionTable(notes)}`);
  if (report.against !== null) parts.push(changeText(report, report.against));
  if (yaml !== null && report.error === null) parts.push(`To use it, add this to sluice.yaml:\n\n${yaml}`);
  return parts.join('\n');
}

function answerText({ host, status, type, etag, lastModified }: TriedAnswer): string {
  const facts = [
    `${host} answered ${status}`,
    type,
    etag === null ? null : `ETag ${etag}`,
    lastModified === null ? null : `Last-Modified ${lastModified}`,
  ];
  return `${printable(facts.filter((fact) => fact !== null).join(', '))}\n`;
}

function summaryOf({ outcome, requests, bytes, read, accepted, filtered, refused }: TryReport): string {
  const least = outcome === 'cut' ? 'at least ' : '';
  const ends = { whole: 'read to its end', cut: 'not read to its end', failed: 'failed' };
  // Most feeds have no filter.
  const leftOut = filtered === 0 ? '' : `, left out by the filter ${least}${filtered}`;
  return `${ends[outcome]}: requests ${requests}, bytes ${bytes}, rows ${least}${read}, taken ${least}${accepted}${leftOut}, refused ${least}${refused}\n`;
}

function rowTable({ rows }: TryReport): string {
  const cells = rows.map((row) => [
    row.type,
    cut(row.value, 80),
    row.confidence ?? '-',
    row.tlp ?? '-',
    cut(row.labels.join(', '), 40),
    dateText(row.firstSeen ?? row.validFrom),
    dateText(row.lastSeen),
    row.revoked ? 'revoked' : dateText(row.validUntil),
  ]);
  return formatTable(['TYPE', 'VALUE', 'CONFIDENCE', 'TLP', 'LABELS', 'FIRST', 'LAST', 'UNTIL'], cells);
}

function dateText(at: Micros | null): string {
  return timeText(at)?.slice(0, 16).replace('T', ' ') ?? '-';
}

function rejectionTable(rejections: TryReport['rejections']): string {
  const cells = rejections.map(({ reason, count, detail, row }) => [reason, count, cut(detail, 60), cut(row, 100)]);
  return formatTable(['REASON', 'ROWS', 'DETAIL OF THE FIRST', 'FIRST'], cells);
}

function changeText({ outcome }: TryReport, against: NonNullable<TryReport['against']>): string {
  const { held, fresh, changed, gone } = against;
  const least = outcome === 'cut' ? 'at least ' : '';
  if (held === 0) return `The first pull would add ${least}${fresh}.\n`;
  const withdrawn = gone === null ? '' : `, take out ${gone}`;
  return `The next pull would add ${least}${fresh}, change ${least}${changed}${withdrawn}; ${held} are held.\n`;
}
