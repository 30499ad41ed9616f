import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { parse as parseYaml } from 'yaml';
import { ecsContext, ecsDestination } from '../../src/ecs/data-stream.ts';
import { ecsDocument } from '../../src/ecs/document.ts';
import { ecsFields } from '../../src/ecs/fields.ts';
import type { IndicatorEntry } from '../../src/model/entry.ts';
import { isJsonObject, type Json, type JsonObject } from '../../src/model/json.ts';
import { observableTypes } from '../../src/model/observable.ts';
import { readGoldens } from '../helpers/ecs.ts';
import { indicatorEntry } from '../helpers/entry.ts';
import { runCel } from '../helpers/mito.ts';
import { samples } from '../helpers/observables.ts';
import { few, openPushing } from '../helpers/pushing.ts';

const folder = new URL('../../examples/elastic/', import.meta.url);
const textOf = (name: string): string => readFileSync(new URL(name, folder), 'utf8');
const program = fileURLToPath(new URL('iocs.cel', folder));
const collection = { alias: 'all', title: 'All indicators' };
const latest = ecsContext({ target: 'latest', collection });

/** Fields of events that rules compare with (ECS 9.4 field reference: Source, Destination, DNS, URL, TLS, File, ...). */
const eventFields = new Set([
  ...['source.ip', 'destination.ip', 'dns.resolved_ip', 'source.as.number', 'destination.as.number'],
  ...['dns.question.name', 'url.domain', 'url.full', 'url.original', 'destination.domain', 'tls.client.server_name'],
  ...['file', 'process', 'dll'].flatMap((of) =>
    ['md5', 'sha1', 'sha256', 'sha512'].map((each) => `${of}.hash.${each}`),
  ),
  ...['server', 'client'].flatMap((of) => ['md5', 'sha1', 'sha256'].map((each) => `tls.${of}.hash.${each}`)),
  ...['from', 'sender', 'reply_to', 'to'].map((part) => `email.${part}.address`),
  ...['file.name', 'process.name', 'registry.path', 'registry.hive', 'registry.key', 'vulnerability.id', 'event.kind'],
]);

// The CEL program.

interface Page {
  more?: boolean;
  next?: string | null;
  objects: JsonObject[];
}
interface Api {
  url: string;
  /** By the token or the time that asks for it; '' is the beginning. `head` is X-TAXII-Date-Added-Last. */
  pages: Record<string, (Page & { head?: string }) | { status: number; body: string }>;
  requests: { query: URLSearchParams; headers: Record<string, unknown>; path: string }[];
}

