// slow (8 s): hundreds of random URLs and header fields
import { METHODS } from 'node:http';
import { connect } from 'node:net';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import Type from 'typebox';
import { Client as Connection } from 'undici';
import { MAX_URL } from '../../routes/query.ts';
import { compileValidator } from '../../routes/validation.ts';
import { createClientMap } from '../../src/auth/clients.ts';
import { hashKey } from '../../src/auth/keys.ts';
import { checkApiRoots } from '../../src/config/collections.ts';
import { client, KEY, openApp, type TestApp } from '../helpers/app.ts';
import { indicatorEntry } from '../helpers/store.ts';

const ROOT = '/api/taxii2/api/';
const TAXII = 'application/taxii+json;version=2.1';
const PROBLEM = 'application/problem+json';
const OBJECT = 'indicator--00000000-0000-4000-8000-000000000000';

/** Every path there is, and what it serves. */
const paths: Record<string, string> = {
  '/taxii2/': 'GET, HEAD, OPTIONS',
  '/api/taxii2/': 'GET, HEAD, OPTIONS',
  [ROOT]: 'GET, HEAD, OPTIONS',
  [`${ROOT}status/x/`]: 'GET, HEAD, OPTIONS',
  [`${ROOT}collections/`]: 'GET, HEAD, OPTIONS',
  [`${ROOT}collections/all/`]: 'GET, HEAD, OPTIONS',
  [`${ROOT}collections/all/manifest/`]: 'GET, HEAD, OPTIONS',
  [`${ROOT}collections/all/objects/`]: 'GET, POST, HEAD, OPTIONS',
  [`${ROOT}collections/all/objects/${OBJECT}/`]: 'GET, DELETE, HEAD, OPTIONS',
  [`${ROOT}collections/all/objects/${OBJECT}/versions/`]: 'GET, HEAD, OPTIONS',
  '/api/v1/iocs': 'GET, POST, HEAD, OPTIONS',
  '/api/v1/iocs/stix': 'GET, POST, HEAD, OPTIONS',
  '/api/v1/lookup': 'GET, POST, HEAD, OPTIONS',
  '/api/v1/feeds': 'GET, HEAD, OPTIONS',
  '/docs/json': 'GET, HEAD, OPTIONS',
  '/': 'GET, HEAD, OPTIONS',
  '/healthz': 'GET, HEAD, OPTIONS',
  '/readyz': 'GET, HEAD, OPTIONS',
};

type Reply = Awaited<ReturnType<TestApp['ask']>>;

/** An error is worded by the protocol whose path was asked. */
function isWorded(t: Test, reply: Reply, path: string, status: number, name: string): void {
  t.equal(reply.statusCode, status, name);
  if (path.startsWith('/taxii2') || path.startsWith('/api/taxii2')) {
    t.equal(reply.headers['content-type'], TAXII, name);
    t.match(reply.json(), { title: String, description: String, http_status: String(status) }, name);
  } else {
    t.equal(reply.headers['content-type'], PROBLEM, name);
    t.match(reply.json(), { type: 'about:blank', title: String, status, detail: String, code: String }, name);
    t.match(reply.json().error, { code: /^[a-z_]+$/, message: String, request_id: String }, name);
  }
}

t.test('a known path answers 405 with Allow to every method that it doesn’t serve', async (t) => {
  const { app, ask } = await openApp(t);
  await app.ready();
  t.ok(METHODS.length > 30 && METHODS.includes('QUERY'), 'this Node knows methods enough');
  for (const [path, allow] of Object.entries(paths)) {
    const served = allow.split(', ');
    // CONNECT never reaches a path: Node closes the connection.
    for (const method of METHODS.filter((each) => each !== 'CONNECT' && !served.includes(each))) {
      const reply = await ask(path, { method, headers: { 'content-type': 'text/weird' } });
      const name = `${method} ${path}`;
      isWorded(t, reply, path, 405, name);
      t.equal(reply.headers.allow, allow, name);
    }
    if (served.includes('OPTIONS')) {
      const options = await ask(path, { method: 'OPTIONS' });
      t.strictSame([options.statusCode, options.headers.allow, options.body], [204, allow, ''], `OPTIONS ${path}`);
    }
  }
});

