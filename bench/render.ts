import type { IndicatorEntry } from '../src/model/entry.ts';
import { jsonText } from '../src/model/json.ts';
import { formatMillis, parseTimestamp } from '../src/model/timestamp.ts';
import { identityId } from '../src/stix/id.ts';
import { ListWriter } from '../src/stix/list-writer.ts';
import { renderEntry } from '../src/stix/render.ts';
import { CREATED, indicatorEntry, NAMESPACE } from '../test/helpers/entry.ts';
import { plainObject } from '../test/helpers/stix.ts';
import { median, printTable } from './measure.ts';

/** What rendering saves by writing text, beside the plain versions: `node bench/render.ts [ROUNDS]`. The two take turns. */
const ROUNDS = Number(process.argv[2] ?? 7);
const COUNT = 20_000;
const PAGE = 1000;

const context = { identityId: identityId(NAMESPACE) };
const entries: IndicatorEntry[] = Array.from({ length: COUNT }, (_, n) =>
  indicatorEntry(
    { type: 'url', value: `http://host-${n}.evil.example/a/b${n}?id=${n}` },
    {
      created: CREATED + n * 1000,
      version: CREATED + n * 1_000_000,
      labels: jsonText(['malware', `family-${n % 50}`]),
      references: jsonText([{ source_name: 'URLhaus', url: `https://urlhaus.example/url/${n}/`, external_id: `${n}` }]),
      sources: jsonText([{ feed: 'socdefenders', feed_name: 'URLhaus', id: `${n}`, confidence: 85 }]),
      kept: n % 4 === 0 ? jsonText({ object_marking_refs: ['marking-definition--a'], lang: 'en' }) : null,
    },
  ),
);
const pages = Array.from({ length: COUNT / PAGE }, (_, n) => entries.slice(n * PAGE, (n + 1) * PAGE));
const times = entries.map(({ version }) => version);
const texts = times.map(formatMillis);
const withZone = texts.map((text) => text.replace('Z', '+00:00'));

const pairs: Record<string, [fast: () => unknown, plain: () => unknown]> = {
  'renderEntry, object and JSON.stringify': [
    () => entries.map((entry) => renderEntry(entry, context)),
    () => entries.map((entry) => JSON.stringify(plainObject(entry, context, 'URL'))),
  ],
  'ListWriter, join and Buffer.from': [
    () =>
      pages.map((page) => {
        const list = new ListWriter(context);
        for (const entry of page) list.add(entry);
        return list.take('[', ']').length;
      }),
    () => pages.map((page) => Buffer.from(`[${page.map((entry) => renderEntry(entry, context)).join(',')}]`).length),
  ],
  'formatMillis, Date.toISOString': [
    () => times.map(formatMillis),
    () => times.map((time) => new Date(Math.floor(time / 1000)).toISOString()),
  ],
  'parseTimestamp of STIX, of other forms': [() => texts.map(parseTimestamp), () => withZone.map(parseTimestamp)],
};

/** Processor time of a call in milliseconds. */
function cost(run: () => unknown): number {
  const before = process.cpuUsage();
  run();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

const rows = Object.entries(pairs).map(([name, [fast, plain]]) => {
  const [fasts, plains] = [[] as number[], [] as number[]];
  for (let round = 0; round < ROUNDS; round += 1) {
    fasts.push(cost(fast));
    plains.push(cost(plain));
  }
  const [a, b] = [median(fasts), median(plains)];
  return [name, a.toFixed(1), b.toFixed(1), (b / a).toFixed(1)];
});
printTable(['fast, plain', 'fast, ms', 'plain, ms', 'ratio'], rows);
