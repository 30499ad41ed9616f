import { cpSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { MICROS_PER_DAY, MICROS_PER_SECOND, type Micros } from '../../src/model/clock.ts';
import { scriptedClock } from './clock.ts';
import { openGateway, readAll, type TestGateway } from './gateway.ts';
import { type Desk, Source, type SourceKind, type Trouble } from './sources.ts';
import { START } from './store.ts';
import { CollectionReader, liveAmong } from './taxii-reader.ts';
import { UPSTREAM_KEY } from './upstream.ts';

/** A gateway with four feeds and three collections, what happens to it, and what must come of it. */

export const sourceKinds: Record<string, SourceKind> = { brief: 'list', list: 'list', pages: 'pages', news: 'delta' };
export const sourceNames = Object.keys(sourceKinds);
export type Desks = ReadonlyMap<string, Desk>;

const config = (desks: Desks): string => {
  const at = (name: string) =>
    `url: "${desks.get(name)?.url}", internal: true, shrink_guard: "off", empty_allowed: true`;
  const taxii = 'key: { env: KEY }, collections: [all], page_size: 2';
  return `
data: ./data
feeds:
  brief: { format: stix, ${at('brief')}, every: 1h, lifetime: 1d, outage_limit: 3650d }
  list: { format: stix, ${at('list')}, every: 1h }
  pages: { format: taxii, ${at('pages')}, ${taxii}, mode: snapshot, every: 1h, lifetime: 9d, outage_limit: 3650d }
  news: { format: taxii, ${at('news')}, ${taxii}, every: 1h, lifetime: 20d, outage_limit: 3650d }
pools:
  main: { feeds: [${sourceNames}], keep: 3650d }
  agent: { feeds: [${sourceNames}], profile: elastic-agent, keep: 3650d }
collections:
  all: { pool: main }
  agent: { pool: agent }
  agreed: { pool: main, sources: 2, keep: 3650d }
`;
};
const collections = ['all', 'agent', 'agreed'] as const;

export interface Change {
  do: 'change';
  source: string;
  what: 'add' | 'correct' | 'extend' | 'drop' | 'revoke' | 'replay';
  object: number;
  value: string;
  /** Of its validity from now; null: it has no end. */
  days: number | null;
}
export type Step =
  | Change
  | { do: 'poll'; source: string; trouble: Trouble }
  | { do: 'poll all' }
  | { do: 'forward'; days: number }
  | { do: 'back'; minutes: number }
  | { do: 'restart'; days: number }
  /** The process dies when it has sent so many requests of a poll, or behind the poll, and comes back after some days. */
  | { do: 'crash'; source: string; answers: number; days: number }
  | { do: 'outage'; source: string; days: number }
  | { do: 'read'; reader: number }
  | { do: 'tick' };

const patternValue = (pattern: string): string => /= '(.*)'\]$/.exec(pattern)?.[1] ?? '';

export const READERS = 4;