t.test('an unknown path is 404 for every method', async (t) => {
  const { ask } = await openApp(t);
  for (const path of [
    '/taxii2/x/',
    `${ROOT}nothing/`,
    '/api/v1/nothing',
    '/api/v2/iocs',
    '/nothing',
    '/docs/nothing',
  ]) {
    for (const method of ['GET', 'PUT', 'PROPFIND', 'QUERY', 'TRACE', 'POST']) {
      isWorded(t, await ask(path, { method }), path, 404, `${method} ${path}`);
    }
  }
});

t.test('without a key every method, path and body is 401', async (t) => {
  const { app } = await openApp(t);
  // From an address each, as failed sign-ins are counted by address.
  let asked = 0;
  const remoteAddress = (): string => {
    asked += 1;
    return `10.0.${asked >> 8}.${asked & 255}`;
  };
  const guarded = Object.keys(paths).filter((path) => !/^\/(healthz|readyz)?$/.test(path));
  for (const path of [...guarded, '/taxii2/x/', '/api/v1/nothing', '/docs/', '/docs/static/index.css']) {
    for (const method of ['GET', 'POST', 'DELETE', 'PROPFIND', 'OPTIONS', 'HEAD']) {
      const reply = await app.inject({
        method: method as 'GET',
        url: path,
        payload: '{"half',
        remoteAddress: remoteAddress(),
      });
      const name = `${method} ${path}`;
      t.match(reply.headers['www-authenticate'], /^Basic realm=/, name);
      if (method === 'HEAD') t.equal(reply.statusCode, 401, name);
      else isWorded(t, reply, path, 401, name);
    }
  }
  for (const open of ['/healthz', '/readyz']) t.equal((await app.inject(open)).statusCode, 200, open);
  const missing = (await app.inject({ url: '/api/v1/iocs', remoteAddress: remoteAddress() })).json();
  t.equal(missing.error.code, 'missing_api_key', "SOC Defenders' word for no key");
  const wrong = (
    await app.inject({ url: '/api/v1/iocs', headers: { 'x-api-key': 'no' }, remoteAddress: remoteAddress() })
  ).json();
  t.equal(wrong.error.code, 'invalid_api_key', 'and for a wrong one');
});

