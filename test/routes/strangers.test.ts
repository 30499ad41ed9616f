import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { scriptedClock } from '../helpers/clock.ts';
import { openGateway } from '../helpers/gateway.ts';
import { START } from '../helpers/store.ts';

/**
 * Two clients with different collections learn nothing of each other's feeds. Everything of the stranger bears the word `canary`. What
 * one client can read through any route of openapi.json is searched for it, and what it asks about the stranger's things is answered
 * as for things that nobody has.
 */

const YAML = `
feeds:
  own: { format: text, path: ./own.txt, every: 1h, confidence: 90 }
  canary-feed: { format: stix, path: ./canary.json, every: 1h, confidence: 80, title: "Canary publisher", attribution: "Canary credit" }
pools:
  main: { feeds: [own], title: "Main" }
  canary-pool: { feeds: [canary-feed], title: "Canary pool" }
collections:
  ours: { pool: main }
  canary-collection: { pool: canary-pool, objects: all, title: "Canary collection" }
  canary-drop: { contributed: true, title: "Canary drop" }
`;

const dates = { created: '2026-01-01T00:00:00.000Z', modified: '2026-01-01T00:00:00.000Z' };
const shared = '203.0.113.6';
const value = 'canary.example.com';
const indicator = (n: number, pattern: string) => ({
  ...{ type: 'indicator', spec_version: '2.1', id: `indicator--1cead7a2-89c7-405a-9dd2-90e92766453${n}`, ...dates },
  ...{ name: 'Canary name', labels: ['canary-label'], pattern, pattern_type: 'stix', valid_from: dates.created },
});
const bundle = {
  type: 'bundle',
  id: 'bundle--1cead7a2-89c7-405a-9dd2-90e92766453c',
  objects: [
    indicator(1, `[domain-name:value = '${value}']`),
    indicator(2, `[ipv4-addr:value = '${shared}']`),
    {
      type: 'malware',
      spec_version: '2.1',
      id: 'malware--1cead7a2-89c7-405a-9dd2-90e92766453c',
      ...dates,
      name: 'Canary',
      is_family: false,
    },
  ],
};

interface Operation {
  parameters?: { name: string; in: string; required?: boolean }[];
}

