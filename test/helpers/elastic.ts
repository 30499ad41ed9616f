import { hash } from 'node:crypto';
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { gunzipSync } from 'node:zlib';
import { MICROS_PER_DAY, MICROS_PER_MS, MICROS_PER_SECOND, type Micros } from '../../src/model/clock.ts';
import { formatMillis, parseTimestamp } from '../../src/model/timestamp.ts';

/**
 * Elastic Agent's Custom Threat Intelligence integration (ti_custom), step by step as its CEL program, its ingest pipeline and
 * its transform were read and run: what a gateway must get right for it is what these get wrong otherwise.
 */
export interface AgentOptions {
  /** The URL of a collection's objects, as a person typed it. */
  url: string;
  now(): Micros;
  /** Null, which is the default of its form: every poll reads everything. */
  initialInterval: Micros | null;
  limit?: number;
  /** Versions before 1.8.2 send `next` without `added_after`; some that came later move it on from page to page. */
  besideNext: 'nothing' | 'added_after' | 'moving added_after';
  headers: Record<string, string>;
}

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  text: string;
}

export interface AgentRun {
  objects: Record<string, any>[];
  /** Queries sent, without their question mark; null for the bare URL. */
  queries: (string | null)[];
  pages: number;
  /** What it would index as an error event: the run ends with it. */
  error: string | null;
  /** It stopped at `mostPages`, and has a `next` in memory. */
  isCut: boolean;
}

/** As often as Filebeat's HTTP client repeats a request whose connection failed (hashicorp/retryablehttp). */
const RETRIES = 5;

/** One GET as Filebeat's Go client sends it: a connection of its own, no redirect followed. */
export async function agentGet(url: string, headers: Record<string, string>): Promise<Answer> {
  for (let retries = 0; ; retries += 1) {
    try {
      return await getOnce(url, headers);
    } catch (error) {
      if (retries === RETRIES) throw error;
    }
  }
}

function getOnce(url: string, headers: Record<string, string>): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = { 'user-agent': 'Go-http-client/1.1', 'accept-encoding': 'gzip', connection: 'close', ...headers };
    const request = httpRequest(url, { agent: false, headers: sent }, async (reply) => {
      const bytes = await buffer(reply);
      const body = reply.headers['content-encoding'] === 'gzip' ? gunzipSync(bytes) : bytes;
      resolve({ status: reply.statusCode ?? 0, headers: reply.headers, text: body.toString() });
    });
    request.on('error', reject).end();
  });
}

export class ElasticAgent {
  readonly options: AgentOptions;
  /** Survives a restart. Null: nothing yet. */
  cursor: string | null = null;
  /** Lives in memory only. */
  #next: { token: string; addedAfter: string | null } | null = null;

  constructor(options: AgentOptions) {
    this.options = options;
  }

  restart(): void {
    this.#next = null;
  }

  /** One interval: pages until there is no `next`, an error, an empty page or `mostPages`. */
  async poll(mostPages = 1000): Promise<AgentRun> {
    const { url, headers, besideNext } = this.options;
    const run: AgentRun = { objects: [], queries: [], pages: 0, error: null, isCut: false };
    const resumed = this.#next;
    let addedAfter = resumed === null ? this.#firstAddedAfter() : resumed.addedAfter;
    let token = resumed?.token ?? null;
    for (;;) {
      const query = this.#query(addedAfter, token);
      // A bare URL is sent as it was typed.
      const target = query === null ? url : `${url.replace(/\/+$/, '')}/?${query}`;
      run.queries.push(query);
      const answer = await agentGet(target, headers);
      run.pages += 1;
      const page = readPage(answer);
      if (typeof page === 'string') {
        run.error = page;
        this.#next = null;
        return run;
      }
      run.objects.push(...page.objects);
      const last = answer.headers['x-taxii-date-added-last'];
      // Without the header it forgets where it was; with an empty one it keeps the emptiness.
      this.cursor = typeof last === 'string' ? last : page.objects.length === 0 ? null : this.cursor;
      token = page.next;
      if (besideNext === 'moving added_after' && this.cursor !== null) addedAfter = this.cursor;
      this.#next = token === null ? null : { token, addedAfter };
      if (token === null) return run;
      run.isCut = page.objects.length === 0 || run.pages >= mostPages;
      if (run.isCut) return run;
    }
  }