t.test('malformed requests get an error that says what is wrong, in the form of their protocol', async (t) => {
  const { ask, append } = await openApp(t);
  await append([indicatorEntry(), indicatorEntry({ value: 'b.example' }), indicatorEntry({ value: 'c.example' })]);
  const objects = `${ROOT}collections/all/objects/`;
  const next = (await ask(`${objects}?limit=1`)).json().next as string;
  const link = (await ask('/api/v1/iocs?limit=1')).json().links.next as string;
  const cursor = new URL(link, 'http://x').searchParams.get('cursor') as string;
  const flip = (token: string): string => (token[0] === 'A' ? 'B' : 'A') + token.slice(1);
  const long = 'a'.repeat(100_000);
  const cases: [path: string, status: number, parameter?: string | undefined, headers?: Record<string, string>][] = [
    ['%ff', 400],
    [`?x=${long}`, 414],
    [`?x=${'a'.repeat(MAX_URL)}`, 414],
    ['?limit=%ff', 400],
    ['?%ff=1', 400],
    ['?limit=1&limit=2', 400, 'limit'],
    ['?limit=-1', 400, 'limit'],
    ['?limit=0', 400, 'limit'],
    ['?limit=1.5', 400, 'limit'],
    ['?limit=1e3', 400, 'limit'],
    ['?limit=0x10', 400, 'limit'],
    ['?limit=+5', 400, 'limit'],
    ['?limit=ten', 400, 'limit'],
  ];
  for (const path of [objects, `${ROOT}collections/all/manifest/`, '/api/v1/iocs', '/api/v1/iocs/stix']) {
    for (const [query, status, parameter] of cases) {
      const name = `${path}${query.slice(0, 30)}`;
      const reply = await ask(path + query);
      isWorded(t, reply, path, status, name);
      if (parameter !== undefined) {
        const body = reply.json();
        t.equal(body.parameter ?? body.details?.parameter, parameter, `${name}: names it`);
        t.match(body.detail ?? body.description, new RegExp(parameter), `${name}: says it`);
      }
    }
  }
  const others: [path: string, status: number, parameter?: string | undefined, headers?: Record<string, string>][] = [
    [`${objects}?next=${flip(next)}`, 400, 'next'],
    [`${objects}?added_after=2026-02-30T00:00:00Z`, 400],
    [`${objects}?match[version]=all,last`, 400],
    [`${ROOT}collections/${'x'.repeat(300)}/objects/`, 414],
    [`${ROOT}collections/%ff/`, 400],
    [objects, 406, undefined, { accept: 'application/taxii+json;version=9.9' }],
    [`/api/v1/iocs?cursor=${flip(cursor)}`, 400, 'cursor'],
    [`/api/v1/iocs?cursor=${next}`, 400, 'cursor'],
    [`/api/v1/iocs?collection=ips&cursor=${cursor}`, 400, 'cursor'],
    [`/api/v1/iocs?type=ipv4&cursor=${cursor}`, 400, 'type'],
    [`/api/v1/iocs?offset=1&cursor=${cursor}`, 400, 'offset'],
    ['/api/v1/iocs?offset=10001', 400, 'offset'],
    ['/api/v1/iocs?offset=-1', 400, 'offset'],
    ['/api/v1/iocs?type=ipv5', 400, 'type'],
    ['/api/v1/iocs?confidence=HIGH', 400, 'confidence'],
    ['/api/v1/iocs?since=yesterday', 400, 'since'],
    ['/api/v1/iocs?until=2026-01-01', 400, 'until'],
    ['/api/v1/iocs?format=xml', 400, 'format'],
    ['/api/v1/iocs?confidense=high', 400, 'confidense'],
    ['/api/v1/iocs?collection=red', 404, 'collection'],
    ['/api/v1/iocs?collection=nope', 404, 'collection'],
    ['/api/v1/iocs', 406, undefined, { accept: 'image/png' }],
    ['/api/v1/iocs', 406, undefined, { accept: 'application/json;q=0' }],
    ['/api/v1/iocs/stix', 406, undefined, { accept: 'text/csv' }],
    ['/api/v1/iocs/stix?limit=1&confidence=high', 400, 'confidence'],
    [`/api/v1/iocs/stix?next=${flip(next)}`, 400, 'next'],
    [`${objects}?limit=`, 400, 'limit'],
    ['/api/v1/lookup', 400, 'ioc'],
    ['/api/v1/lookup?ioc=', 400, 'ioc'],
    ['/api/v1/lookup?ioc=a.example&type=what', 400, 'type'],
  ];
  for (const [path, status, parameter, headers] of others) {
    const reply = await ask(path, headers === undefined ? {} : { headers });
    const name = `${path.slice(0, 90)} ${JSON.stringify(headers ?? {})}`;
    isWorded(t, reply, path, status, name);
    const body = reply.json();
    if (parameter !== undefined) t.equal(body.parameter ?? body.details?.parameter, parameter, name);
  }
  t.equal((await ask('/api/v1/iocs?limit=')).statusCode, 200, 'REST: an empty parameter is an absent one');
  t.equal((await ask(`${objects}?next=${cursor}`)).statusCode, 200, 'a token of another question begins anew');
  t.equal((await ask(`${objects}?limit=${'9'.repeat(40)}`)).statusCode, 200, 'a limit of any size is only cut');
  t.equal((await ask(`${objects}?colour=red`)).statusCode, 200, 'TAXII 3.4: what is unknown is ignored');
});

t.test('a body that is too large, of another type, or no JSON is refused before validation', async (t) => {
  const { ask } = await openApp(t);
  const post = (body: unknown, type = 'application/json') =>
    ask('/api/v1/lookup', { method: 'POST', headers: { 'content-type': type }, body });
  const coded = (coding: string) =>
    ask('/api/v1/lookup', {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'content-encoding': coding },
      body: coding === 'identity' ? '{"iocs":["a.example"]}' : gzipSync('{"iocs":["a.example"]}'),
    });
  const cases: [Reply, number][] = [
    [await post('{"half'), 400],
    [await post(Buffer.from([0x7b, 0xff, 0x7d])), 400],
    [await post('[]'), 400],
    [await post('null'), 400],
    [await post('{"iocs":[]}'), 400],
    [await post('{"iocs":[1]}'), 400],
    [await post('{"iocs":["a.example"],"colour":"red"}'), 400],
    [await post(JSON.stringify({ iocs: Array.from({ length: 1001 }, () => 'a') })), 400],
    [await post('a.example', 'text/plain'), 415],
    [await post(`{"iocs":["${'a'.repeat(3_000_000)}"]}`), 413],
    [await ask('/api/v1/lookup', { method: 'POST' }), 400],
    [await coded('gzip'), 415],
    [await coded('GZIP, identity'), 415],
  ];
  for (const [reply, status] of cases)
    isWorded(t, reply, '/api/v1/lookup', status, `${status} ${reply.body.slice(0, 80)}`);
  t.equal((await coded('gzip')).headers['accept-encoding'], 'identity', 'RFC 9110 section 15.5.16');
  t.equal((await coded('identity')).statusCode, 200);
  const unread = await ask('/api/v1/feeds', { headers: { 'content-encoding': 'gzip' } });
  t.equal(unread.statusCode, 200, 'where no body is read its coding says nothing');
  t.equal((await post('{"iocs":["a.example"]}')).statusCode, 200);
});

