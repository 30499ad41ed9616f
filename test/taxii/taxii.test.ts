import { writeFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { openApp } from '../helpers/app.ts';
import { openGateway, readAll } from '../helpers/gateway.ts';
import { stixIndicator } from '../helpers/indicator.ts';

const ROOT = '/api/taxii2/api/';
const TYPE = 'application/taxii+json;version=2.1';

const yaml = `
data: ./data
taxii: { api_roots: { /api/taxii2/api/: { title: Threat intelligence } } }
feeds: { one: { format: stix, path: ./one.json, tlp: green } }
pools: { main: { feeds: [one] }, secret: { feeds: [one], tlp: red } }
collections:
  all: { pool: main }
  ips: { pool: main, types: [ipv4, ipv6] }
  letter: { pool: main, strict: true }
  none: { pool: main, types: [x509] }
  red: { pool: secret }
`;

const COUNT = 25;
const value = (i: number): string =>
  i % 2 === 0 ? `[ipv4-addr:value = '198.51.100.${i + 1}']` : `[domain-name:value = 'h${i}.example']`;

async function open(t: Test) {
  const dir = t.testdir();
  const objects = Array.from({ length: COUNT }, (_, i) => stixIndicator(i, value(i)));
  writeFileSync(
    join(dir, 'one.json'),
    JSON.stringify({ type: 'bundle', id: 'bundle--00000000-0000-4000-8000-000000000000', objects }),
  );
  const gateway = await openGateway(t, dir, yaml);
  const report = await gateway.side.poll('one');
  t.equal(report.accepted, COUNT);
  const get = (path: string, headers: Record<string, string> = {}, method = 'GET') =>
    gateway.app.inject({
      method: method as 'GET',
      url: path,
      headers: { authorization: `Bearer ${gateway.key}`, ...headers },
    });
  return { gateway, get };
}

t.test('discovery, api root, collections and one collection, with and without the trailing slash', async (t) => {
  const { get } = await open(t);
  for (const path of ['/taxii2/', '/taxii2', '/api/taxii2/', '/api/taxii2']) {
    const reply = await get(path);
    t.equal(reply.statusCode, 200, path);
    t.equal(reply.headers['content-type'], TYPE);
    const url = `http://localhost:80${ROOT}`;
    t.match(reply.json(), { title: String });
    t.strictSame(
      [reply.json().default, reply.json().api_roots],
      [url, [url]],
      'absolute: cytaxii2 asks just what it is told',
    );
  }
  for (const path of [ROOT, ROOT.slice(0, -1)]) {
    t.match(
      (await get(path)).json(),
      { title: 'Threat intelligence', versions: [TYPE], max_content_length: Number },
      path,
    );
  }
  const { collections } = (await get(`${ROOT}collections/`)).json();
  t.same(
    collections.map((c: any) => c.alias),
    ['all', 'ips', 'letter', 'none'],
    'a collection above the ceiling is not there',
  );
  for (const { id, alias, can_read, can_write, media_types } of collections) {
    t.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    t.strictSame([can_read, can_write, media_types], [true, false, ['application/stix+json;version=2.1']]);
    for (const name of [id, alias, id.toUpperCase()]) {
      const own = alias === 'letter' ? id : name;
      t.equal((await get(`${ROOT}collections/${name}/`)).json().id, own, 'the id is a part of the URL that was asked');
      t.equal((await get(`${ROOT}collections/${name}/objects`)).statusCode, 200, `${alias} without the slash`);
    }
  }
  for (const gone of [
    'collections/red/',
    'collections/red/objects/',
    'collections/nope/',
    'status/x/',
    'nothing/here/',
  ]) {
    const reply = await get(ROOT + gone);
    t.equal(reply.statusCode, 404, gone);
    t.match(reply.json(), { title: String, http_status: '404' });
  }
});

t.test(
  'discovery names the host that the client asked, or the configured one, and never what is no host',
  async (t) => {
    const direct = await openApp(t);
    const proxied = await openApp(t, { trustProxy: true });
    const rootOf = async ({ ask }: Awaited<ReturnType<typeof openApp>>, headers: Record<string, string>) => {
      const { default: first, api_roots } = (await ask('/taxii2/', { headers })).json();
      t.strictSame(api_roots, [first]);
      return first.endsWith(ROOT) ? first.slice(0, -ROOT.length) : first;
    };
    const forwarded = {
      host: 'sluice:8080',
      'x-forwarded-host': 'evil.example, ti.example',
      'x-forwarded-proto': 'http, https',
    };
    for (const [host, base] of [
      ['ti.example', 'http://ti.example'],
      ['ti.example:8443', 'http://ti.example:8443'],
      ['192.0.2.1:80', 'http://192.0.2.1:80'],
      ['[2001:db8::1]:8080', 'http://[2001:db8::1]:8080'],
      ['my_host', 'http://my_host'],
      ['a b', ''],
      ['user@ti.example', ''],
      ['ti.example/x', ''],
      ['ti.example?x', ''],
      ['"><script>', ''],
      ['ti.example:99999', ''],
      ['[::::]', ''],
    ] as const) {
      t.equal(await rootOf(direct, { host }), base, `Host: ${host}`);
      t.equal(await rootOf(proxied, { host: 'sluice', 'x-forwarded-host': host }), base.replace('http:', 'https:'));
    }
    t.equal(await rootOf(direct, forwarded), 'http://sluice:8080', 'without a proxy nobody forwards');
    t.equal(await rootOf(proxied, forwarded), 'https://ti.example', 'what the one proxy wrote counts');
    t.equal(await rootOf(proxied, { ...forwarded, 'x-forwarded-proto': 'http' }), 'http://ti.example');
    t.equal(await rootOf(proxied, { ...forwarded, 'x-forwarded-proto': 'gopher' }), 'https://ti.example');
    t.equal(await rootOf(proxied, { host: 'sluice:8080' }), '', "the proxy's own name for it leads nowhere");
    for (const trustProxy of [true, false])
      t.equal(
        await rootOf(await openApp(t, { trustProxy, publicUrl: 'https://ti.example:8443' }), forwarded),
        'https://ti.example:8443',
      );
  },
);

t.test('every refusal is a TAXII error message of the TAXII type', async (t) => {
  const { get, gateway } = await open(t);
  const objects = `${ROOT}collections/all/objects/`;
  const token = (await get(`${objects}?limit=2`)).json().next as string;
  const flipped = (token[0] === 'A' ? 'B' : 'A') + token.slice(1);
  const refused: [string, number, Record<string, string>?, string?][] = [
    [`${objects}?limit=0`, 400],
    [`${objects}?limit=-1`, 400],
    [`${objects}?limit=ten`, 400],
    [`${objects}?limit=1&limit=2`, 400],
    [`${objects}?added_after=yesterday`, 400],
    [`${objects}?match[type]=indicator&match[type]=identity`, 400],
    [`${objects}?match[version]=soon`, 400],
    [`${objects}?match[version]=all,last`, 400],
    [`${objects}?limit=%ff`, 400],
    [`${objects}?next=nonsense`, 400],
    [`${objects}?next=${flipped}`, 400],
    [`${objects}?next=${token}x`, 400],
    [`${ROOT}collections/ips/objects/?next=${flipped}`, 400],
    ...['limit', 'added_after', 'next', 'match[type]', 'match[id]', 'match[version]', 'match[spec_version]'].map(
      (name): [string, number] => [`${objects}?${name}=`, 400],
    ),
    [`${objects}?limit`, 400],
    [`${objects}?match[version]=,,`, 400],
    [`${objects}?match[type]=indicator,`, 400],
    [`${objects}?match[type]=indicator,%20,identity`, 400],
    [`${objects}?added_after=2025-12-01T00:00:00`, 400],
    [`${objects}?added_after=2025-12-01T00:00:00%2B02:00`, 400],
    [`${objects}?added_after=2025-12-01T00:00:00+00:00`, 400],
    [`${objects}?added_after=0001-02-29T00:00:00Z`, 400],
    [`${objects}?next=${token}&match[type]=identity`, 400],
    [`${ROOT}manifest/`, 404],
    [`${ROOT}collections/%ff/`, 400],
    [`${objects}indicator--00000000-0000-4000-8000-ffffffffffff/`, 404],
    [`${objects}?x=${'a'.repeat(100_000)}`, 414],
    [objects, 406, { accept: 'application/taxii+json;version=9.9' }],
    [`${ROOT}collections/letter/objects/`, 406, { accept: 'text/html' }],
    [objects, 403, { 'content-type': TYPE }, 'POST'],
    [objects, 405, {}, 'PUT'],
    [`${ROOT}collections/red/objects/`, 404, {}, 'POST'],
    [objects, 401, { authorization: '' }],
    [objects, 401, { authorization: 'Bearer wrong' }],
    [objects, 401, { authorization: `Basic ${Buffer.from('apikey:wrong').toString('base64')}` }],
    ['/taxii2/', 401, { authorization: '' }, 'POST'],
  ];
  for (const [path, status, headers, method] of refused) {
    const reply = await get(path, headers, method);
    const name = `${method ?? 'GET'} ${path.slice(0, 80)}`;
    t.equal(reply.statusCode, status, name);
    t.equal(reply.headers['content-type'], TYPE, name);
    t.match(reply.json(), { title: String, http_status: String(status) }, name);
    if (status === 401) t.match(reply.headers['www-authenticate'], /^Basic /, name);
    if (status === 405) t.match(reply.headers.allow, /GET/, name);
  }
  t.ok(gateway.key.startsWith('slc_'));
});

t.test('each way to bring a key, and every Accept of known clients', async (t) => {
  const { get, gateway } = await open(t);
  const { key } = gateway;
  const ways = [
    { authorization: `Basic ${Buffer.from(`apikey:${key}`).toString('base64')}` },
    { authorization: `Basic ${Buffer.from(`anybody:${key}`).toString('base64')}` },
    { authorization: `Token ${key}` },
    { authorization: '', 'x-api-key': key },
  ];
  for (const headers of ways) t.equal((await get('/taxii2/', headers)).statusCode, 200);
  const accepts = [
    TYPE,
    'application/taxii+json; version=2.1',
    'application/taxii+json;version="2.1"',
    'Application/TAXII+JSON',
    'application/json',
    '*/*',
    'application/json, text/plain, */*',
    'application/vnd.oasis.stix+json; version=2.0',
    '',
  ];
  for (const accept of accepts) {
    const reply = await get(`${ROOT}collections/all/objects/?limit=1`, { accept, 'content-type': 'application/json' });
    t.equal(reply.statusCode, 200, accept);
    t.equal(reply.headers['content-type'], TYPE);
  }
});

t.test('pages end exactly, by next and by added_after, whatever the limit', async (t) => {
  const { get, gateway } = await open(t);
  const everything = await readAll(gateway, 'all');
  const ids = everything.map((o) => o['id']);
  t.equal(new Set(ids).size, ids.length);
  t.equal(everything.filter((o) => o['type'] === 'indicator').length, COUNT);
  for (const limit of [1, 2, 7, 29, 30, 1000]) {
    t.same(
      (await readAll(gateway, 'all', `limit=${limit}`)).map((o) => o['id']),
      ids,
      `next, limit ${limit}`,
    );
    const walked: string[] = [];
    let after = '';
    for (;;) {
      const reply = await get(`${ROOT}collections/all/objects/?limit=${limit}${after}`);
      const page = reply.json();
      walked.push(...page.objects.map((o: any) => o.id));
      t.equal(page.more, page.next !== undefined, 'more and next say the same');
      const [first, last] = ['first', 'last'].map((end) => reply.headers[`x-taxii-date-added-${end}`] as string);
      t.match(first, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
      t.ok((first as string) <= (last as string));
      after = `&added_after=${last}`;
      if (!page.more) break;
    }
    t.same(walked, ids, `added_after, limit ${limit}`);
  }
});

t.test('an empty page keeps the client’s position', async (t) => {
  const { get } = await open(t);
  const after = '2999-01-01T00:00:00.000000Z';
  const reply = await get(`${ROOT}collections/all/objects/?added_after=${after}`);
  t.strictSame(reply.json(), { more: false, objects: [] });
  t.equal(reply.headers['x-taxii-date-added-last'], after);
  for (const last of ['9999-12-31T23:59:59.999999Z', '9999-12-31T23:59:59Z', '2262-04-11T23:47:16.854775807Z']) {
    const far = await get(`${ROOT}collections/all/objects/?added_after=${last}`);
    const echo = String(far.headers['x-taxii-date-added-last']);
    t.match(echo, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/, `${last}: what is echoed can be sent again`);
    t.ok(echo <= last.replace('59Z', '59.000000Z'), echo);
  }
  t.strictSame(
    (await get(`${ROOT}collections/letter/objects/?added_after=${after}`)).json(),
    {},
    'strict: no empty list',
  );
  for (const collection of ['all', 'letter', 'none']) {
    const manifest = await get(`${ROOT}collections/${collection}/manifest/?added_after=${after}`);
    t.strictSame(manifest.json(), {}, 'an empty manifest is an empty resource (5.3)');
    t.equal(manifest.headers['x-taxii-date-added-last'], after);
  }
  const none = await get(`${ROOT}collections/none/objects/?match[type]=indicator`);
  t.strictSame(none.json(), { more: false, objects: [] });
  t.match(none.headers['x-taxii-date-added-last'], /Z$/);
});

t.test('filters: type, id, version, spec_version, added_after with 0 to 9 digits', async (t) => {
  const { get, gateway } = await open(t);
  const all = await readAll(gateway, 'all');
  const indicators = all.filter((o) => o['type'] === 'indicator');
  const count = async (query: string, collection = 'all'): Promise<number> =>
    (await readAll(gateway, collection, query)).length;
  t.equal(await count('match[type]=indicator'), COUNT);
  t.equal(await count('match[type]=identity'), 1);
  t.equal(await count('match[type]=identity,indicator'), COUNT + 1);
  t.equal(await count('match[type]=malware'), 0);
  t.equal(await count('match[type]=indicator&limit=3', 'ips'), 13, 'a view, through pages');
  t.equal(await count(`match[id]=${indicators[3]?.['id']},${indicators[4]?.['id']}`), 2);
  t.equal(await count('match[version]=all'), all.length);
  t.equal(await count('match[version]=first,last'), all.length);
  t.ok((await count(`match[version]=${indicators[0]?.['modified']}`)) >= 1);
  t.equal(await count('match[spec_version]=2.0'), 0);
  t.equal(await count('match[spec_version]=2.0,2.1'), all.length);
  t.equal(await count('match[colour]=red&whatever=1'), all.length, 'unknown filters are ignored');
  const reply = await get(`${ROOT}collections/all/objects/?limit=10`);
  const tenth = reply.headers['x-taxii-date-added-last'] as string;
  t.equal(await count(`added_after=${tenth}`), all.length - 10, 'strictly after, to the microsecond');
  t.equal(await count(`added_after=${tenth.replace('Z', '999Z')}`), all.length - 10, 'nine digits are cut to six');
  const second = tenth.replace(/\.\d+Z/, 'Z');
  const dates = (await get(`${ROOT}collections/all/manifest/`)).json().objects.map((object: any) => object.date_added);
  const later = dates.filter((date: string) => date > second.replace('Z', '.000000Z'));
  t.equal(await count(`added_after=${second}`), later.length, 'no digits');
  for (const early of [
    '1969-12-31T23:59:59.999999Z',
    '0001-01-01T00:00:00Z',
    '0001-01-01T00:00:00.0000000Z',
    '0075-06-01T00:00:00Z',
  ])
    t.equal(await count(`added_after=${early}`), all.length, `${early}: everything`);
});

t.test('manifest, one object and its versions', async (t) => {
  const { get, gateway } = await open(t);
  const all = await readAll(gateway, 'all');
  const manifest = (await get(`${ROOT}collections/all/manifest/`)).json();
  t.same(
    manifest.objects.map((o: any) => o.id),
    all.map((o) => o['id']),
  );
  t.match(manifest.objects[0], {
    date_added: /\.\d{6}Z$/,
    version: String,
    media_type: 'application/stix+json;version=2.1',
  });
  const short = (await get(`${ROOT}collections/all/manifest/?limit=4`)).json();
  t.equal(short.objects.length, 4);
  t.type(short.next, 'string', 'the OASIS client pages manifests by next');
  const one = all.find((o) => o['type'] === 'indicator') as Record<string, any>;
  const path = `${ROOT}collections/all/objects/${one['id']}/`;
  t.strictSame((await get(path)).json(), { more: false, objects: [one] });
  const versions = await get(`${path}versions/`);
  t.strictSame(versions.json(), { more: false, versions: [one['modified']] });
  t.match(versions.headers['x-taxii-date-added-last'], /Z$/);
  t.equal((await get(`${ROOT}collections/none/objects/${one['id']}/`)).statusCode, 404, 'not in this view');
  const head = await get(path, {}, 'HEAD');
  t.equal(head.statusCode, 200);
  t.equal(head.body, '');
  t.equal((await get(path, {}, 'OPTIONS')).statusCode, 204);
});

t.test('next works with another limit, and with an added_after beside it', async (t) => {
  const { get } = await open(t);
  const path = `${ROOT}collections/all/objects/`;
  const first = (await get(`${path}?limit=5&match[type]=indicator&added_after=2020-01-01T00:00:00Z`)).json();
  const rest = (await get(`${path}?limit=1000&next=${first.next}`)).json();
  t.equal(first.objects.length + rest.objects.length, COUNT, 'the filter came from the token');
  const beside = (
    await get(`${path}?limit=1000&next=${first.next}&added_after=2020-01-01T00:00:00Z&match[type]=indicator`)
  ).json();
  t.same(beside.objects, rest.objects);
  const later = (await get(`${path}?next=${first.next}&added_after=2999-01-01T00:00:00Z`)).json();
  t.same(later.objects, [], 'the later of the two wins');
});

t.test('the next of another collection begins the asked one anew, under its own filters', async (t) => {
  const { get, gateway } = await open(t);
  const other = (path: string) => get(`${ROOT}collections/${path}`);
  const foreign: string[] = [
    (await other('ips/objects/?limit=2&match[type]=indicator')).json().next,
    (await other('all/manifest/?limit=3')).json().next,
    (await other('letter/objects/?limit=20&added_after=2020-01-01T00:00:00Z')).json().next,
  ];
  const all = await readAll(gateway, 'all');
  for (const next of foreign) {
    t.same((await other(`all/objects/?next=${next}`)).json().objects, all, 'from the beginning');
    const some = (await other(`all/objects/?next=${next}&limit=4&match[type]=indicator`)).json();
    t.same(some.objects, all.filter((o) => o['type'] === 'indicator').slice(0, 4));
    const rest = (await other(`all/objects/?next=${some.next}`)).json();
    t.equal(rest.objects.length, COUNT - 4, 'and from there by its own');
    t.same((await other(`all/objects/?next=${next}&added_after=2999-01-01T00:00:00Z`)).json().objects, []);
    const tampered = next.slice(0, -1) + (next.endsWith('A') ? 'B' : 'A');
    t.equal((await other(`all/objects/?next=${tampered}`)).statusCode, 400);
  }
  const { key } = await gateway.side.addClient({
    name: 'blue',
    collections: ['ips'],
    tlp: 'amber',
    rate: { max: 100, per: 60_000 },
  });
  const blue = (path: string) =>
    gateway.app.inject({ url: `${ROOT}collections/${path}`, headers: { 'x-api-key': `${key}` } });
  const own = (await blue('ips/objects/')).json();
  t.same((await blue(`ips/objects/?next=${foreign[1]}`)).json(), own, 'the token of what it may not read says nothing');
  t.equal((await blue(`all/objects/?next=${foreign[1]}`)).statusCode, 404);
});

t.test('requests that Node refuses are answered as TAXII errors', async (t) => {
  const { gateway } = await open(t);
  const { port } = new URL(await gateway.listen());
  const raw = await new Promise<string>((resolve, reject) => {
    const socket = connect(Number(port), '127.0.0.1', () =>
      socket.write(`GET /taxii2/ HTTP/1.1\r\nHost: x\r\nX: ${'a'.repeat(300_000)}\r\n\r\n`),
    );
    let text = '';
    socket.on('data', (chunk) => (text += chunk));
    socket.on('error', reject);
    socket.on('end', () => resolve(text));
  });
  t.match(raw, /^HTTP\/1\.1 431 /);
  t.match(raw, /"http_status":"431"/);
  const status = await new Promise<number | undefined>((resolve, reject) => {
    const url = `http://127.0.0.1:${port}/taxii2/`;
    httpRequest(url, { headers: { authorization: `Bearer ${gateway.key}` } }, (reply) =>
      resolve(reply.resume().statusCode),
    )
      .on('error', reject)
      .end();
  });
  t.equal(status, 200, 'and the server goes on');
});

t.test('a client stops when its key is revoked, and is slowed at its rate', async (t) => {
  const { gateway } = await open(t);
  const { key } = await gateway.side.addClient({
    name: 'blue',
    collections: ['ips'],
    tlp: 'amber',
    rate: { max: 3, per: 60_000 },
  });
  const get = (path: string) => gateway.app.inject({ url: path, headers: { 'x-api-key': `${key}` } });
  t.equal((await get(`${ROOT}collections/ips/`)).statusCode, 200);
  t.equal((await get(`${ROOT}collections/all/`)).statusCode, 404, 'it was not given this one');
  t.equal((await get('/taxii2/')).statusCode, 200);
  const slowed = await get('/taxii2/');
  t.equal(slowed.statusCode, 429);
  t.match(slowed.json(), { http_status: '429' });
  t.match(slowed.headers['retry-after'], /^\d+$/);
  await gateway.side.revokeClient('blue');
  t.equal((await get('/taxii2/')).statusCode, 401);
});

t.test('a page costs little of a rate, a search one request, and a loop on one token ends', async (t) => {
  const { gateway, get } = await open(t);
  const addClient = async (name: string, max: number) => {
    const { key } = await gateway.side.addClient({ name, collections: null, tlp: 'amber', rate: { max, per: 60_000 } });
    return (path: string, method = 'GET') =>
      gateway.app.inject({ method: method as 'GET', url: path, headers: { 'x-api-key': `${key}` } });
  };
  const objects = `${ROOT}collections/all/objects/`;
  const id = (await get(`${objects}?match[type]=indicator&limit=1`)).json().objects[0].id;
  const { next } = (await get(`${objects}?limit=5`)).json();
  const { next: link } = (await get('/api/v1/iocs?limit=5')).json().links;
  const { next: since } = (await get('/api/v1/iocs?limit=5&since=2020-01-01T00:00:00Z')).json().links;
  const { next: stix } = (await get('/api/v1/iocs/stix?limit=5')).json();

  // Parts of a twentieth that each costs.
  const costs: [string, number][] = [
    [`${objects}?limit=1`, 1],
    [`${objects}?limit=1000`, 1],
    [`${objects}?limit=1001`, 2],
    [`${objects}?limit=5000`, 5],
    [`${objects}?limit=999999`, 5],
    [objects, 1],
    [`${objects}?next=${next}`, 1],
    [`${objects}?match[type]=indicator&limit=100`, 1],
    [`${ROOT}collections/all/manifest/`, 1],
    [`${objects}?match[id]=${id}`, 20],
    [`${objects}?match[version]=first`, 20],
    [`${objects}?match[version]=2025-12-01T00:00:00Z`, 20],
    [`${objects}${id}/`, 20],
    [`${objects}${id}/versions/`, 20],
    [`${objects}?limit=0`, 20],
    [`${objects}indicator--00000000-0000-4000-8000-ffffffffffff/`, 20],
    ['/taxii2/', 20],
    ['/api/v1/iocs', 20],
    [link, 1],
    [since, 5],
    [`/api/v1/iocs/stix?next=${stix}`, 1],
  ];
  for (const [i, [path, cost]] of costs.entries()) {
    const ask = await addClient(`cost-${i}`, 21);
    for (let times = 1; times <= 20; times += 1) {
      const { headers } = await ask(path);
      if (Number(headers['ratelimit-remaining']) !== 21 - Math.ceil((times * cost) / 20)) {
        t.fail(`${path}: ${headers['ratelimit-remaining']} left after ${times}`);
        break;
      }
    }
  }

  const loop = await addClient('loop', 2);
  const statuses: number[] = [];
  const path = `${objects}?next=${next}&limit=5`;
  for (let i = 0; i < 30; i += 1) statuses.push((await loop(path)).statusCode);
  t.strictSame(
    statuses,
    statuses.map((_, i) => (i < 21 ? 200 : 429)),
    'there must be room for a whole request before it is known what one costs',
  );
  const refused = await loop(path);
  t.equal(refused.headers['ratelimit-remaining'], '0');
  t.match(refused.headers['retry-after'], /^[1-9]\d*$/);
  t.equal((await loop('/taxii2/')).statusCode, 429, 'over all doors');
});

t.test('failed sign-ins are limited by address; a good key is not held up by them', async (t) => {
  const { gateway, get } = await open(t);
  let last = 0;
  for (let i = 0; i < 30; i += 1) {
    last = (await gateway.app.inject({ url: '/taxii2/', headers: { authorization: 'Bearer guess' } })).statusCode;
  }
  t.equal(last, 429);
  t.equal((await get('/taxii2/')).statusCode, 200);
  const asking = await gateway.app.inject({ url: '/taxii2/' });
  t.equal(asking.statusCode, 401, 'who waits to be asked for a key is asked, every time');
  t.match(asking.headers['www-authenticate'], /^Basic /);
});

t.test('requests without a key are no failed sign-ins', async (t) => {
  const { gateway } = await open(t);
  for (let i = 0; i < 50; i += 1) {
    if ((await gateway.app.inject({ url: '/taxii2/' })).statusCode !== 401) t.fail(`the ${i}th time`);
  }
  t.equal((await gateway.app.inject({ url: '/taxii2/', headers: { 'x-api-key': 'guess' } })).statusCode, 401);
});

t.test('addresses that one customer has are counted together: a whole /64 of IPv6, one address of IPv4', async (t) => {
  const { app } = await openApp(t);
  const guess = async (remoteAddress: string): Promise<number> =>
    (await app.inject({ url: '/taxii2/', headers: { authorization: 'Bearer guess' }, remoteAddress })).statusCode;
  const outcomes: number[] = [];
  for (let i = 0; i < 21; i += 1) outcomes.push(await guess(`2001:db8:1:2:${i.toString(16)}::${i}`));
  t.strictSame(outcomes, [...Array(20).fill(401), 429], 'twenty, from whatever address among them');
  t.equal(await guess('2001:db8:1:2:ffff:ffff:ffff:ffff'), 429, 'the last address of the network');
  t.equal(await guess('2001:db8:1:3::'), 401, 'the first of the next');
  t.equal(await guess('2002:db8:1:2::1'), 401, 'nor one that only ends like it');
  t.equal(await guess('2001:db8:1:1:ffff:ffff:ffff:ffff'), 401, 'the last of the one before');
  for (let i = 0; i < 20; i += 1) await guess('::ffff:198.51.100.7');
  t.equal(await guess('198.51.100.7'), 429, 'an address is the same however the socket writes it');
  t.equal(await guess('198.51.100.8'), 401);
});

t.test('behind a proxy the address is the one that the proxy saw, not what the caller claims', async (t) => {
  const { app } = await openApp(t, { trustProxy: true });
  const guess = async (forwarded: string): Promise<number> =>
    (await app.inject({ url: '/taxii2/', headers: { authorization: 'Bearer guess', 'x-forwarded-for': forwarded } }))
      .statusCode;
  let last = 0;
  for (let i = 0; i < 30; i += 1) last = await guess(`198.51.100.${i}, 203.0.113.7`);
  t.equal(last, 429, 'a new claim for each try does not help');
  t.equal(await guess('203.0.113.7, 203.0.113.8'), 401, 'and nobody else is held up');
});
