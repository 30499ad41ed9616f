import { readFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import { Compile } from 'typebox/compile';
import { makeDocument } from '../../openapi/document.ts';
import { type Example, readExamples } from '../../routes/document.ts';
import { openExampleGateway } from '../helpers/example.ts';
import type { TestGateway } from '../helpers/gateway.ts';
import { stixIndicator } from '../helpers/indicator.ts';

const text = readFileSync(new URL('../../openapi/openapi.json', import.meta.url), 'utf8');
const document = JSON.parse(text);
const examples = readExamples();

interface Described {
  path: string;
  method: string;
  operation: any;
}
const operations: Described[] = Object.entries<any>(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
);

/** A schema of the document with what it refers to in its place. */
function resolve(value: any): any {
  if (Array.isArray(value)) return value.map(resolve);
  if (typeof value !== 'object' || value === null) return value;
  if (typeof value.$ref === 'string') {
    return resolve(
      value.$ref
        .slice(2)
        .split('/')
        .reduce((at: any, name: string) => at[name], document),
    );
  }
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, resolve(member)]));
}

function fits(t: Test, schema: unknown, value: unknown, name: string): void {
  const validator = Compile(resolve(schema));
  t.ok(validator.Check(value), name, { found: validator.Errors(value) });
}

/** The names of an answer's members, all the way down; of a list, those of its first item. */
function shapeOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.length === 0 ? [] : [shapeOf(value[0])];
  if (typeof value !== 'object' || value === null) return typeof value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, member]) => [name, shapeOf(member)]),
  );
}

t.test('openapi.json is up to date: else run node openapi/generate.ts', async (t) => {
  t.ok((await makeDocument()) === text, 'it is up to date');
  t.equal(document.openapi, '3.1.0');
  t.notMatch(text, /x-expects|x-document/, 'without notes to ourselves');
});

t.test('every operation has an id, a tag, its errors and its security', async (t) => {
  const ids = operations.map(({ operation }) => operation.operationId);
  t.equal(new Set(ids).size, ids.length, 'an id each');
  for (const { path, method, operation } of operations) {
    const name = `${method} ${path}`;
    t.match(operation, { operationId: /^[a-z][A-Za-z]+$/, summary: /./, tags: [String] }, name);
    const statuses = Object.keys(operation.responses);
    const isOpen = operation.tags[0] === 'Health';
    for (const status of ['400', '414', '500', '503', ...(isOpen ? [] : ['401', '429'])]) {
      t.ok(statuses.includes(status), `${name}: ${status}`);
    }
    if (operation.requestBody !== undefined) t.ok(statuses.includes('413') && statuses.includes('415'), name);
    if (path.includes('{')) t.ok(statuses.includes('404'), name);
    t.strictSame(
      operation.security,
      isOpen || path.includes('{token}') ? [] : undefined,
      `${name}: open only where it is meant`,
    );
    for (const status of statuses.filter((each) => Number(each) >= 400)) {
      const [type] = Object.keys(resolve(operation.responses[status]).content);
      const taxii = path.includes('taxii2');
      t.equal(type, taxii ? 'application/taxii+json;version=2.1' : 'application/problem+json', `${name} ${status}`);
    }
  }
});

t.test('every operation with an answer has an example, and every example an operation', async (t) => {
  const answering = operations.filter(({ operation }) => operation.responses['200'] !== undefined);
  t.strictSame([...examples.keys()].sort(), answering.map(({ operation }) => operation.operationId).sort());
});

type Caller = Pick<TestGateway, 'app' | 'key'>;

/** Ids belong to one store, so an example can't know them: those of this one, by parameter, for an operation or for all others. */
type Ids = Record<string, Record<string, string>>;

function requestOf({ path, method, operation }: Described, example: Example, { app, key }: Caller, ids: Ids) {
  let url = path;
  for (const { name } of (operation.parameters ?? []).filter((parameter: any) => parameter.in === 'path')) {
    const known = ids[operation.operationId]?.[name] ?? ids['others']?.[name];
    url = url.replace(`{${name}}`, known ?? example.params?.[name] ?? '');
  }
  const query = example.query === undefined ? '' : `?${new URLSearchParams(example.query)}`;
  return app.inject({
    method: method.toUpperCase() as 'GET',
    url: url + query,
    headers: { authorization: `Bearer ${key}` },
    ...(example.body === undefined ? {} : { payload: example.body as object }),
  });
}