t.test('a list that is too long and an unknown member are refused before their content is validated', (t) => {
  const items = Type.String({ minLength: 1 });
  const schema = Type.Object({ iocs: Type.Array(items, { maxItems: 3 }) }, { additionalProperties: false });
  const check = compileValidator({ schema, httpPart: 'body', method: 'POST', url: '/' });
  let looks = 0;
  const watched = (list: unknown[]) =>
    new Proxy(list, {
      get(target, name) {
        if (name !== 'length') looks += 1;
        return Reflect.get(target, name);
      },
    });
  const refusalOf = (value: unknown) => (check(value) as { error?: Error }).error?.message;
  t.match(refusalOf({ iocs: watched([1, 2, 3, 4]) }), /^iocs must be a list of up to 3\./);
  t.match(refusalOf({ colour: 'red', iocs: watched([1, 2]) }), /^colour is no parameter here/);
  t.equal(looks, 0);
  t.match(refusalOf({ iocs: watched([1, 2]) }), /^iocs must be string\./);
  t.ok(looks > 0, 'a list within its bound is looked at');
  t.strictSame(check({ iocs: ['a'] }), { value: { iocs: ['a'] } });
  t.end();
});

t.test('no URL and no header field gives 500', async (t) => {
  const { app } = await openApp(t);
  const doors = ['/docs/static/', '/docs/', '/', '/api/v1/', '/taxii2/', `${ROOT}collections/`, ROOT, '/metrics/'];
  const parts = [
    'static',
    '..',
    '.',
    '%2e%2e',
    '%2f',
    '%5c',
    '\\',
    '%00',
    'a'.repeat(260),
    'index.css',
    '%',
    '%25',
    ':x',
  ];
  parts.push(
    '%252e%252e%252f',
    'json',
    'yaml',
    '',
    '~',
    ';',
    '%0a',
    '%c0%ae',
    '*',
    '.git',
    '%ff',
    'é',
    '//',
    'all',
    'iocs',
  );
  const fields = [
    {},
    {},
    { range: 'bytes=5-1' },
    { range: 'bytes=999999999-' },
    { 'if-match': '"x"' },
    { expect: 'x' },
  ];
  const others = [{ 'if-unmodified-since': 'Thu, 01 Jan 1970 00:00:00 GMT' }, { accept: '\u00ff' }, { te: 'x' }];
  const part = fc.constantFrom(...parts);
  const request = fc.record({
    path: fc.tuple(fc.constantFrom(...doors), fc.array(part, { maxLength: 4 }), fc.constantFrom('', '/')),
    query: fc.option(fc.tuple(part, part)),
    headers: fc.constantFrom(...fields, ...others),
    method: fc.constantFrom('GET', 'GET', 'HEAD', 'POST'),
  });
  const statuses = new Set<number>();
  await fc.assert(
    fc.asyncProperty(request, async ({ path: [door, rest, between], query, headers, method }) => {
      const url = door + rest.join(between) + (query === null ? '' : `?${query.join('=')}`);
      const reply = await app.inject({
        method: method as 'GET',
        url,
        headers: { authorization: `Bearer ${KEY}`, ...headers },
      });
      statuses.add(reply.statusCode);
      t.ok(reply.statusCode < 500, `${reply.statusCode} ${method} ${url.slice(0, 120)} ${JSON.stringify(headers)}`);
    }),
    { numRuns: 800, seed: 11 },
  );
  for (const path of ['%00', '%2e%2e%2fx', '.git', '%252e%252e%252f']) {
    const url = `/docs/static/${path}`;
    const reply = await app.inject({ url, headers: { authorization: `Bearer ${KEY}` } });
    t.ok(reply.statusCode === 403 || reply.statusCode === 404, `${reply.statusCode} ${url}`);
  }
  t.ok(
    [200, 400, 403, 404, 405, 414].every((status) => statuses.has(status)),
    `${[...statuses]} were met`,
  );
});

