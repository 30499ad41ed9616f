// slow (5 s): processes of its own
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connect as connectPlain } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import pino from 'pino';
import t, { type Test } from 'tap';
import { type AppParts, buildApp, closeApp } from '../../routes/app.ts';
import type { UnreadyReason } from '../../routes/readiness.ts';
import { connectControl } from '../../src/control/socket.ts';
import { socketPathOf } from '../../src/control/socket-path.ts';
import { loadConfigFile, serve } from '../../src/gateway.ts';
import { systemClock } from '../../src/model/clock.ts';
import { GatewayError } from '../../src/model/error.ts';
import { readAsked } from '../../src/normalise/asked.ts';
import { NO_CONTRIBUTIONS, NO_CONTROL, NO_PRESSURE } from '../helpers/app.ts';
import { makeCertificates } from '../helpers/certificates.ts';
import { scriptedClock } from '../helpers/clock.ts';
import { openGateway } from '../helpers/gateway.ts';
import { stixIndicator } from '../helpers/indicator.ts';
import { openLists } from '../helpers/lists.ts';
import { openJournalStore, START } from '../helpers/store.ts';

const OBJECTS = '/api/taxii2/api/collections/all/objects/';

const bundle = {
  type: 'bundle',
  id: 'bundle--00000000-0000-4000-8000-000000000000',
  objects: Array.from({ length: 30 }, (_, i) => stixIndicator(i, `[ipv4-addr:value = '198.51.100.${i + 1}']`)),
};

const collections = `
feeds: { one: { format: stix, path: ./one.json, tlp: green } }
pools: { main: { feeds: [one] } }
collections: { all: { pool: main } }
`;

interface Answer {
  status: number;
  headers: IncomingMessage['headers'];
  body: string;
}

async function answerTo(sent: ReturnType<typeof httpRequest>): Promise<Answer> {
  sent.end();
  const [reply] = (await once(sent, 'response')) as [IncomingMessage];
  let body = '';
  for await (const part of reply) body += part;
  return { status: reply.statusCode ?? 0, headers: reply.headers, body };
}