  #firstAddedAfter(): string | null {
    const { initialInterval, now } = this.options;
    if (initialInterval === null) return null;
    return this.cursor ?? `${formatMillis(now() - initialInterval).slice(0, 19)}Z`;
  }

  /** Form-encoded, names in alphabetical order. */
  #query(addedAfter: string | null, token: string | null): string | null {
    const { initialInterval, limit, besideNext } = this.options;
    if (token === null && initialInterval === null) return null;
    const fields = new URLSearchParams();
    if (addedAfter !== null && (token === null || besideNext !== 'nothing')) fields.set('added_after', addedAfter);
    if (limit !== undefined) fields.set('limit', String(limit));
    if (token !== null) fields.set('next', token);
    fields.sort();
    return fields.toString();
  }
}

/** The objects and the next token, or why the program fails on this answer. */
function readPage({ status, text }: Answer): { objects: Record<string, any>[]; next: string | null } | string {
  if (status !== 200 && status !== 206) return `${status} GET:${text}`;
  let body: any;
  try {
    body = JSON.parse(text);
  } catch {
    return 'not JSON';
  }
  if (typeof body !== 'object' || body === null || !Array.isArray(body.objects)) return 'objects is no list';
  // `more` is not looked at.
  return { objects: body.objects, next: body.next === undefined || body.next === '' ? null : String(body.next) };
}

interface Document {
  id: string;
  stixId: string;
  /** `created`, in whole milliseconds: what the latest view is sorted by. */
  timestamp: Micros;
  expiration: Micros;
  ingestedAt: Micros;
  pattern: string;
  field: MatchedField | null;
}

export interface MatchedField {
  field: string;
  value: string;
}

const EXPIRATION = 90 * MICROS_PER_DAY;
/** The lifecycle policy deletes source documents after so long. */
const SOURCE_KEPT = 5 * MICROS_PER_DAY;
const RETENTION_MARGIN = 60 * MICROS_PER_SECOND;
/** Elastic's prebuilt rules look back so far by `@timestamp`. */
export const RULE_LOOKBACK = 30 * MICROS_PER_DAY;

/** The data stream with its ingest pipeline, and the transform's latest view of it. */
export class ElasticIndex {
  readonly #source = new Map<string, Document>();
  readonly #latest = new Map<string, Document>();
  #changed = new Set<string>();
  /** Documents refused because one of their `_id` is there. */
  conflicts = 0;
  dropped = 0;
  errors: string[] = [];

  ingest(objects: readonly Record<string, any>[], now: Micros): void {
    for (const [id, document] of this.#source) if (now - document.ingestedAt > SOURCE_KEPT) this.#source.delete(id);
    for (const object of objects) this.#take(object, now);
  }

  #take(object: Record<string, any>, now: Micros): void {
    const { id: stixId, type, spec_version: spec, created, modified, pattern, confidence } = object;
    if (type !== 'indicator' || spec !== '2.1') {
      this.dropped += 1;
      return;
    }
    if (confidence !== undefined && typeof confidence !== 'number') {
      this.errors.push(`${stixId}: confidence is no number`);
      return;
    }
    const id = hash('sha256', JSON.stringify([stixId, created, pattern]), 'hex');
    if (this.#source.has(id)) {
      this.conflicts += 1;
      return;
    }
    const timestamp = timeOf(created);
    const fallback =
      object['revoked'] === true ? timeOf(modified) : timeOf(modified ?? object['valid_from']) + EXPIRATION;
    const expiration = object['valid_until'] === undefined ? fallback : timeOf(object['valid_until']);
    const field = matchedField(pattern);
    this.#source.set(id, { id, stixId, timestamp, expiration, ingestedAt: now, pattern, field });
    this.#changed.add(stixId);
  }