t.test('an API root that the configuration accepts hides no other route', async (t) => {
  for (const path of ['/api/', '/taxii2/x/', '/api/taxii2/x/', '/x/docs/', '/api/v1x/', '/docsx/']) {
    checkRoots(t, path);
    const taxii = { title: 'a', description: null, contact: null, pageSize: 10, maxPage: 10 };
    const { ask } = await openApp(t, { taxii: { ...taxii, apiRoots: [{ path, title: 'b', description: null }] } });
    for (const url of [path, '/taxii2/', '/api/taxii2/', '/api/v1/feeds', '/docs/json', '/healthz', '/metrics'])
      t.equal((await ask(url)).statusCode, 200, `${url} beside ${path}`);
  }
});

/** The configuration takes it. */
function checkRoots(t: Test, root: string): void {
  const refuse = (_at: unknown, _path: unknown, message: string) => t.fail(`${root} ${message}`);
  checkApiRoots([root], { report: refuse, placeOf: () => ({ line: 1, column: 1 }) } as never);
}

t.test('a client has one rate for all routes, and refused requests count too', async (t) => {
  const slow = client({ name: 'slow', rate: { max: 3, per: 60_000 } });
  const { ask } = await openApp(t, {}, { slc_slow: slow });
  const headers = { authorization: 'Bearer slc_slow' };
  t.equal((await ask('/api/v1/iocs?limit=-1', { headers })).statusCode, 400);
  t.equal((await ask('/taxii2/', { headers })).statusCode, 200);
  t.equal((await ask('/docs/json', { headers })).statusCode, 200);
  for (const path of ['/api/v1/iocs', '/taxii2/', '/docs/json']) {
    const reply = await ask(path, { headers });
    isWorded(t, reply, path, 429, path);
    t.match(reply.headers['retry-after'], /^[1-9]\d*$/);
  }
  t.equal((await ask('/api/v1/iocs', { headers })).json().error.code, 'rate_limit_exceeded');
  t.equal((await ask('/api/v1/iocs')).statusCode, 200, 'others have their own');
});

t.test(
  'each request on a connection is signed in by its own key, and a change of clients holds from the next request on',
  async (t) => {
    const clients = createClientMap();
    const known = (name: string, max: number) =>
      client({ name, rate: { max, per: 60_000 }, keyHashes: [hashKey(`slc_${name}`)] });
    clients.replace([known('one', 1000), known('two', 2000)]);
    // Only a proxy's connection outlives an answer of 401.
    const { app } = await openApp(t, { clients, trustProxy: true });
    let connections = 0;
    app.server.on('connection', () => {
      connections += 1;
    });
    const connection = new Connection(await app.listen({ host: '127.0.0.1', port: 0 }));
    t.teardown(() => connection.close());
    /** The rate tells who was let in. */
    const ask = async (headers: Record<string, string>) => {
      const {
        statusCode,
        headers: fields,
        body,
      } = await connection.request({ method: 'GET', path: '/taxii2/', headers });
      await body.dump();
      return statusCode === 200 ? Number(fields['ratelimit-limit']) : statusCode;
    };
    const bearer = (name: string) => ({ authorization: `Bearer slc_${name}` });
    const basic = (name: string) => ({ authorization: `Basic ${Buffer.from(`any:slc_${name}`).toString('base64')}` });
    for (const [headers, expected] of [
      [bearer('one'), 1000],
      [bearer('one'), 1000],
      [{}, 401],
      [basic('two'), 2000],
      [basic('two'), 2000],
      [basic('nobody'), 401],
      [basic('one'), 1000],
      [{ 'x-api-key': 'slc_two' }, 2000],
      [{ 'x-api-key': 'slc_two', ...bearer('one') }, 2000],
      [bearer('one'), 1000],
      [{ 'x-api-key': 'slc_nobody', ...bearer('one') }, 401],
      [bearer('one'), 1000],
    ] as const) {
      t.equal(await ask(headers), expected, JSON.stringify(headers));
    }
    clients.replace([{ ...known('one', 1000), revokedAt: 1 }, known('two', 50)]);
    t.equal(await ask(bearer('one')), 401, 'its key was revoked');
    t.equal(await ask(basic('two')), 50, 'it has another rate');
    t.equal(connections, 1);
  },
);

