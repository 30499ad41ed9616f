import { ecsContext } from '../src/ecs/data-stream.ts';
import { ecsDocument, writeEcs } from '../src/ecs/document.ts';
import { systemClock } from '../src/model/clock.ts';
import type { IndicatorEntry } from '../src/model/entry.ts';
import { jsonText } from '../src/model/json.ts';
import type { ObservableType } from '../src/model/observable.ts';
import { plainDocument } from '../test/helpers/ecs.ts';
import { CREATED, indicatorEntry } from '../test/helpers/entry.ts';

/**
 * ECS documents a second on one thread: `node bench/ecs.ts [ROUNDS]`. The contenders take turns in one run. What counts is the ratio
 * to the floor, JSON.stringify of ready documents, and to the plain version.
 */
const ROUNDS = Number(process.argv[2] ?? 5);
const COUNT = 20_000;

const hex = (n: number, digits: number): string => n.toString(16).padStart(digits, '0');
const values: Partial<Record<ObservableType, (n: number) => string>> = {
  ipv4: (n) => `198.18.${(n >> 8) & 255}.${n & 255}`,
  domain: (n) => `host-${n}.evil${n % 100}.example.co.uk`,
  url: (n) => `http://host-${n}.evil.example.com:8080/a/b${n}/run.exe?id=${n}`,
  sha256: (n) => hex(n, 64),
  md5: (n) => hex(n, 32),
};
const types = Object.keys(values) as ObservableType[];

/** A mix as a busy feed has it: no two values equal, a source, a reference, two labels, times. */
const entries: IndicatorEntry[] = Array.from({ length: COUNT }, (_, n) => {
  const type = types[n % types.length] as ObservableType;
  return indicatorEntry(
    { type, value: values[type]?.(n) ?? '' },
    {
      dateAdded: CREATED + n * 1_000_003,
      version: CREATED + n * 1_000_000,
      firstSeen: CREATED - n * 1_000_000,
      lastSeen: CREATED - n * 500_000,
      description: 'Reported by the feed',
      labels: jsonText(['malware', `family-${n % 50}`]),
      references: jsonText([{ source_name: 'URLhaus', url: `https://urlhaus.example/url/${n}/`, external_id: `${n}` }]),
      sources: jsonText([{ feed: 'socdefenders', feed_name: 'URLhaus', id: `${n}`, confidence: 85 }]),
    },
  );
});
const context = ecsContext({ target: 'stream', collection: { alias: 'all', title: 'All indicators' } });
const ready = entries.map((entry) => ecsDocument(entry, context));

const contenders: Record<string, () => number> = {
  'JSON.stringify of ready documents': () => ready.reduce((sum, each) => sum + JSON.stringify(each).length, 0),
  writeEcs: () => entries.reduce((sum, entry) => sum + writeEcs(entry, context).length, 0),
  'the plain version': () =>
    entries.reduce((sum, entry) => sum + JSON.stringify(plainDocument(entry, context)).length, 0),
};

const best: Record<string, number> = {};
for (let round = 0; round < ROUNDS; round += 1) {
  for (const [name, run] of Object.entries(contenders)) {
    const cpu = process.cpuUsage();
    const characters = run();
    const { user, system } = process.cpuUsage(cpu);
    const rate = COUNT / ((user + system) / 1e6);
    best[name] = Math.max(best[name] ?? 0, rate);
    if (round === 0) console.log(`${name}: ${Math.round(characters / COUNT)} characters a document`);
  }
}
const floor = best['JSON.stringify of ready documents'] ?? 1;
for (const [name, rate] of Object.entries(best)) {
  console.log(
    `${name}: ${Math.round(rate).toLocaleString('en')} a CPU second, ${(rate / floor).toFixed(2)} of the floor`,
  );
}

const perType = (type: ObservableType): number => {
  const some = entries.filter((entry) => entry.type === type);
  const started = systemClock.now();
  for (let n = 0; n < 5; n += 1) for (const entry of some) writeEcs(entry, context);
  return Math.round((some.length * 5) / ((systemClock.now() - started) / 1e6));
};
for (const type of types) console.log(`writeEcs of ${type}: ${perType(type).toLocaleString('en')} a second`);