  /** What the transform does each minute: nothing, expiry included, unless something came. */
  transform(now: Micros): void {
    if (this.#changed.size === 0) return;
    for (const document of this.#source.values()) {
      if (!this.#changed.has(document.stixId)) continue;
      const latest = this.#latest.get(document.stixId);
      // A tie keeps the first.
      if (latest === undefined || latest.timestamp < document.timestamp) this.#latest.set(document.stixId, document);
    }
    this.#changed = new Set();
    for (const [stixId, { expiration }] of this.#latest) {
      if (expiration + RETENTION_MARGIN < now) this.#latest.delete(stixId);
    }
  }

  /** Ids and patterns that stand in the latest view. */
  live(): string[] {
    return [...this.#latest.values()].map(({ stixId, pattern }) => `${stixId} ${pattern}`).sort();
  }

  /** Those that the prebuilt rules would still match. */
  matchable(now: Micros): string[] {
    return [...this.#latest.values()]
      .filter(({ timestamp, field }) => timestamp >= now - RULE_LOOKBACK && field !== null)
      .map(({ stixId, pattern }) => `${stixId} ${pattern}`)
      .sort();
  }
}

function timeOf(text: string): Micros {
  const time = parseTimestamp(text);
  if (time === undefined) throw new Error(`the date processor fails on ${text}`);
  return time - (time % MICROS_PER_MS);
}

const groks: [start: string, field: string, expression: RegExp][] = [
  ['[autonomous-system', 'as.number', /^\[?autonomous-system:number\s*=\s*'?(\d+)'?\]?$/],
  ['[domain-name', 'url.original', /^\[?domain-name:value\s*=\s*'([^']*)'\]?$/],
  ['[email', 'email.address', /^\[?email-addr:value\s*=\s*'([^']*)'\]?$/],
  ['[file', 'file.hash.md5', /^\[?file:hashes\.'?MD5'?\s*=\s*'([0-9a-fA-F]{32})'\]?$/],
  ['[file', 'file.hash.sha1', /^\[?file:hashes\.'?SHA-?1'?\s*=\s*'([0-9a-fA-F]{40})'\]?$/],
  ['[file', 'file.hash.sha256', /^\[?file:hashes\.'?SHA-?256'?\s*=\s*'([0-9a-fA-F]{64})'\]?$/],
  ['[file', 'file.name', /^\[?file:name\s*=\s*'([^']*)'\]?$/],
  ['[ipv4-addr', 'ip', /^\[?ipv4-addr:value\s*=\s*'(\d+\.\d+\.\d+\.\d+)(?:\/\d+)?'\]?$/],
  ['[ipv6-addr', 'ip', /^\[?ipv6-addr:value\s*=\s*'([0-9a-fA-F:]+)'\]?$/],
  // Cut at the first quote, escaped or not.
  ['[url', 'url.original', /^\[?url:value\s*=\s*'([^'\\]*)/],
  ['[windows-registry-key', 'registry.path', /^\[?windows-registry-key:key\s*=\s*'([^']*)'\]?$/],
  ['[x509', 'file.hash.sha1', /^\[?x509-certificate:hashes\.'?(?:MD5|SHA-?1|SHA-?256)'?\s*=\s*'([0-9a-fA-F]+)'\]?$/],
];

/** What the pipeline finds in a pattern: the type by how it starts, the value in the first part that its grok reads. */
export function matchedField(pattern: string): MatchedField | null {
  for (const part of pattern.split(/\s+AND\s+|\s+OR\s+/)) {
    for (const [start, field, expression] of groks) {
      const value = pattern.startsWith(start) ? expression.exec(part)?.[1] : undefined;
      if (value !== undefined) return { field, value: value.replaceAll('\\\\', '\\') };
    }
  }
  return null;
}