t.test('TLS: 1.2 and 1.3 and nothing older; a known certificate signs in, beside keys', async (t) => {
  const dir = t.testdir({ 'one.json': JSON.stringify(bundle) });
  if (makeCertificates(t, dir, ['blue', 'unknown']) === null) return;
  makeCertificates(t, join(dir, 'foreign'));
  const yaml = `listen: { tls: { cert: { file: ./server.crt }, key: { file: ./server.key }, client_ca: { file: ./ca.crt } } }${collections}`;
  const gateway = await openGateway(t, dir, yaml);
  await gateway.side.poll('one');
  const file = (name: string) => readFileSync(join(dir, name));
  const fingerprintOf = (name: string) =>
    new X509Certificate(file(`${name}.crt`)).fingerprint256.replaceAll(':', '').toLowerCase();
  const rate = { max: 1000, per: 60_000 };
  const blue = { collections: null, tlp: 'amber', rate, certificates: [fingerprintOf('blue')] } as const;
  const issued = await gateway.side.addClient({ ...blue, name: 'blue', certificates: [...blue.certificates] });
  t.equal(issued.key, null, 'who has a certificate gets no key');
  await t.rejects(gateway.side.addClient({ ...blue, name: 'other', certificates: [...blue.certificates] }), {
    code: 'unprocessable',
  });
  const base = new URL(await gateway.listen());
  const port = Number(base.port);
  const ca = file('ca.crt');

  for (const [version, expected] of [
    ['TLSv1', null],
    ['TLSv1.1', null],
    ['TLSv1.2', 'TLSv1.2'],
    ['TLSv1.3', 'TLSv1.3'],
  ] as const) {
    // Without lowering its own bar, OpenSSL would not even offer the old ones.
    const ciphers = expected === null ? 'DEFAULT:@SECLEVEL=0' : undefined;
    const socket = connectTls({
      port,
      host: 'localhost',
      ca,
      minVersion: version,
      maxVersion: version,
      ...(ciphers === undefined ? {} : { ciphers }),
    });
    const spoken = await Promise.race([
      once(socket, 'secureConnect').then(() => socket.getProtocol()),
      once(socket, 'error').then(() => null),
    ]).catch(() => null);
    t.equal(spoken, expected, version);
    socket.destroy();
  }
  const old = connectTls({
    port,
    host: 'localhost',
    ca,
    maxVersion: 'TLSv1.2',
    ciphers: 'ECDHE-ECDSA-AES128-SHA:AES128-SHA',
  });
  t.ok(
    await once(old, 'secureConnect').then(
      () => false,
      () => true,
    ),
    'no cipher of RFC 7540 appendix A',
  );
  old.destroy();

  const get = (name: string | null, headers: Record<string, string> = {}) =>
    answerTo(
      httpsRequest({
        port,
        host: 'localhost',
        path: OBJECTS,
        ca,
        headers,
        agent: false,
        ...(name === null ? {} : { cert: file(`${name}.crt`), key: file(`${name}.key`) }),
      }),
    );
  const key = { authorization: `Bearer ${gateway.key}` };
  t.equal((await get('blue')).status, 200);
  t.ok((await get('blue')).headers['strict-transport-security']);
  for (const name of [null, 'unknown', 'foreign/client']) {
    const refused = await get(name);
    t.equal(refused.status, 401, `${name}`);
    t.match(JSON.parse(refused.body), { http_status: '401' });
    t.equal((await get(name, key)).status, 200, `${name} with a key`);
  }
  t.equal((await get('blue', { authorization: 'Bearer wrong' })).status, 401, 'a key that is brought is what counts');
  /** A second connection that resumes the first one's session: was it resumed, and what is it answered? */
  const resume = async (
    version: 'TLSv1.2' | 'TLSv1.3',
    name: string,
    between = async (): Promise<void> => undefined,
  ) => {
    const pair = { cert: file(`${name}.crt`), key: file(`${name}.key`) };
    let session: Buffer | undefined;
    for (const isSecond of [false, true]) {
      if (isSecond) await between();
      const versions = { minVersion: version, maxVersion: version };
      const socket = connectTls({ port, host: 'localhost', ca, ...versions, ...pair, ...(session && { session }) });
      await once(socket, 'secureConnect');
      const isReused = socket.isSessionReused();
      socket.on('session', (later) => {
        session = later;
      });
      session = version === 'TLSv1.2' ? socket.getSession() : session;
      socket.write(`GET ${OBJECTS} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n`);
      let text = '';
      for await (const part of socket) text += part;
      if (isSecond) return [isReused, Number(text.slice(9, 12))];
    }
    return [];
  };
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    t.strictSame(await resume(version, 'blue'), [true, 200], `${version}: a resumed session is who it was`);
    t.strictSame(await resume(version, 'unknown'), [true, 401], `${version}: or nobody`);
  }
  const revoke = () => gateway.side.revokeClient('blue');
  t.strictSame(await resume('TLSv1.3', 'blue', revoke), [true, 401], 'and nobody once it is revoked');
  t.equal((await get('blue')).status, 401, 'revoked');
  await gateway.side.addClient({ ...blue, name: 'heir', certificates: [...blue.certificates] });
  t.equal((await get('blue')).status, 200, 'a revoked client’s certificate may be given to another');
});