export class History {
  readonly #t: Test;
  readonly #desks: Desks;
  readonly #clock = scriptedClock(START + MICROS_PER_DAY, { auto: true });
  readonly #sources: ReadonlyMap<string, Source>;
  readonly #readers = [
    new CollectionReader('all', true),
    new CollectionReader('all', false),
    new CollectionReader('agent', true),
    new CollectionReader('agreed', true),
  ] as const;
  /** Of an object's id, one higher for each that was revoked. */
  readonly #generations = new Map<string, number>();
  #gateway: TestGateway | null = null;
  #dir: string;
  #latest: Micros = START;
  /** Values that were found served while a source that says them could not be asked. */
  heldInOutages = 0;

  constructor(t: Test, desks: Desks, dir: string) {
    [this.#t, this.#desks, this.#dir] = [t, desks, join(dir, 'life')];
    this.#sources = new Map(sourceNames.map((name) => [name, new Source(sourceKinds[name] as SourceKind)]));
    for (const [name, desk] of desks) {
      desk.serve(this.#source(name), this.#clock);
      desk.trouble('none');
      desk.onRequest = null;
    }
  }

  async start(): Promise<void> {
    mkdirSync(this.#dir, { recursive: true });
    const options = { clock: this.#clock, env: { KEY: UPSTREAM_KEY } };
    // Each life is closed in its time: hundreds of them, kept until the test ends, would not fit into memory.
    const { ok, error } = this.#t;
    const life = { teardown: () => undefined, ok: ok.bind(this.#t), error: error.bind(this.#t) };
    this.#gateway = await openGateway(life as unknown as Test, this.#dir, config(this.#desks), options);
  }

  async stop(): Promise<void> {
    await this.#gateway?.close();
    this.#gateway = null;
  }

  async take(step: Step): Promise<void> {
    this.#latest = Math.max(this.#latest, this.#clock.now());
    switch (step.do) {
      case 'change':
        return this.#change(step);
      case 'poll':
        return this.#poll(step.source, step.trouble);
      case 'poll all':
        for (const name of sourceNames) await this.#poll(name, 'none');
        return;
      case 'forward':
        return this.#forward(step.days);
      case 'back':
        return this.#clock.set(this.#clock.now() - step.minutes * 60 * MICROS_PER_SECOND);
      case 'restart':
        await this.stop();
        this.#forward(step.days);
        await this.start();
        return this.#check('after a restart', false);
      case 'crash':
        return this.#crash(step.source, step.answers, step.days);
      case 'outage':
        for (let i = 0; i < 3; i += 1) {
          await this.#poll(step.source, '503');
          this.#forward(step.days / 3);
          await this.#tick();
        }
        return;
      case 'read':
        return this.#readers[step.reader]?.read(this.#open(), Math.max(this.#clock.now(), this.#latest));
      case 'tick':
        return this.#tick();
    }
  }

  /** The sources come back, everything comes to rest, and everybody is up to date. */
  async end(): Promise<void> {
    this.#clock.set(Math.max(this.#clock.now(), this.#latest) + MICROS_PER_SECOND);
    for (const name of sourceNames) await this.#poll(name, 'none');
    await this.#tick();
    const now = this.#clock.now();
    for (const reader of this.#readers) await reader.read(this.#open(), Math.max(this.#clock.now(), this.#latest));
    for (const name of collections) {
      const objects = await readAll(this.#open(), name);
      const live = liveAmong(objects, now);
      const standing = objects.filter(({ type, revoked }) => type === 'indicator' && revoked !== true);
      expectSame(`${name}: nothing stands that is past its end`, standing.length, live.length);
      for (const reader of this.#readers.filter(({ collection }) => collection === name)) {
        expectSame(`who reads ${name}`, reader.live(now), live);
        if (name !== 'agent') continue;
        expectSame('the latest view of Elastic', reader.index.live(), live);
        expectSame('what its rules match', reader.index.matchable(now), live);
      }
    }
  }

  #source(name: string): Source {
    return this.#sources.get(name) as Source;
  }

  #open(): TestGateway {
    return this.#gateway as TestGateway;
  }

  #forward(days: number): void {
    this.#clock.set(this.#clock.now() + Math.round(days * MICROS_PER_DAY));
  }

  #change({ source: name, what, object, value, days }: Change): void {
    const source = this.#source(name);
    const now = this.#clock.now();
    // Some objects are everybody's: each source speaks for itself, whatever others say under the same id.
    const object_ = object === 0 ? 'shared' : `${name} ${object}`;
    const generation = this.#generations.get(`${name} ${object_}`) ?? 0;
    const id = `${object_} ${generation}`;
    const before = source.newest().get(id);
    // Of what was revoked, as long as nothing came after it.
    const last = before === undefined && generation > 0 ? `${object_} ${generation - 1}` : id;
    const until = days === null ? null : now + Math.round(days * MICROS_PER_DAY);
    if (what === 'add' || what === 'correct') source.tell({ id, value, until, revoked: false }, now);
    else if (what === 'replay') source.replay(last, now);
    else if (before === undefined) return;
    else if (what === 'extend') source.tell({ ...before, until }, now);
    else if (what === 'drop') source.drop(id);
    else {
      source.tell({ ...before, revoked: true }, now);
      this.#generations.set(`${name} ${object_}`, generation + 1);
    }
  }

  async #poll(name: string, trouble: Trouble): Promise<void> {
    const [source, desk] = [this.#source(name), this.#desks.get(name) as Desk];
    desk.trouble(trouble);
    let at = this.#clock.now();
    let { outcome, error } = await this.#open().side.poll(name);
    if (trouble === 'none' && outcome === 'failed') {
      // It failed so often that it is left alone for a while: for a quarter of an hour at most.
      this.#forward(900 / 86_400);
      at = this.#clock.now();
      ({ outcome, error } = await this.#open().side.poll(name));
    }
    desk.trouble('none');
    if (outcome === 'whole' || outcome === 'unchanged') return source.heardWhole(at);
    if (trouble === 'none') throw new Error(`${name} answers, and its poll has ${outcome}: ${error?.message}`);
    if (trouble === 'cut') source.heardSome(at);
    source.isFailing = true;
  }

  async #crash(name: string, answers: number, days: number): Promise<void> {
    const [source, desk] = [this.#source(name), this.#desks.get(name) as Desk];
    const next = `${this.#dir}+`;
    // What a process leaves behind that is killed between two of its steps.
    const copy = (): void => cpSync(join(this.#dir, 'data'), join(next, 'data'), { recursive: true });
    let requests = 0;
    desk.onRequest = () => {
      if (requests === answers) copy();
      requests += 1;
    };
    const at = this.#clock.now();
    const { outcome } = await this.#open().side.poll(name);
    desk.onRequest = null;
    const isDone = requests <= answers;
    if (isDone) copy();
    await this.stop();
    rmSync(this.#dir, { recursive: true });
    this.#dir = next;
    if (!isDone) source.heardSome(at);
    else if (outcome === 'failed') source.isFailing = true;
    else source.heardWhole(at);
    this.#forward(days);
    await this.start();
    await this.#check('after a crash', false);
  }

  async #tick(): Promise<void> {
    await this.#open().side.tick();
    await this.#check('after a tick', true);
  }

  /** What is served is what the sources say; `isTicked`: and what time has ended is gone. */
  async #check(when: string, isTicked: boolean): Promise<void> {
    const now = this.#clock.now();
    for (const name of collections) {
      const objects = await readAll(this.#open(), name);
      const standing = objects.filter(({ type, revoked }) => type === 'indicator' && revoked !== true);
      // Nobody renews what a stopped process serves: the first tick does.
      const live = liveAmong(standing, isTicked ? now : 0).map(patternValue);
      const { must, may } = this.#expected(name === 'agreed' ? 2 : 1);
      const what = `${name} ${when}`;
      expectSame(`${what}: each value once`, live.length, new Set(live).size);
      const missing = [...must].filter((value) => !live.includes(value));
      expectSame(`${what}: what a source says and has not ended`, missing, []);
      if ([...this.#sources.values()].some(({ isFailing }) => isFailing)) this.heldInOutages += must.size;
      if (!isTicked) continue;
      const surplus = standing.map(({ pattern }) => patternValue(pattern)).filter((value) => !may.has(value));
      expectSame(`${what}: what no source says any more`, surplus, []);
    }
  }

  /** Values that at least so many sources say for sure, and those that so many may be taken to say. */
  #expected(sources: number): { must: Set<string>; may: Set<string> } {
    const now = this.#clock.now();
    const said = [...this.#sources.values()].map((source) => source.live(now));
    const agreed = (sets: Set<string>[]): Set<string> => {
      const all = sets.flatMap((set) => [...set]);
      return new Set(all.filter((value) => sets.filter((set) => set.has(value)).length >= sources));
    };
    return { must: agreed(said.map(({ must }) => must)), may: agreed(said.map(({ may }) => may)) };
  }
}

function expectSame(what: string, found: unknown, wanted: unknown): void {
  const [a, b] = [JSON.stringify(found), JSON.stringify(wanted)];
  if (a !== b) throw new Error(`${what}: ${a}, wanted ${b}`);
}
