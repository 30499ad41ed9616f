import type { Command } from 'commander';
import type { Micros } from '../model/clock.ts';
import type { StatusReport } from '../model/control.ts';
import { errorText, type StoreFault } from '../model/error.ts';
import { statusJson } from '../status/json.ts';
import { type AnswerOptions, type CommandContext, withAnswer, withControl } from './context.ts';
import { humanServed } from './served.ts';
import { ageText, cut, formatJson, formatTable, timeText } from './terminal.ts';

export function addStatus(program: Command, context: CommandContext): void {
  withAnswer(program.command('status'))
    .description('show feeds, accounts and collections')
    .action(async (options: AnswerOptions) => {
      const report = await withControl(context, options, (control) => control.status());
      context.terminal.out(options.json ? formatJson(statusJson(report)) : humanStatus(report));
    });
}

const faultWords: Record<StoreFault, string> = {
  'store-full':
    'store-full: its disk is full (SQLITE_FULL). Nothing new is kept until there is room; what was kept is served.',
  'store-damaged': 'store-damaged: its file can not be read back whole. Stop Sluice and restore a backup.',
};

type Feed = StatusReport['feeds'][number];

function stateOf(feed: Feed): string {
  if (feed.idle !== null) return feed.idle === 'disabled' ? 'disabled' : 'no key';
  if (feed.attemptedAt === null) return 'not polled yet';
  if (feed.failures > 0) {
    const word = feed.error?.heldBack === undefined ? 'failing' : 'held back';
    return feed.stale ? `${word}, stale` : word;
  }
  if (feed.stale) return 'stale';
  return feed.stalled === null ? 'ok' : 'stalled';
}

function humanStatus({ version, now, storeFault, feeds, accounts, sinks, collections }: StatusReport): string {
  const feedRows = feeds.map((feed) => [
    feed.feed,
    stateOf(feed),
    ageText(feed.succeededAt, now),
    ageText(feed.nextPollAt, now),
    feed.error === null ? '' : cut(`${feed.error.code}: ${errorText(feed.error)}`, 160),
  ]);
  const tallyRows = feeds.map((feed) => [
    feed.feed,
    feed.read,
    feed.split,
    feed.observations + feed.objects,
    feed.folded,
    feed.gone,
    feed.filtered,
    feed.refused.reduce((sum, { count }) => sum + count, 0),
    [
      ...feed.refused.map(({ reason, count }) => `${count} ${reason}`),
      ...(feed.unaccounted === 0 ? [] : [`${feed.unaccounted} NOT ACCOUNTED FOR, a fault in Sluice: please report it`]),
    ].join(', '),
  ]);
  const accountRows = accounts.map((account) => [
    account.account,
    account.requests,
    ageText(account.lastRequestAt, now),
    freeAt(account) > now ? ageText(freeAt(account), now) : '-',
  ]);
  const gapRows = feeds.flatMap(({ feed, gap }) =>
    gap === null ? [] : [[feed, `${timeText(gap.from)}`, `${timeText(gap.to)}`, ageText(gap.at, now)]],
  );
  const noteRows = feeds.flatMap(({ feed, note, stalled, changedAt }) => [
    ...(note === null ? [] : [[feed, ageText(note.at, now), note.text]]),
    ...(stalled === null ? [] : [[feed, ageText(changedAt, now), stalled]]),
  ]);
  const termRows = feeds.flatMap(({ feed, attribution, redistribution }) =>
    attribution === null && redistribution === 'unknown' ? [] : [[feed, redistribution, attribution ?? '-']],
  );
  const sinkRows = sinks.flatMap(({ name, kind, idle, failures, failed, error, collections: views }) =>
    views.length === 0
      ? [[name, kind, '', idle === 'disabled' ? 'disabled' : 'no key', '-', failed, '']]
      : views.map(({ alias, deliveredTo, head }) => [
          name,
          kind,
          alias,
          failures > 0
            ? 'failing'
            : deliveredTo === null
              ? 'not begun'
              : isUpToDate(deliveredTo, head)
                ? 'up to date'
                : 'behind',
          ageText(deliveredTo, now),
          failed,
          error === null ? '' : cut(`${error.code}: ${error.message}`, 100),
        ]),
  );
  const collectionRows = collections.map((collection) => [
    collection.alias,
    totalOf(collection.live),
    ageText(collection.head, now),
    collection.id,
  ]);
  return [
    `Sluice ${version}, ${timeText(now)}`,
    ...(storeFault === null ? [] : [`Store\n${faultWords[storeFault]}`]),
    `Feeds\n${formatTable(['NAME', 'STATE', 'LAST GOOD', 'NEXT', 'ERROR'], feedRows)}`.trimEnd(),
    `Rows (read + split = held + folded + aged out + filtered + refused)\n${formatTable(TALLY, tallyRows)}`.trimEnd(),
    `Served (held = live + left out)\n${humanServed(feeds)}`,
    ...(gapRows.length === 0 ? [] : [`Gaps\n${formatTable(['FEED', 'FROM', 'TO', 'FOUND'], gapRows)}`.trimEnd()]),
    ...(noteRows.length === 0 ? [] : [`Notes\n${formatTable(['FEED', 'FOUND', 'WHAT'], noteRows)}`.trimEnd()]),
    ...(termRows.length === 0
      ? []
      : [`Terms\n${formatTable(['FEED', 'MAY BE PASSED ON', 'CREDIT'], termRows)}`.trimEnd()]),
    `Accounts\n${formatTable(['NAME', 'REQUESTS', 'LAST', 'FREE'], accountRows)}`.trimEnd(),
    ...(sinkRows.length === 0
      ? []
      : [
          `Sinks\n${formatTable(['NAME', 'KIND', 'COLLECTION', 'STATE', 'DELIVERED TO', 'FAILED', 'ERROR'], sinkRows)}`.trimEnd(),
        ]),
    `Collections\n${formatTable(['NAME', 'LIVE', 'NEWEST', 'ID'], collectionRows)}`,
  ].join('\n\n');
}

const TALLY = ['FEED', 'READ', 'SPLIT', 'HELD', 'FOLDED', 'AGED OUT', 'FILTERED', 'REFUSED', 'WHY REFUSED'];

/** When the upstream may be asked again, as far as it or its failures say. */
function freeAt({ blockedUntil, breaker }: StatusReport['accounts'][number]): Micros {
  return Math.max(blockedUntil ?? 0, breaker?.openUntil ?? 0);
}

function isUpToDate(deliveredTo: Micros, head: Micros | null): boolean {
  return head === null || deliveredTo >= head;
}

function totalOf(live: Partial<Record<string, number>>): number {
  return Object.values(live).reduce<number>((sum, count) => sum + (count ?? 0), 0);
}