/** The application alone, with parts of it replaced. */
async function openApp(t: Test, changes: Partial<AppParts> = {}) {
  const store = await openJournalStore(t);
  const client = {
    name: 'reader',
    collections: null,
    tlp: 'amber',
    rate: { max: 1_000_000, per: 60_000 },
    createdAt: START,
    revokedAt: null,
    keyHashes: [],
    certificates: [],
    pathKey: false,
  } as const;
  const collection = { id: '00000000-0000-4000-8000-000000000000', alias: 'all', title: 'all', description: null };
  const app = buildApp({
    clock: store.clock,
    control: NO_CONTROL,
    contributions: NO_CONTRIBUTIONS,
    refreshOnRead: () => undefined,
    reader: store.reader,
    unreadyReason: () => null,
    pressure: NO_PRESSURE,
    clients: {
      find: () => ({ ...client, role: 'reader', collections: null, writes: [], keyHashes: [], certificates: [] }),
      generation: 0,
      findByCertificate: () => null,
    },
    lists: openLists(t, store),
    collections: [{ ...collection, journal: 'pool:main', types: null, tlp: 'amber', strict: false }],
    taxii: {
      title: 'Sluice',
      description: null,
      contact: null,
      apiRoots: [{ path: '/api/taxii2/api/', title: 'Root', description: null }],
      pageSize: 1000,
      maxPage: 5000,
    },
    publicUrl: null,
    identityId: 'identity--00000000-0000-4000-8000-000000000000',
    cursorSecret: 'ab'.repeat(32),
    cacheBytes: 1_000_000,
    metricsAccess: [],
    allowances: async () => [],
    feeds: [],
    readAsked,
    version: '0.0.0',
    maxConnections: 100,
    maxConnectionsPerAddress: null,
    answerBytes: 64 * 1024 * 1024,
    tls: null,
    trustProxy: false,
    log: pino({ level: 'silent' }),
    ...changes,
  });
  t.teardown(() => app.close());
  const get = (url: string) => app.inject({ url, headers: { authorization: 'Bearer key' } });
  return { app, get, store };
}

t.test('a commit of the writer thread invalidates a cached page', async (t) => {
  const now = new Date().toISOString();
  const indicator = (i: number) => ({ ...bundle.objects[i], created: now, modified: now, valid_from: now });
  const dir = t.testdir({
    drop: { '0.ndjson': `${JSON.stringify(indicator(0))}\n` },
    'sluice.yaml': `
listen: { port: 0 }
log: { level: silent }
metrics: { public: true }
feeds: { drop: { format: stix, path: ./drop, mode: delta, tlp: green } }
pools: { main: { feeds: [drop] } }
collections: { all: { pool: main } }
`,
  });
  const loaded = await loadConfigFile(join(dir, 'sluice.yaml'), {});
  const stop = new AbortController();
  const listening = Promise.withResolvers<string>();
  const say = (line: string): void => {
    const base = / is listening on (\S+)/.exec(line)?.[1];
    if (base !== undefined) listening.resolve(base);
  };
  const served = serve(loaded, { say, isTerminal: false, signal: stop.signal });
  const base = await Promise.race([listening.promise, served.then(() => Promise.reject(new Error('it ended')))]);
  const control = await connectControl(socketPathOf(join(dir, 'data')));
  if (control === null) throw new Error('nobody listens at the socket');
  const key = readFileSync(join(dir, 'data', 'initial.key'), 'utf8').trim();
  let etag = '';
  const ask = async (held = '') => {
    const headers = { authorization: `Bearer ${key}`, 'if-none-match': held };
    const reply = await fetch(`${base}${OBJECTS}?match[type]=indicator`, { headers });
    etag = reply.headers.get('etag') ?? '';
    return { status: reply.status, count: (await reply.text()).split('"type":"indicator"').length - 1 };
  };
  for (let i = 1; i < bundle.objects.length; i += 1) {
    t.match(await control.poll('drop'), { error: null });
    t.strictSame(await ask(etag), { status: 200, count: i }, `after commit ${i}`);
    t.strictSame(await ask(etag), { status: 304, count: 0 });
    t.strictSame(await ask(), { status: 200, count: i });
    writeFileSync(join(dir, 'drop', `${i}.ndjson`), `${JSON.stringify(indicator(i))}\n`);
  }
  const metrics = await (await fetch(`${base}/metrics`)).text();
  const hits = Number(/^sluice_page_cache_hits_total (\d+)/m.exec(metrics)?.[1]);
  t.ok(hits >= 2 * (bundle.objects.length - 1), `${hits} were kept ones`);
  await control.close();
  stop.abort();
  await served;
});

