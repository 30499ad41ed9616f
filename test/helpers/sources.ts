import { createServer, type RequestListener, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Test } from 'tap';
import { MICROS_PER_DAY, MICROS_PER_SECOND, type Micros } from '../../src/model/clock.ts';
import type { JsonObject } from '../../src/model/json.ts';
import { formatMillis } from '../../src/model/timestamp.ts';
import type { ScriptedClock } from './clock.ts';
import { START, uuidOf } from './store.ts';
import { startTaxii } from './taxii-upstream.ts';
import { type Fault, misbehave, UPSTREAM_KEY } from './upstream.ts';

/**
 * Upstreams whose words a test knows, and what those words mean: an object is its newest version (STIX 2.1 section 3.6), which
 * stands until it is revoked, its `valid_until` has come or, in a list, it is no longer there. Nothing of this looks at how
 * the gateway does it.
 */
export interface Version {
  id: string;
  value: string;
  modified: Micros;
  until: Micros | null;
  revoked: boolean;
}

export type Trouble = 'none' | '503' | 'html' | 'half' | 'reset' | 'drop' | 'cut';
const faults: Record<Exclude<Trouble, 'none' | 'cut'>, Fault> = {
  503: { status: 503 },
  html: 'html',
  half: 'half',
  reset: 'reset',
  drop: 'drop',
};

/** A bundle at an address, all pages of a collection anew at each poll, or a collection's news. */
export type SourceKind = 'list' | 'pages' | 'delta';

/** Does a version stand at this moment, by its source's own word? */
export function stands({ revoked, until }: Version, now: Micros): boolean {
  return !revoked && (until === null || until > now);
}

/** What the configuration gives a delta. */
export const DELTA_LIFETIME = 20 * MICROS_PER_DAY;

export class Source {
  readonly kind: SourceKind;
  /** What a list holds now, one version of each object; of a delta all that it ever told, with the date it was added. */
  told: (Version & { added: Micros })[] = [];
  /** What the gateway may take each object for: one version, or several while a pull broke off; null: not there. */
  readonly #heard = new Map<string, (Version | null)[]>();
  /** Of a delta: when the gateway heard the version that counts of each object, and when it last heard of the object at all. */
  readonly #reportedAt = new Map<string, { version: Micros; any: Micros }>();
  #heardTo = 0;
  readonly #begun = new Set<Version>();
  /** The start of the last whole pull; null: none yet. */
  wholeAt: Micros | null = null;
  isFailing = false;
  #last: Micros = START;

  constructor(kind: SourceKind) {
    this.kind = kind;
  }