t.test("no route tells a client of feeds behind another's collections", async (t) => {
  const dir = t.testdir();
  await writeFile(join(dir, 'own.txt'), `203.0.113.5\n${shared}\n`);
  await writeFile(join(dir, 'canary.json'), JSON.stringify(bundle));
  const { side, app } = await openGateway(t, dir, YAML, { clock: scriptedClock(START, { auto: true }) });
  for (const feed of ['own', 'canary-feed']) await side.poll(feed);
  const rate = { max: 1_000_000, per: 60_000 };
  const give = async (name: string, collections: string[], writes: string[] = []): Promise<string> =>
    (await side.addClient({ name, collections, writes, tlp: 'amber', rate })).key ?? '';
  const own = await give('own', ['ours']);
  const stranger = await give('stranger', ['canary-collection', 'canary-drop'], ['canary-drop']);
  const ask = async (key: string, method: string, url: string, payload?: object) => {
    const isTaxii = url.startsWith('/api/taxii2') || url.startsWith('/taxii2');
    const type = isTaxii ? 'application/taxii+json;version=2.1' : 'application/json';
    const answer = await app.inject({
      method: method.toUpperCase() as 'GET',
      url,
      headers: { authorization: `Bearer ${key}`, ...(payload === undefined ? {} : { 'content-type': type }) },
      ...(payload === undefined ? {} : { payload: JSON.stringify(payload) }),
    });
    // When it was answered, after how many requests, and how long the name is that was asked for, says nothing of anybody.
    const { date, 'x-ratelimit-remaining': _, 'ratelimit-remaining': __, ...headers } = answer.headers;
    const { 'content-length': ___, ...told } = headers;
    const body = answer.body.replace(/"request_id":"[^"]*"/g, '').replace(/"generated_at":"[^"]*"/g, '');
    return { status: answer.statusCode, text: `${JSON.stringify(told)}\n${body}`, body: answer.body };
  };
  const posted = await ask(stranger, 'post', '/api/taxii2/api/collections/canary-drop/objects/', {
    objects: [bundle.objects[0]],
  });
  t.equal(posted.status, 202, posted.body);
  const { objects } = JSON.parse(
    (await ask(stranger, 'get', '/api/taxii2/api/collections/canary-collection/objects/')).body,
  );
  const served = objects.find(({ type }: { type: string }) => type === 'indicator').id;
  const collections = JSON.parse((await ask(stranger, 'get', '/api/taxii2/api/collections/')).body).collections;
  const canaryId = collections.find(({ title }: { title: string }) => title === 'Canary collection').id;

  /** Things of the stranger, and things of the same form that nobody has. */
  const things: Record<string, [theirs: string, nobodys: string][]> = {
    collection: [
      ['canary-collection', 'nobody-collection'],
      ['canary-drop', 'nobody-drop'],
      [canaryId, '11111111-1111-4111-8111-111111111111'],
    ],
    list: [['canary-collection.txt', 'nobody-collection.txt']],
    object: [[served, 'indicator--11111111-1111-5111-8111-111111111111']],
    status: [[JSON.parse(posted.body).id, '11111111-1111-4111-8111-111111111111']],
    ioc: [[value, 'nobody.example.com']],
    feed: [['canary-feed', 'nobody-feed']],
    sink: [['canary-sink', 'nobody-sink']],
  };
  const ours: Record<string, string> = {
    collection: 'ours',
    list: 'ours.txt',
    ioc: shared,
    object: served,
    status: 'x',
    feed: 'own',
    sink: 'x',
  };

  const document = JSON.parse(await readFile(new URL('../../openapi/openapi.json', import.meta.url), 'utf8'));
  let asked = 0;
  for (const [path, operations] of Object.entries<Record<string, Operation>>(document.paths)) {
    const parameters = operations['get']?.parameters ?? [];
    if (operations['get'] === undefined) continue;
    const needed = parameters.filter(({ required }) => required).map(({ name }) => name);
    const optional = parameters.filter(({ name, required }) => !required && name in things).map(({ name }) => name);
    const urlOf = (values: Record<string, string>): string => {
      const query = Object.entries(values).filter(([name]) => !path.includes(`{${name}}`));
      const address = Object.entries(values).reduce(
        (url, [name, one]) => url.replace(`{${name}}`, encodeURIComponent(one)),
        path,
      );
      return query.length === 0 ? address : `${address}?${new URLSearchParams(query)}`;
    };
    const plain = Object.fromEntries(needed.map((name) => [name, ours[name] ?? '']));
    t.notMatch((await ask(own, 'get', urlOf(plain))).text, /canary/i, `get ${urlOf(plain)}`);
    for (const name of [...needed, ...optional]) {
      for (const [theirs, nobodys] of things[name] ?? []) {
        const [one, other] = [urlOf({ ...plain, [name]: theirs }), urlOf({ ...plain, [name]: nobodys })];
        const known = await ask(own, 'get', one);
        const unknown = await ask(own, 'get', other);
        asked += 1;
        t.equal(known.text.replaceAll(theirs, 'X'), unknown.text.replaceAll(nobodys, 'X'), `get ${one}`);
        t.equal(known.status, unknown.status, one);
        t.notMatch(known.text.replaceAll(theirs, 'X'), /canary/i, one);
      }
    }
  }
  t.ok(asked > 20, `${asked} questions about the stranger's things`);

  const bodies: [string, (name: string) => string, (word: string) => object, keyof typeof things][] = [
    ['post', () => '/api/v1/lookup', (word) => ({ iocs: [word] }), 'ioc'],
    ['post', () => '/api/v1/iocs/stix', (word) => ({ collection: word }), 'collection'],
    [
      'post',
      (word) => `/api/taxii2/api/collections/${word}/objects/`,
      () => ({ objects: [bundle.objects[0]] }),
      'collection',
    ],
    ['delete', (word) => `/api/taxii2/api/collections/${word}/objects/${served}/`, () => ({}), 'collection'],
  ];
  for (const [method, urlOf, bodyOf, kind] of bodies) {
    for (const [theirs, nobodys] of things[kind] ?? []) {
      const [one, other] = [
        await ask(own, method, urlOf(theirs), bodyOf(theirs)),
        await ask(own, method, urlOf(nobodys), bodyOf(nobodys)),
      ];
      t.equal(one.text.replaceAll(theirs, 'X'), other.text.replaceAll(nobodys, 'X'), `${method} ${urlOf(theirs)}`);
    }
  }
  // The search finds what is there to be found.
  t.match((await ask(stranger, 'get', '/api/v1/feeds')).text, /canary/i);
  t.match((await ask(stranger, 'get', `/api/v1/explain?ioc=${value}`)).text, /Canary publisher/);
});