t.test('/readyz says in a word why it can’t serve; /healthz only that the process lives', async (t) => {
  let unreadyReason: UnreadyReason | null = null;
  let isBroken = false;
  const store = await openJournalStore(t);
  const journals = async () => {
    if (isBroken) throw new GatewayError('store-failed', 'disk /secret/path is gone');
    return store.reader.journals();
  };
  const { get } = await openApp(t, { unreadyReason: () => unreadyReason, reader: { ...store.reader, journals } });
  t.match(await get('/readyz'), { statusCode: 200, body: '{"status":"ready"}' });
  for (const word of ['reconciling', 'stopping', 'writer-ended'] as const) {
    unreadyReason = word;
    const reply = await get('/readyz');
    t.equal(reply.statusCode, 503, word);
    t.match(reply.json(), { status: 503, code: 'unavailable', reason: word });
    t.match(reply.headers, { 'retry-after': '5', 'cache-control': 'no-store' });
    t.equal((await get('/healthz')).statusCode, 200);
    const page = await get(OBJECTS);
    t.equal(page.statusCode, word === 'reconciling' ? 503 : 200, `${word}: pages`);
    if (word === 'reconciling') t.match(page.json(), { http_status: '503', title: 'Service Unavailable' });
  }
  unreadyReason = null;
  isBroken = true;
  const broken = await get('/readyz');
  t.match(broken.json(), { status: 503, reason: 'store' });
  t.notMatch(broken.body, /secret/);
});

t.test('an overloaded process answers 503 in the form of the protocol, and lives on', async (t) => {
  const pressure = { eventLoopDelay: 1_000_000, heapBytes: 1 };
  const { get } = await openApp(t, { pressure, metricsAccess: ['reader'] });
  // The first measurement is taken within a second.
  let reply = await get(OBJECTS);
  while (reply.statusCode === 200) {
    await systemClock.sleep(50);
    reply = await get(OBJECTS);
  }
  t.equal(reply.statusCode, 503);
  t.match(reply.json(), { http_status: '503', error_code: 'unavailable' });
  t.equal(reply.headers['retry-after'], '5');
  t.match((await get('/api/v1/iocs')).json(), { status: 503, code: 'unavailable' });
  t.equal((await get('/healthz')).statusCode, 200);
  t.match(
    await get('/metrics'),
    { statusCode: 200, body: /status="503"/ },
    'what goes on can be seen, by who may see it',
  );
});

t.test('no shared cache may keep an answer to one client, be it an error or not', async (t) => {
  const { get, app } = await openApp(t);
  const urls = [OBJECTS, '/taxii2/', '/api/taxii2/api/collections/', '/api/taxii2/api/collections/none/objects/'];
  urls.push(
    '/api/v1/iocs',
    '/api/v1/iocs?limit=x',
    '/api/v1/iocs/stix?limit=1',
    '/api/v1/lookup?ioc=a',
    '/api/v1/feeds',
  );
  for (const url of urls) {
    for (const reply of [await get(url), await app.inject({ url })]) {
      const { 'cache-control': control, vary } = reply.headers;
      t.match(control, /private/, `${reply.statusCode} ${url}`);
      t.match(vary, /Authorization.*X-API-Key/, `${reply.statusCode} ${url}`);
    }
  }
});

t.test('answers forbid browsers to run, frame or sniff them', async (t) => {
  const { get } = await openApp(t);
  const endless = `/api/taxii2/api/collections/${'a'.repeat(300)}/objects/`;
  for (const url of [OBJECTS, '/healthz', '/nothing', '/%zz', endless]) {
    t.match((await get(url)).headers, {
      'content-security-policy': /default-src 'none'/,
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'referrer-policy': 'no-referrer',
    });
    t.equal((await get(url)).headers['strict-transport-security'], undefined, 'not without TLS');
  }
});