  /** Adds a version; it takes the place of the one before. The source's own clock only ever goes forward. */
  tell(version: Omit<Version, 'modified'>, now: Micros, modified: Micros | null = null): void {
    this.#last = Math.max(this.#last + MICROS_PER_SECOND, now - (now % MICROS_PER_SECOND));
    const said = { ...version, modified: modified ?? this.#last, added: this.#last };
    if (this.kind !== 'delta') this.told = this.told.filter(({ id }) => id !== version.id);
    this.told.push(said);
  }

  /** A list leaves it out; what a delta has told it has told. */
  drop(id: string): void {
    if (this.kind !== 'delta') this.told = this.told.filter((version) => version.id !== id);
  }

  /** A delta tells the first version of an object once more, after all that came since. */
  replay(id: string, now: Micros): void {
    const first = this.told.find((version) => version.id === id);
    if (this.kind === 'delta' && first !== undefined) this.tell(first, now, first.modified);
  }

  /** The newest version of every object that it has told; of equals the one that was told last. */
  newest(): Map<string, Version> {
    const newest = new Map<string, Version>();
    for (const version of this.told) {
      const before = newest.get(version.id);
      if (before === undefined || version.modified >= before.modified) newest.set(version.id, version);
    }
    return newest;
  }

  /** The gateway read all of it. */
  heardWhole(at: Micros): void {
    const newest = this.newest();
    for (const id of this.#heard.keys()) if (!newest.has(id)) this.#heard.set(id, [null]);
    for (const [id, version] of newest) this.#heard.set(id, [version]);
    for (const version of this.told.slice(this.#heardTo)) this.#noteHearing(version, newest, at);
    if (this.kind === 'delta') this.#heardTo = this.told.length;
    this.wholeAt = at;
    this.isFailing = false;
  }

  /** The gateway read some of it. */
  heardSome(at: Micros): void {
    for (const version of this.told.slice(this.#heardTo)) {
      this.#heard.set(version.id, [...(this.#heard.get(version.id) ?? [null]), version]);
      this.#noteHearing(version, this.newest(), at);
    }
  }

  #noteHearing(version: Version, newest: ReadonlyMap<string, Version>, at: Micros): void {
    const before = this.#reportedAt.get(version.id) ?? { version: at, any: at };
    // What broke off may have brought it before: its age counts from whichever was first.
    const isNew = newest.get(version.id) === version && !this.#begun.has(version);
    this.#begun.add(version);
    this.#reportedAt.set(version.id, { version: isNew ? at : before.version, any: at });
  }

  /** Of a delta with a lifetime, whether an object's has ended: by the version that counts, and by all that was heard of it. */
  #isAged(id: string, now: Micros): { maybe: boolean; surely: boolean } {
    const heard = this.#reportedAt.get(id);
    if (this.kind !== 'delta' || heard === undefined) return { maybe: false, surely: false };
    const hasBeenAsked = this.wholeAt !== null && this.wholeAt >= heard.any + DELTA_LIFETIME && !this.isFailing;
    return { maybe: now >= heard.version + DELTA_LIFETIME, surely: hasBeenAsked };
  }

  /** Values that it says for sure, and those that it may be taken to say, at this moment. */
  live(now: Micros): { must: Set<string>; may: Set<string> } {
    const must = new Set<string>();
    const may = new Set<string>();
    for (const [id, versions] of this.#heard) {
      const standing = versions.flatMap((version) => (version !== null && stands(version, now) ? [version] : []));
      for (const { value, until } of standing) {
        // A word of its own on its end leaves nothing to a lifetime.
        const aged = until === null ? this.#isAged(id, now) : { maybe: false, surely: false };
        if (!aged.surely) may.add(value);
        const isSure = standing.length === versions.length && standing.every((version) => version.value === value);
        if (isSure && !aged.maybe) must.add(value);
      }
    }
    return { must, may };
  }
}

/** Before all that clocks are set back to: no end comes before its beginning. */
const LONG_AGO = START - 300 * MICROS_PER_DAY;

function indicatorOf({ id, value, modified, until, revoked }: Version): JsonObject {
  const type = /^\d/.test(value) ? 'ipv4-addr' : 'domain-name';
  return {
    type: 'indicator',
    spec_version: '2.1',
    id: `indicator--${uuidOf(id)}`,
    created: formatMillis(LONG_AGO),
    modified: formatMillis(modified),
    pattern: `[${type}:value = '${value}']`,
    pattern_type: 'stix',
    valid_from: formatMillis(LONG_AGO),
    ...(until === null ? {} : { valid_until: formatMillis(until) }),
    ...(revoked ? { revoked: true } : {}),
  };
}

export interface Desk {
  /** What it answers for from now on. */
  serve(source: Source, clock: ScriptedClock): void;
  /** From now on everything goes wrong in this way; `cut`: from the second answer on that holds objects. */
  trouble(trouble: Trouble): void;
  /** Called with every request, before its answer. */
  onRequest: (() => void) | null;
  url: string;
}

/** A server for one source after the other: a port can be had once and used for a thousand histories. */
export async function openDesk(t: Test, kind: SourceKind): Promise<Desk> {
  return kind === 'list' ? openList(t) : openCollection(t);
}

async function openList(t: Test): Promise<Desk> {
  let source: Source | null = null;
  let wrong: Trouble = 'none';
  const listener: RequestListener = (request, reply) => {
    desk.onRequest?.();
    if (wrong === 'cut') misbehave('reset', request, reply);
    else if (wrong !== 'none') misbehave(faults[wrong], request, reply);
    else say(reply, source as Source, request.headers['if-none-match']);
  };
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const desk: Desk = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/list`,
    onRequest: null,
    serve: (next) => {
      source = next;
    },
    trouble: (next) => {
      wrong = next;
    },
  };
  return desk;
}

function say(reply: ServerResponse, { told }: Source, known: string | undefined): void {
  const text = JSON.stringify({ type: 'bundle', id: `bundle--${uuidOf('b')}`, objects: told.map(indicatorOf) });
  const etag = `"${uuidOf(text)}"`;
  if (known === etag) reply.writeHead(304).end();
  else reply.writeHead(200, { etag, 'content-type': 'application/json' }).end(text);
}

async function openCollection(t: Test): Promise<Desk> {
  const server = await startTaxii(t, { auth: { header: 'authorization', value: `Bearer ${UPSTREAM_KEY}` } });
  let source: Source | null = null;
  let answers: number | null = null;
  server.onRequest = ({ url }) => {
    desk.onRequest?.();
    server.rows = (source as Source).told.map((version) => ({ added: version.added, object: indicatorOf(version) }));
    if (answers === null || !url.pathname.endsWith('/objects/')) return;
    if (answers > 0) server.down = { status: 503 };
    answers += 1;
  };
  const desk: Desk = {
    url: server.url,
    onRequest: null,
    serve: (next, clock) => {
      source = next;
      server.options.clock = clock;
    },
    trouble: (next) => {
      answers = next === 'cut' ? 0 : null;
      server.down = next === 'none' || next === 'cut' ? null : faults[next];
    },
  };
  return desk;
}