t.test(
  'answers on a connection come in the order of its requests, however large, and who leaves disturbs nobody',
  async (t) => {
    const { app, append, ask } = await openApp(t);
    await append(Array.from({ length: 300 }, (_, n) => indicatorEntry({ type: 'domain', value: `host-${n}.example` })));
    await app.listen({ host: '127.0.0.1', port: 0 });
    const { port } = app.server.address() as { port: number };
    const pages = ['', '?limit=1', '?match[type]=indicator', '?limit=2'].map(
      (query) => `${ROOT}collections/all/objects/${query}`,
    );
    const sizes = await Promise.all(pages.map(async (page) => Number((await ask(page)).headers['content-length'])));
    t.ok((sizes[0] as number) > 150_000 && (sizes[2] as number) > 150_000, 'some are written later than others');
    const text = ['GET', 'HEAD', 'GET'].flatMap((method) =>
      pages.map((page) => `${method} ${page} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${KEY}\r\n\r\n`),
    );
    const leaving = Array.from({ length: 20 }, async (_, i) => {
      const socket = connect(port, '127.0.0.1', () => socket.write(text.join('')));
      socket.on('error', () => undefined);
      for (let turn = 0; turn < i % 5; turn += 1) await new Promise(setImmediate);
      socket.resetAndDestroy();
    });
    const last = `GET /taxii2/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`;
    const socket = connect(port, '127.0.0.1', () => socket.write(text.join('') + last));
    const got = Buffer.concat(await socket.toArray()).toString('latin1');
    await Promise.all(leaving);
    const answers = got.split(/(?=HTTP\/1\.1 )/).map((answer) => {
      const [head = '', body = ''] = answer.split('\r\n\r\n');
      return [Number(head.slice(9, 12)), Number(/content-length: (\d+)/.exec(head)?.[1]), body.length];
    });
    const whole = sizes.map((size) => [200, size, size]);
    t.strictSame(answers.slice(0, -1), [...whole, ...sizes.map((size) => [200, size, 0]), ...whole]);
    t.equal(answers.at(-1)?.[0], 401);
  },
);

t.test('an unexpected error shows only the id under which it is logged', async (t) => {
  const secret = 'SQLITE_CORRUPT in /var/lib/secret';
  const fail = async (): Promise<never> => {
    throw new Error(secret);
  };
  const { app, ask } = await openApp(t);
  await app.ready();
  const broken = await openApp(t, {
    reader: { page: fail, live: fail, journals: fail, lookup: fail, accounts: async () => [] } as never,
  });
  t.equal((await ask('/readyz')).statusCode, 200);
  for (const [path, status] of [
    [`${ROOT}collections/all/objects/`, 500],
    ['/api/v1/iocs', 500],
    ['/api/v1/iocs/stix', 500],
    ['/api/v1/iocs/stix?limit=1', 500],
    ['/api/v1/lookup?ioc=a.example', 500],
    ['/readyz', 503],
  ] as const) {
    const reply = await broken.ask(path);
    isWorded(t, reply, path, status, path);
    t.notMatch(reply.body, /SQLITE|secret/);
    if (status === 500) t.match(reply.body, /"error_id":"[0-9a-f-]{36}"/);
    else t.equal(reply.headers['retry-after'], '5');
  }
});

t.test('requests that Node can’t parse are answered on the socket', async (t) => {
  const { app } = await openApp(t);
  await app.listen({ host: '127.0.0.1', port: 0 });
  const port = (app.server.address() as { port: number }).port;
  const say = (text: string) =>
    new Promise<string>((resolve, reject) => {
      const socket = connect(port, '127.0.0.1', () => socket.write(text));
      let heard = '';
      socket.on('data', (chunk) => (heard += chunk));
      socket.on('error', reject);
      socket.on('end', () => resolve(heard));
    });
  t.match(await say('GARBAGE\r\n\r\n'), /^HTTP\/1\.1 400 [\s\S]*"http_status":"400"/);
  t.match(await say(`GET / HTTP/1.1\r\nHost: x\r\nX: ${'a'.repeat(300_000)}\r\n\r\n`), /^HTTP\/1\.1 431 /);
  t.match(
    await say('PROPFIND /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'),
    /^HTTP\/1\.1 405 [\s\S]*allow: GET/i,
  );
});