/** An application on a port, whose pages wait until they are let go. */
async function openSlow(t: Test) {
  const store = await openJournalStore(t);
  const reached = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  const visitPage: typeof store.reader.visitPage = async (...asked) => {
    reached.resolve();
    await release.promise;
    return store.reader.visitPage(...asked);
  };
  const { app } = await openApp(t, { reader: { ...store.reader, visitPage } });
  await app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = app.server.address() as { port: number };
  const agent = new Agent({ keepAlive: true });
  t.teardown(() => agent.destroy());
  const get = (path: string) =>
    answerTo(httpRequest({ port, host: '127.0.0.1', path, agent, headers: { authorization: 'Bearer key' } }));
  return { app, port, get, reached, release };
}

t.test('a stop lets requests in flight finish, ends idle connections and takes no new ones', async (t) => {
  const { app, port, get, reached, release } = await openSlow(t);
  t.equal((await get('/healthz')).status, 200, 'this connection is idle from here on');
  const idle = connectPlain(port, '127.0.0.1');
  await once(idle, 'connect');
  const flying = get(OBJECTS);
  await reached.promise;
  const clock = scriptedClock(0);
  const stopped = closeApp(app, clock);
  await new Promise(setImmediate);
  while (app.server.listening) await new Promise(setImmediate);
  const late = connectPlain(port, '127.0.0.1');
  t.ok(
    await once(late, 'connect').then(
      () => false,
      () => true,
    ),
    'no new connection',
  );
  release.resolve();
  const answer = await flying;
  t.match(answer, { status: 200, headers: { connection: 'close' } });
  idle.destroy();
  await stopped;
  t.equal(clock.sleepers(), 0, 'nothing waits for the grace to end');
});

t.test('a request that doesn’t finish within the grace is cut', async (t) => {
  const { app, get, reached, release } = await openSlow(t);
  const flying = get(OBJECTS).then(
    () => 'answered',
    (error: { code?: string }) => error.code,
  );
  await reached.promise;
  const clock = scriptedClock(0);
  const stopped = closeApp(app, clock);
  while (app.server.listening) await new Promise(setImmediate);
  await clock.advance(10_000);
  t.equal(await flying, 'ECONNRESET');
  release.resolve();
  await stopped;
});