t.test('examples fit their schemas, and a gateway with the example feed answers like them', async (t) => {
  const sinks = '{ archive: { type: file, path: ./archive, collections: [all] } }';
  const gateway = await openExampleGateway(t, (yaml) =>
    `${yaml}\npublic_url: https://ti.example\nsinks: ${sinks}\nlists: { edge-block: { collection: ips, format: panos-ip } }\n`.replace(
      /^ {2}all: .*$/m,
      '$&\n  drop: { contributed: true }',
    ),
  );
  const rate = { max: 1000, per: 60_000 };
  const ops = await gateway.side.addClient({ name: 'ops', role: 'operator', collections: null, tlp: 'amber', rate });
  const team = await gateway.side.addClient({ name: 'team', collections: null, writes: ['drop'], tlp: 'amber', rate });
  const firewall = await gateway.side.addClient({ name: 'fw', collections: null, pathKey: true, tlp: 'amber', rate });
  const first = await gateway.app.inject({
    url: '/api/taxii2/api/collections/all/objects/?match[type]=indicator&limit=1',
    headers: { authorization: `Bearer ${gateway.key}` },
  });
  const added = stixIndicator(1, "[domain-name:value = 'evil.example']");
  const posted = await gateway.app.inject({
    method: 'POST',
    url: '/api/taxii2/api/collections/drop/objects/',
    headers: { authorization: `Bearer ${team.key}`, 'content-type': 'application/taxii+json;version=2.1' },
    payload: JSON.stringify({ objects: [added, { ...added, id: 'indicator--1' }] }),
  });
  const ids: Ids = {
    others: { object: first.json().objects[0].id, status: posted.json().id },
    deleteObject: { object: added.id },
    getListByToken: { token: firewall.key ?? '' },
  };
  for (const described of operations) {
    const { operation } = described;
    const example = examples.get(operation.operationId);
    if (example === undefined) continue;
    const name = operation.operationId;
    const media = operation.responses['200'].content[example.reply.type];
    t.ok(media !== undefined, `${name}: its type is documented`);
    t.strictSame(media?.example, example.reply.body, `${name}: it is in the document`);
    fits(t, media.schema, example.reply.body, `${name}: its reply`);
    const body = operation.requestBody?.content['application/json'];
    if (body !== undefined) {
      t.strictSame(body.example, example.body, `${name}: its body is in the document`);
      fits(t, body.schema, example.body, `${name}: its body`);
    }
    const isOfTeam = ['getStatus', 'deleteObject', 'addIocs'].includes(name);
    const key = operation.tags[0] === 'Control' ? (ops.key ?? '') : isOfTeam ? (team.key ?? '') : gateway.key;
    const reply = await requestOf(described, example, { app: gateway.app, key }, ids);
    t.equal(reply.statusCode, 200, `${name}: ${reply.body.slice(0, 200)}`);
    t.equal(reply.headers['content-type']?.toString().split('; charset')[0], example.reply.type, name);
    fits(t, media.schema, reply.json(), `${name}: the answer`);
    t.strictSame(shapeOf(reply.json()), shapeOf(example.reply.body), `${name}: the same members`);
  }
});

t.test('/docs needs a key', async (t) => {
  const gateway = await openExampleGateway(t);
  const get = (url: string, signedIn = true) =>
    gateway.app.inject({
      url,
      headers: signedIn ? { authorization: `Basic ${Buffer.from(`me:${gateway.key}`).toString('base64')}` } : {},
    });
  for (const path of ['/docs', '/docs/', '/docs/json', '/docs/yaml', '/docs/static/swagger-ui.css']) {
    const refused = await get(path, false);
    t.equal(refused.statusCode, 401, path);
    t.match(refused.headers['www-authenticate'], /^Basic /, `${path}: a browser asks for the key`);
  }
  t.match((await get('/docs')).headers.location, /docs\/$/, 'its parts are relative to it');
  const page = await get('/docs/');
  t.match(page.headers['content-type'], /^text\/html/);
  t.match(page.headers['content-security-policy'], /default-src 'self'/);
  for (const [, part] of page.body.matchAll(/(?:src|href)="\.\/([^"]+)"/g)) {
    t.equal((await get(`/docs/${part}`)).statusCode, 200, `${part}`);
  }
  const shown = (await get('/docs/json')).json();
  t.strictSame(Object.keys(shown.paths), Object.keys(document.paths));
});

t.test('a second api root is in the document with operations of its own', async (t) => {
  const gateway = await openExampleGateway(t, (yaml) =>
    yaml.replace(/( +)(\/api\/taxii2\/api\/: .*)/, '$1$2\n$1/feeds/: { title: More }'),
  );
  const shown = (
    await gateway.app.inject({ url: '/docs/json', headers: { authorization: `Bearer ${gateway.key}` } })
  ).json();
  t.equal(shown.paths['/feeds/collections/{collection}/objects/'].get.operationId, 'getObjects2');
  const refused = await gateway.app.inject({ url: '/feeds/collections/%ff/' });
  t.match(refused.json(), { http_status: '400' }, 'a malformed path under it is worded as TAXII');
});
