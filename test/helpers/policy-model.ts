import { MICROS_PER_DAY, type Micros } from '../../src/model/clock.ts';
import type { DecayDefinition, FeedDefinition, JournalPolicy } from '../../src/model/definition.ts';
import type { ObservableType } from '../../src/model/observable.ts';
import { feed } from './journals.ts';

/** What must come of feeds and a policy, worked out from the words of docs/curation.md and not from the code. */

export const DAY = 86_400_000;
export const names = ['list', 'news', 'copy'] as const;
export type Name = (typeof names)[number];
export const values: Record<string, ObservableType> = {
  'a.example.com': 'domain',
  'b.example.com': 'domain',
  '198.51.100.1': 'ipv4',
};

export interface Row {
  value: string;
  confidence: number | null;
  labels: string[];
  /** Days before it is said. */
  seen: number;
  /** Days after it is said; null: it has no end of its own. */
  ends: number | null;
}
export interface Settings {
  trust: number;
  decay: DecayDefinition | null;
}
export type Policy = Pick<JournalPolicy, 'minConfidence' | 'minSources' | 'types'> &
  Partial<Pick<JournalPolicy, 'sourcesOf' | 'labels' | 'maxAge'>>;
/** What a feed is taken to say: the row, when it was said, and what is absolute of it. */
export interface Said extends Row {
  at: Micros;
}

export class PolicyModel {
  readonly said: Record<Name, Map<string, Said>> = { list: new Map(), news: new Map(), copy: new Map() };
  readonly settings: Record<Name, Settings> = {
    list: { trust: 1, decay: null },
    news: { trust: 1, decay: null },
    copy: { trust: 1, decay: null },
  };
  policy: Policy = { minConfidence: 0, minSources: 1, types: null };
  /** Of the snapshot. */
  confirmedAt: Micros = 0;

  definitions(): FeedDefinition[] {
    const definition = (name: Name, more: Partial<FeedDefinition>): FeedDefinition => {
      const { trust, decay } = this.settings[name];
      const common = { title: name, every: 400 * DAY, confidence: name === 'copy' ? 55 : null };
      return feed(name, {
        ...common,
        ...more,
        ...(trust === 1 ? {} : { trust }),
        ...(decay === null ? {} : { decay }),
      });
    };
    return [
      definition('list', { mode: 'snapshot', lifetime: { default: lifetimes.list * DAY } }),
      definition('news', { mode: 'delta', lifetime: { default: lifetimes.news * DAY } }),
      definition('copy', { mode: 'delta', lifetime: { default: lifetimes.copy * DAY }, republishes: ['news'] }),
    ];
  }

  pull(name: Name, rows: readonly Row[], now: Micros): void {
    if (name === 'list') this.said.list.clear();
    if (name === 'list') this.confirmedAt = now;
    for (const one of rows) this.said[name].set(one.value, { ...one, at: now });
  }

  /** Values that the policy takes, by the words of the documentation. */
  live(now: Micros): string[] {
    return Object.keys(values).filter((value) => this.#isTaken(value, now));
  }

  #isTaken(value: string, now: Micros): boolean {
    const type = values[value] as ObservableType;
    const { minConfidence, minSources, types, sourcesOf, labels, maxAge } = this.policy;
    if (types !== null && !types.includes(type)) return false;
    const days = (since: Micros) => (now - since) / MICROS_PER_DAY;
    const saying = names.flatMap((name) => {
      const one = this.said[name].get(value);
      if (one === undefined) return [];
      const seen = seenAt(one);
      const age = days(name === 'list' ? Math.max(seen, this.confirmedAt) : seen);
      if (one.ends !== null ? days(one.at) >= one.ends : age >= lifetimes[name]) return [];
      if (maxAge !== undefined && age >= maxAge / DAY) return [];
      const { trust, decay } = this.settings[name];
      const said = one.confidence ?? (name === 'copy' ? 55 : null);
      const base = said === null || trust === 0 ? null : Math.round(said * trust);
      const speed = decay?.speed[type] ?? decay?.speed.default;
      const left = speed === undefined ? 1 : Math.max(0, 1 - (age / lifetimes[name]) ** (1 / speed));
      return [{ name, base, score: base === null ? null : base * left, labels: one.labels, isTrusted: trust > 0 }];
    });
    if (saying.length === 0) return false;
    const publishers = (of: readonly string[]): number => {
      const said = saying.filter((one) => one.isTrusted && of.includes(one.name)).map((one) => one.name);
      return said.filter((one) => one !== 'copy' || !said.includes('news')).length;
    };
    const all = publishers(names);
    const surest = Math.max(-1, ...saying.map(({ score }) => score ?? -1));
    const score = surest < 0 ? 0 : Math.max(surest, Math.min(95, surest + 5 * Math.max(0, all - 1)));
    if (score < minConfidence) return false;
    if (sourcesOf !== undefined ? publishers(sourcesOf) < minSources : minSources > 1 && all < minSources) return false;
    const given = saying.flatMap(({ labels }) => labels).map((label) => label.toLowerCase());
    if (labels?.none?.some((label) => given.includes(label))) return false;
    return labels?.any === undefined || given.includes('c2') || given.some((label) => label.startsWith('mal'));
  }
}

const lifetimes: Record<Name, number> = { list: 10, news: 20, copy: 30 };
export const seenAt = ({ at, seen }: Said): Micros => at - seen * MICROS_PER_DAY;