t.test('/metrics: for named clients only, counts what happened, and holds no secret', async (t) => {
  const broken = {
    ...bundle.objects[0],
    id: `indicator--${'f'.repeat(8)}-0000-4000-8000-000000000000`,
    pattern: 'none',
  };
  const noted = { ...bundle.objects[0], confidence: 'much' };
  const objects = [...bundle.objects.slice(1), noted, broken];
  const dir = t.testdir({ 'one.json': JSON.stringify({ ...bundle, objects }) });
  const canary = 'sk_live_CANARY_0123456789';
  const yaml = `${collections.replace('feeds: {', 'feeds: { soc: { preset: socdefenders, key: { env: KEY } },').replace('[one]', '[one, soc]').replace('pool: main }', 'pool: main }, names: { pool: main, types: [domain] }')}`;
  const gateway = await openGateway(t, dir, yaml, { env: { KEY: canary } });
  await gateway.side.poll('one');
  const rate = { max: 1000, per: 60_000 };
  const { key } = await gateway.side.addClient({ name: 'prometheus', collections: null, tlp: 'clear', rate });
  const get = (url: string, as: string | null) =>
    gateway.app.inject({
      url,
      headers: { ...(as === null ? {} : { authorization: `Bearer ${as}` }), 'user-agent': canary },
    });
  t.equal((await get('/metrics', null)).statusCode, 401);
  t.equal((await get('/metrics', gateway.key)).statusCode, 403, 'readers do not see who else reads');
  for (let i = 0; i < 3; i += 1) await get(OBJECTS, gateway.key);
  await get(`/${canary}/nothing`, null);
  await get(`${OBJECTS}?${canary}`, 'wrong');
  const reply = await get('/metrics', key);
  t.equal(reply.statusCode, 200);
  t.match(reply.headers['content-type'], /^text\/plain; version=0\.0\.4/);
  const figureOf = (text: string, line: RegExp) =>
    Number(
      text
        .split('\n')
        .find((each) => line.test(each))
        ?.split(' ')
        .at(-1),
    );
  const route = `route="/api/taxii2/api/collections/:collection/objects"`;
  t.equal(
    figureOf(reply.body, new RegExp(`^sluice_http_requests_total.*${route}.*status="200".*client="reader-0"`)),
    3,
  );
  t.equal(figureOf(reply.body, new RegExp(`^sluice_http_requests_total.*${route}.*status="401".*client=""`)), 1);
  t.equal(figureOf(reply.body, /^sluice_http_requests_total.*route="none".*status="404"/), 1);
  t.equal(figureOf(reply.body, /^sluice_page_cache_hits_total /), 2);
  t.equal(figureOf(reply.body, /^sluice_page_cache_misses_total /), 1);
  t.equal(figureOf(reply.body, /^sluice_journal_live_indicators\{journal="pool:main",type="ipv4"\}/), 30);
  t.equal(figureOf(reply.body, /^sluice_feed_rows\{feed="one",outcome="accepted"\}/), 30);
  t.equal(figureOf(reply.body, /^sluice_feed_live\{feed="one",collection="all"\}/), 30);
  t.equal(figureOf(reply.body, /^sluice_feed_left_out\{feed="one",collection="names",reason="type-not-taken"\}/), 30);
  t.equal(figureOf(reply.body, /^sluice_feed_refused\{feed="one",reason="unsupported-pattern"\}/), 1);
  t.equal(figureOf(reply.body, /^sluice_feed_notes\{feed="one",reason="bad-property"\}/), 1);
  t.equal(figureOf(reply.body, /^sluice_feed_failures\{feed="one"\}/), 0);
  t.ok(figureOf(reply.body, /^sluice_account_budget_left\{origin="https:[^"]*",feeds="soc",seconds="86400"\}/) > 0);
  t.ok(figureOf(reply.body, /^nodejs_eventloop_lag_p99_seconds/) >= 0);
  t.ok(figureOf(reply.body, /^process_resident_memory_bytes/) > 0);
  const again = await get('/metrics', key);
  t.equal(figureOf(again.body, /^sluice_page_cache_hits_total /), 2, 'looking does not count');
  const makeUp = async (name: string): Promise<void> => {
    const object = `${OBJECTS}indicator--${name}/`;
    for (const url of [`/${name}`, `/api/v1/${name}`, `/docs/${name}`, OBJECTS.replace('all', name), object])
      for (const as of [null, `slc_${name}`, gateway.key]) await get(url, as);
  };
  const seriesIn = async (): Promise<number> => (await get('/metrics', key)).body.match(/^sluice_/gm)?.length ?? 0;
  // So often that failed sign-ins are answered 429 as well.
  for (let i = 0; i < 10; i += 1) await makeUp(`first${i}`);
  await seriesIn();
  const series = await seriesIn();
  for (let i = 0; i < 20; i += 1) await makeUp(`name${i}`);
  t.equal(await seriesIn(), series, 'callers can make up no series');
  for (const secret of [canary, key, gateway.key, 'CANARY']) t.notMatch(again.body, new RegExp(`${secret}`));
});

t.test('/metrics can be open to anyone', async (t) => {
  const dir = t.testdir({ 'one.json': JSON.stringify(bundle) });
  const gateway = await openGateway(t, dir, `metrics: { public: true }${collections}`);
  t.equal((await gateway.app.inject({ url: '/metrics' })).statusCode, 200);
});