/** `GET /api/v1/iocs/stix` as it answers with `limit`: page by page from the beginning, from `next` or from `since`. */
async function openApi(t: Test): Promise<Api> {
  const api: Api = { url: '', pages: {}, requests: [] };
  const server = createServer((request, response) => {
    const { searchParams, pathname } = new URL(request.url ?? '', 'http://loopback');
    api.requests.push({ query: searchParams, headers: request.headers, path: pathname });
    const place = searchParams.get('next') ?? searchParams.get('since') ?? '';
    const page = api.pages[place] ?? { status: 400, body: '{"title":"Bad request"}' };
    if ('status' in page) {
      response.writeHead(page.status).end(page.body);
      return;
    }
    const { head, ...body } = page;
    response.writeHead(200, head === undefined ? {} : { 'x-taxii-date-added-last': head }).end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  api.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/api/v1/iocs/stix`;
  return api;
}

const KEY = 'canary-key-0123';
const [T2, T4, T5, T6] = [2, 4, 5, 6].map((n) => `2026-11-20T10:11:12.00000${n}Z`) as [string, string, string, string];
const indicators = (...names: string[]): JsonObject[] =>
  names.map((name) => ({ type: 'indicator', spec_version: '2.1', id: name, confidence: 85, labels: ['<a&b>'] }));
const idsOf = (states: readonly JsonObject[]): string[] =>
  states.flatMap(({ events }) => (events as { message: string }[]).map(({ message }) => JSON.parse(message).id));

/** One interval of Filebeat: it keeps the state it ends with, and of that only the cursor over a restart. */
async function interval(t: Test, state: JsonObject): Promise<{ states: JsonObject[]; last: JsonObject } | null> {
  const ran = await runCel(t, program, state);
  return ran === null ? null : { states: ran.states, last: ran.states.at(-1) as JsonObject };
}

t.test('the CEL program walks all pages, then asks for what came since', async (t) => {
  const api = await openApi(t);
  api.pages[''] = { more: true, next: 'a+/=', objects: indicators('1', '2'), head: T2 };
  api.pages['a+/='] = { more: true, next: 'b', objects: indicators('3', '4'), head: T4 };
  api.pages['b'] = { more: false, objects: indicators('5'), head: T5 };
  api.pages[T5] = { more: false, objects: indicators('6'), head: T6 };
  api.pages[T6] = { more: false, objects: [], head: T6 };
  const state = { url: `${api.url}/`, api_key: KEY, limit: 2 };
  const first = await interval(t, state);
  if (first === null) return;
  t.same(idsOf(first.states), ['1', '2', '3', '4', '5'], 'each object once, in order');
  t.same(
    api.requests.map(({ query }) => Object.fromEntries(query)),
    [{ limit: '2' }, { limit: '2', next: 'a+/=' }, { limit: '2', next: 'b' }],
    'tokens come back as they were given',
  );
  for (const { headers, path, query } of api.requests) {
    t.equal(headers['authorization'], `Bearer ${KEY}`);
    t.equal(path, '/api/v1/iocs/stix', 'with or without a slash behind it');
    t.notOk(query.toString().includes(KEY));
  }
  t.equal(first.last['want_more'], false);
  const events = first.states[0]?.['events'] as { message: string }[] | undefined;
  t.same(JSON.parse(events?.[0]?.message ?? ''), indicators('1')[0], 'the message is the object, nothing lost');

  const restarted = await interval(t, { ...state, cursor: first.last['cursor'] as JsonObject });
  t.same(idsOf(restarted?.states ?? []), ['6'], 'only what is new, also after a restart');
  const third = await interval(t, restarted?.last ?? {});
  t.same(third?.last['events'], [], 'nothing new is an empty list, which no input takes for a fault');
  t.same(third?.last['cursor'], { since: T6 });
  t.same(Object.fromEntries(api.requests.at(-1)?.query ?? []), { limit: '2', since: T6 });
});

t.test('the CEL program goes on in the middle of a walk that a restart cut', async (t) => {
  const api = await openApi(t);
  api.pages['b'] = { more: false, next: null, objects: indicators('5'), head: T5 };
  const state = { url: api.url, api_key: KEY, collection: 'ips', cursor: { next: 'b', since: T4 } };
  const ran = await interval(t, state);
  if (ran === null) return;
  t.same(idsOf(ran.states), ['5']);
  t.same(Object.fromEntries(api.requests[0]?.query ?? []), { collection: 'ips', limit: '1000', next: 'b' });
  t.same(ran.last['cursor'], { since: T5 });
});

t.test('the CEL program tells a fault as one event and keeps its place', async (t) => {
  const api = await openApi(t);
  api.pages['b'] = { status: 503, body: '{"title":"Unavailable"}' };
  const failed = await interval(t, { url: api.url, api_key: KEY, cursor: { next: 'b', since: T4 } });
  if (failed === null) return;
  t.same(failed.last['events'], {
    error: { code: '503', id: '503 Service Unavailable', message: 'GET:{"title":"Unavailable"}' },
  });
  t.same(failed.last['cursor'], { next: 'b', since: T4 });
  t.equal(failed.last['want_more'], false);

  const foreign = { next: 'of another server', since: T4 };
  const refused = await interval(t, { url: api.url, api_key: KEY, cursor: foreign });
  t.same(refused?.last['cursor'], { since: T4 }, 'a token that is refused for good is given up');
  const again = await interval(t, refused?.last ?? {});
  t.same(again?.last['cursor'], {}, 'then the time');
  api.pages[''] = { more: false, objects: indicators('1'), head: T2 };
  t.same(idsOf((await interval(t, again?.last ?? {}))?.states ?? []), ['1'], 'and the walk begins anew');
});

t.test('the CEL program reads Sluice itself: all of it, then only what is new, withdrawals among it', async (t) => {
  const { write, listen, key, clock } = await openPushing(t, { url: '' }, '');
  await write(few);
  const start = { url: `${await listen()}/api/v1/iocs/stix`, api_key: key, limit: 2, collection: 'agent' };
  const patterns = ({ states }: { states: JsonObject[] }): string[] =>
    states
      .flatMap(({ events }) => (events as { message: string }[]).map(({ message }) => JSON.parse(message)))
      .filter(({ type }) => type === 'indicator')
      .map(({ pattern, revoked }) => `${revoked ? 'withdrawn ' : ''}${pattern}`);
  const first = await interval(t, start);
  if (first === null) return;
  // The profile leaves networks out, which the integration can't map.
  const expected = few.map(({ pattern }) => pattern).filter((pattern) => !pattern.includes('/24'));
  t.same(patterns(first).sort(), expected.sort(), 'over several pages, each once');
  t.same((await interval(t, first.last))?.last['events'], [], 'nothing new');
  await clock.advance(5000);
  await write(few.slice(1));
  const second = await interval(t, { ...start, cursor: first.last['cursor'] as JsonObject });
  t.same(second === null ? [] : patterns(second), [`withdrawn ${few[0]?.pattern}`]);
});

t.test('the initial state has what the program reads, and no more', async (t) => {
  const state = parseYaml(textOf('state.yml')) as JsonObject;
  t.same(Object.keys(state), ['url', 'api_key', 'limit']);
  t.match(state['url'], /\/api\/v1\/iocs\/stix$/);
  const read = new Set([...textOf('iocs.cel').matchAll(/state\.\??([a-z_]+)/g)].map(([, name]) => name));
  read.delete('with');
  t.same([...read].sort(), ['api_key', 'collection', 'cursor', 'limit', 'url']);
});

// The ingest hook.

const PIPELINE = 'logs-ti_custom.indicator@custom';

t.test('the ingest hook adds fields that ECS has and Sluice writes, and never loses a document', async (t) => {
  const pipeline = JSON.parse(textOf(`${PIPELINE}.json`)) as { processors: Record<string, JsonObject>[] };
  const written = new Set<string>();
  const tags = new Set<string>();
  for (const processor of pipeline.processors) {
    const [[type, options]] = Object.entries(processor) as [[string, JsonObject]];
    t.ok(['set', 'foreach', 'remove', 'grok', 'script'].includes(type), `${type}: in every ingest node`);
    t.ok(options['ignore_failure'] === true || options['ignore_missing'] === true, `${options['tag']} may not fail`);
    tags.add(String(options['tag']));
    if (type === 'set') written.add(String(options['field']));
    for (const [, field = ''] of String(options['source'] ?? '').matchAll(/ctx\.(\w+\.\w+) = /g)) written.add(field);
    for (const pattern of type === 'grok' ? (options['patterns'] as string[]) : []) {
      for (const [, field = ''] of pattern.matchAll(/%\{\w+:([\w.]+)\}/g)) written.add(field);
    }
  }
  t.equal(tags.size, pipeline.processors.length, 'each tag names one processor');
  t.same([...written].sort(), [
    'related.hash',
    'threat.indicator.file.hash.sha512',
    'threat.indicator.url.domain',
    'threat.indicator.url.full',
  ]);
  const known = new Set(ecsFields.map(({ field }) => field));
  for (const field of written) t.ok(known.has(field), field);
});

// The rules.

interface Rule extends JsonObject {
  rule_id: string;
  name: string;
  query: string;
  threat_query: string;
  threat_index: string[];
  threat_mapping: { entries: { field: string; type: string; value: string }[] }[];
}
const rules = textOf('indicator-match-rules.ndjson')
  .trimEnd()
  .split('\n')
  .map((line) => JSON.parse(line) as Rule);

/** All values of a field that may end in `.*`. */
function valuesAt(document: Json, field: string): Json[] {
  let here: Json[] = [document];
  for (const name of field.split('.')) {
    here = here.flatMap((value) => {
      if (!isJsonObject(value)) return [];
      return name === '*' ? Object.values(value) : value[name] === undefined ? [] : [value[name]];
    });
  }
  return here.flat();
}

/** The part of KQL that the rules' `threat_query` is written in: clauses joined by `and`. */
function matches(query: string, document: JsonObject, now: string): boolean {
  return query.split(' and ').every((clause) => {
    const [, not, field = '', operator, wanted = ''] = /^(not )?([@\w.*]+)\s?(:|<) ?(.+)$/.exec(clause) ?? [];
    const values = valuesAt(document, field).map(String);
    const words = wanted
      .replace(/^\((.*)\)$/, '$1')
      .split(' or ')
      .map((word) => word.replaceAll('"', ''));
    const isHit =
      operator === '<'
        ? values.some((value) => value < now)
        : values.some((value) => words.some((word) => new RegExp(`^${word.replace('*', '.*')}$`, 's').test(value)));
    return isHit !== (not !== undefined);
  });
}

const rulesFor = (document: JsonObject): Rule[] =>
  rules.filter(
    (rule) =>
      matches(rule.threat_query, document, '2026-11-20T12:00:00.000Z') &&
      rule.threat_mapping.some(({ entries }) => entries.every(({ value }) => valuesAt(document, value).length > 0)),
  );

t.test('rules are what Kibana imports: one a line, each with its id, all of them off', async (t) => {
  t.equal(new Set(rules.map(({ rule_id }) => rule_id)).size, rules.length);
  for (const rule of rules) {
    t.match(rule, {
      rule_id: /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/,
      name: /^Sluice: /,
      type: 'threat_match',
      enabled: false,
      language: 'kuery',
      threat_language: 'kuery',
      threat_indicator_path: 'threat.indicator',
      threat_index: ['logs-ti_*'],
      severity: /^(low|medium|high|critical)$/,
      risk_score: Number,
      description: String,
      interval: '1h',
      from: 'now-65m',
    });
  }
  const places = (['latest', 'stream'] as const).map((target) => ecsDestination({ target }));
  for (const name of places.flatMap(({ name, index }) => [name, index])) {
    t.match(name, /^logs-ti_/, 'the index pattern of the rules finds it');
  }
});

t.test('every field that a rule names is one of ECS or our own, and is written by our mapping', async (t) => {
  const known = new Set(ecsFields.map(({ field }) => field));
  const isKnown = (field: string): boolean =>
    known.has(field) || (field.endsWith('.*') && [...known].some((each) => each.startsWith(field.slice(0, -1))));
  for (const rule of rules) {
    for (const { field, type, value } of rule.threat_mapping.flatMap(({ entries }) => entries)) {
      t.equal(type, 'mapping');
      t.ok(eventFields.has(field), `${rule.name}: ${field} of events`);
      t.ok(known.has(value), `${rule.name}: ${value} of indicators`);
    }
    for (const [, field = ''] of rule.threat_query.matchAll(/([@\w.]+(?:\.\*)?)(?::| <)/g)) {
      t.ok(isKnown(field), `${rule.name}: ${field} in the threat query`);
    }
    for (const [, field = ''] of rule.query.matchAll(/([\w.]+(?:\.\*)?):/g)) {
      const stem = field.replace(/\*$/, '');
      t.ok(
        [...eventFields].some((each) => each === field || (stem !== field && each.startsWith(stem))),
        field,
      );
    }
  }
});

t.test(
  'every type has a rule that takes its documents, and nothing that ended or is read by a transform',
  async (t) => {
    const values = { ...samples, ipv4: '198.51.100.3' };
    const taken = new Set<string>();
    for (const type of observableTypes) {
      const entry: IndicatorEntry = indicatorEntry({ type, value: values[type] });
      const found = rulesFor(ecsDocument(entry, latest));
      t.equal(found.length, 1, `${type}: ${found.map(({ name }) => name)}`);
      for (const { name } of found) taken.add(name);
      t.same(rulesFor(ecsDocument({ ...entry, revoked: true }, latest)), [], `${type}: withdrawn`);
      t.same(rulesFor(ecsDocument({ ...entry, validUntil: entry.validFrom + 1000 }, latest)), [], `${type}: expired`);
      const stream = ecsContext({ target: 'stream', collection });
      t.same(rulesFor(ecsDocument(entry, stream)), [], `${type}: what a transform reads`);
    }
    const [network] = rulesFor(ecsDocument(indicatorEntry({ type: 'ipv4', value: '198.51.100.0/24' }), latest));
    t.match(network?.name, /network/);
    taken.add(network?.name ?? '');
    t.same([...taken].sort(), rules.map(({ name }) => name).sort(), 'no rule without a document');
    const url = readGoldens().find(({ name }) => name === 'url')?.document ?? {};
    t.same(
      rulesFor(url).map(({ name }) => name),
      ['Sluice: URL indicator match'],
      'its host is no bad domain',
    );
  },
);

// Queries.

t.test("the guide's queries stand word for word, on indices and fields that Sluice writes", async (t) => {
  const esql = `FROM logs-ti.socdefenders-default
| WHERE threat.indicator.type == "ipv4-addr"
| STATS count = COUNT(*) BY threat.indicator.ip, threat.indicator.confidence
| SORT count DESC
| LIMIT 50`;
  const eql = `sequence by host.id
  [network where event.category == "network" and network.direction == "egress"]
  [any where event.dataset == "ti.socdefenders" and threat.indicator.type == "ipv4-addr"]
  until [network where event.category == "network" and network.direction == "egress"
         and threat.indicator.ip == destination.ip]`;
  const without = (name: string) =>
    textOf(name)
      .replace(/^\/\/.*\n/gm, '')
      .trimEnd();
  t.equal(without('seed.esql'), esql);
  t.equal(without('seed.eql'), eql);
  t.equal(
    without('latest.esql'),
    esql.replace('logs-ti.socdefenders-default', ecsDestination({ target: 'latest' }).name),
  );
  const compat = ecsContext({ target: 'compat', collection });
  t.equal(ecsDestination({ target: 'compat' }).name, 'logs-ti.socdefenders-default');
  const document = ecsDocument(indicatorEntry({ type: 'ipv4', value: '198.51.100.3' }), compat);
  for (const field of ['threat.indicator.type', 'threat.indicator.ip', 'threat.indicator.confidence']) {
    t.equal(valuesAt(document, field).length, 1, field);
  }
  t.same(valuesAt(document, 'host.id'), [], 'why the sequence never matches');
});

t.test('the README names every file beside it', async (t) => {
  const readme = textOf('README.md');
  for (const file of readdirSync(folder).filter((name) => name !== 'README.md')) t.ok(readme.includes(file), file);
});
