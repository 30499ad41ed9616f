import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import pino from 'pino';
import t, { type Test } from 'tap';
import { type Control, controlThrough } from '../../src/control/verbs.ts';
import type { AnalystVerdict } from '../../src/model/analyst-verdict.ts';
import { GatewayError } from '../../src/model/error.ts';
import { client, openApp } from '../helpers/app.ts';
import { openGateway } from '../helpers/gateway.ts';

const operator = client({ name: 'ops', role: 'operator' });
const OPERATOR = { authorization: 'Bearer slc_ops' };
const report = {
  feed: 'house',
  outcome: 'whole',
  requests: 1,
  accepted: 2,
  rejected: 0,
  entries: 2,
  withdrawn: 0,
  error: null,
} as const;

const routes = [
  ['GET', '/status'],
  ['POST', '/feeds/house/poll'],
  ['GET', '/feeds/house/rejections'],
  ['GET', '/sinks/siem/failed'],
  ['POST', '/sinks/siem/retry'],
  ['GET', '/verdicts'],
  ['POST', '/verdicts'],
  ['DELETE', '/verdicts?ioc=a.example'],
] as const;

/** The application with verbs of the test's own. `lines` closes the log and returns what was written. */
async function openControlled(t: Test, verbs: Partial<Control>, rate = operator.rate) {
  const stream = new PassThrough();
  const control = controlThrough(async (name) => {
    throw new Error(`${name} is not expected`);
  });
  const app = await openApp(
    t,
    { control: { ...control, ...verbs }, log: pino({ base: null }, stream) },
    { slc_ops: { ...operator, rate } },
  );
  const call = (method: string, path: string, headers: Record<string, string> = OPERATOR, body?: object) =>
    app.ask(`/api/v1/control${path}`, { method, headers, body });
  const lines = async () => {
    stream.end();
    return (await text(stream))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
  };
  return { ...app, call, lines };
}

t.test('readers get 403 from every control route, which counts on their rate', async (t) => {
  const { call, app, lines } = await openControlled(t, {});
  let counted = 1_000_000;
  for (const [method, path] of routes) {
    const stranger = await app.inject({ method, url: `/api/v1/control${path}` });
    t.equal(stranger.statusCode, 401, path);
    const refused = await call(method, path, {});
    t.equal(refused.statusCode, 403, path);
    t.equal(refused.headers['content-type'], 'application/problem+json');
    t.match(refused.json(), { code: 'forbidden', status: 403 });
    t.equal(refused.headers['cache-control'], 'no-store');
    counted -= 1;
    t.equal(refused.headers['ratelimit-remaining'], String(counted));
  }
  t.equal((await call('GET', '/nothing', {})).statusCode, 403, 'nor do they learn which routes there are');
  t.equal((await call('GET', '/nothing')).statusCode, 404);
  const written = (await lines()).filter(({ outcome }) => outcome === 'forbidden');
  t.equal(written.length, routes.length + 1, 'each is in the log');
  t.match(written[1], { client: 'reader', operation: 'pollFeed', feed: 'house', outcome: 'forbidden' });
});

t.test('an operator runs verbs and gets their reports, which nobody may store; each is in the log', async (t) => {
  const asked: unknown[] = [];
  const { call, lines } = await openControlled(t, {
    poll: async (feed) => {
      asked.push(['poll', feed]);
      return { ...report, feed };
    },
    acceptShrink: async (feed) => {
      asked.push(['acceptShrink', feed]);
      return { ...report, feed };
    },
    rejections: async (feed, limit) => {
      asked.push(['rejections', feed, limit]);
      return { counts: [], rows: [], served: [], leftOut: [] };
    },
    deadLetters: async (sink, limit) => {
      asked.push(['deadLetters', sink, limit]);
      return [];
    },
    retrySink: async (sink) => {
      asked.push(['retrySink', sink]);
      return { written: 1, unchanged: 0, refused: 0, swept: 0 };
    },
  });
  const poll = await call('POST', '/feeds/my%20house/poll');
  t.strictSame([poll.statusCode, poll.json()], [200, { ...report, feed: 'my house' }]);
  t.equal(poll.headers['cache-control'], 'no-store');
  t.equal((await call('POST', '/feeds/house/poll?accept_shrink=true')).statusCode, 200);
  t.equal((await call('POST', '/feeds/house/poll?accept_shrink=false')).statusCode, 200);
  t.equal((await call('POST', '/feeds/house/poll?accept_shrink=yes')).statusCode, 400);
  t.ok('x-ratelimit-remaining' in poll.headers);
  const rejections = await call('GET', '/feeds/house/rejections?limit=20000');
  t.strictSame(rejections.json(), { feed: 'house', counts: [], rows: [], served: [], left_out: [] });
  t.strictSame((await call('GET', '/sinks/siem/failed?limit=3')).json(), []);
  t.match((await call('POST', '/sinks/siem/retry')).json(), { written: 1 });
  t.strictSame(asked, [
    ['poll', 'my house'],
    ['acceptShrink', 'house'],
    ['poll', 'house'],
    ['rejections', 'house', 10_000],
    ['deadLetters', 'siem', 3],
    ['retrySink', 'siem'],
  ]);
  const wrong = await call('GET', '/feeds/house/rejections?limit=x');
  t.match([wrong.statusCode, wrong.json().parameter], [400, 'limit']);
  t.equal((await call('GET', '/status?all=1')).statusCode, 400);
  t.equal((await call('GET', '/feeds/house/poll')).statusCode, 405);
  t.equal(asked.length, 6);
  const written = await lines();
  t.match(written, [
    { client: 'ops', operation: 'pollFeed', feed: 'my house', outcome: 'whole' },
    { client: 'ops', operation: 'pollFeed', feed: 'house', outcome: 'whole' },
    { client: 'ops', operation: 'pollFeed', feed: 'house', outcome: 'whole' },
    { client: 'ops', operation: 'getRejections', feed: 'house', outcome: 'done' },
    { client: 'ops', operation: 'getFailedEntries', sink: 'siem', outcome: 'done' },
    { client: 'ops', operation: 'retrySink', sink: 'siem', outcome: 'done' },
  ]);
  t.notMatch(JSON.stringify(written), 'slc_');
});

t.test('an operator gives, lists and ends verdicts in the name of its client', async (t) => {
  const asked: unknown[] = [];
  const at = Date.parse('2026-05-04T08:00:00Z') * 1000;
  const verdict: AnalystVerdict = {
    ...{ id: 7, pool: 'main', key: 'domain:a.example', observable: { type: 'domain', value: 'a.example' } },
    ...{ kind: 'sighted', by: 'ops', note: null, at, seenAt: at, until: null, ended: null },
  };
  const told = { verdicts: [verdict], entries: 1, withdrawn: 0, feeds: ['house'] };
  const { call, lines } = await openControlled(t, {
    giveVerdict: async (given) => {
      asked.push(given);
      return told;
    },
    listVerdicts: async (query) => {
      asked.push(query);
      return { verdicts: [verdict], next: 7 };
    },
    endVerdicts: async (ended) => {
      asked.push(ended);
      if (ended.ioc === 'b.example') throw new GatewayError('not-found', 'No verdict stands on it.');
      return told;
    },
  });
  const give = (body: object) => call('POST', '/verdicts', OPERATOR, body);
  const given = await give({ ioc: 'a[.]example', verdict: 'sighted', seen_at: '2026-05-04T10:00:00+02:00', note: 'x' });
  t.match([given.statusCode, given.json()], [200, { entries: 1, feeds: ['house'] }]);
  t.match(given.json().verdicts, [
    { id: 7, verdict: 'sighted', value: 'a.example', seen_at: '2026-05-04T08:00:00.000Z' },
  ]);
  const until = '2026-05-04T08:00:00Z';
  t.equal(
    (await give({ ioc: 'a.example', verdict: 'confirmed', type: 'domain', all_pools: true, until })).statusCode,
    200,
  );
  const page = await call('GET', '/verdicts?ioc=a.example&ended=true&before=9&limit=5000');
  t.match(page.json(), { verdicts: [{ id: 7, by: 'ops', ended_at: null }], next: 7 });
  t.equal((await call('GET', '/verdicts')).statusCode, 200);
  t.equal((await call('DELETE', '/verdicts?ioc=a.example&verdict=sighted&pool=main')).statusCode, 200);
  t.equal((await call('DELETE', '/verdicts?ioc=b.example&all_pools=true')).statusCode, 404);
  t.strictSame(asked, [
    { ioc: 'a[.]example', note: 'x', kind: 'sighted', by: 'ops', allPools: false, seenAt: at },
    { ioc: 'a.example', type: 'domain', kind: 'confirmed', by: 'ops', allPools: true, until: at },
    { ioc: 'a.example', withEnded: true, before: 9, limit: 1000 },
    { withEnded: false, limit: 100 },
    { ioc: 'a.example', pool: 'main', kind: 'sighted', by: 'ops', allPools: false },
    { ioc: 'b.example', by: 'ops', allPools: true },
  ]);
  for (const [body, parameter] of [
    [{ verdict: 'confirmed' }, 'ioc'],
    [{ ioc: 'a.example', verdict: 'bad' }, 'verdict'],
    [{ ioc: 'a.example', verdict: 'confirmed', by: 'somebody else' }, 'by'],
    [{ ioc: 'a.example', verdict: 'confirmed', until: 'tomorrow' }, 'until'],
    [{ ioc: 'a.example', verdict: 'confirmed', note: 'x'.repeat(1001) }, 'note'],
  ] as const) {
    const wrong = await give(body);
    t.match([wrong.statusCode, wrong.json().parameter], [400, parameter], parameter);
  }
  t.equal((await call('DELETE', '/verdicts')).statusCode, 400, 'a value has to be named');
  t.equal((await call('GET', '/verdicts?limit=0')).statusCode, 400);
  t.equal(asked.length, 6);
  const written = (await lines()).filter(
    ({ operation, outcome }) => operation !== undefined && outcome !== 'bad-request',
  );
  t.match(
    written.map(({ client, operation, outcome }) => [client, operation, outcome].join(' ')),
    [
      'ops giveVerdict done',
      'ops giveVerdict done',
      'ops listVerdicts done',
      'ops listVerdicts done',
      'ops endVerdicts done',
      'ops endVerdicts not-found',
    ],
  );
});

t.test('a verb that fails is answered as a problem and logged with its code', async (t) => {
  const { call, lines } = await openControlled(t, {
    poll: async () => {
      throw new GatewayError('unprocessable', 'The feed house is not polled.');
    },
    retrySink: async () => {
      throw new Error('a secret cause');
    },
  });
  const idle = await call('POST', '/feeds/house/poll');
  t.match([idle.statusCode, idle.json()], [422, { code: 'unprocessable', detail: 'The feed house is not polled.' }]);
  const failed = await call('POST', '/sinks/siem/retry');
  t.equal(failed.statusCode, 500);
  t.notMatch(failed.body, 'secret');
  t.match(
    (await lines()).filter(({ operation }) => operation !== undefined),
    [
      { operation: 'pollFeed', outcome: 'unprocessable' },
      { operation: 'retrySink', outcome: 'internal' },
    ],
  );
});

t.test('a page of another site has nothing done by an operator’s browser', async (t) => {
  let polls = 0;
  const { call } = await openControlled(t, {
    poll: async () => {
      polls += 1;
      return report;
    },
  });
  for (const headers of [
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
    { origin: 'https://evil.example' },
    { origin: 'null' },
  ] as Record<string, string>[]) {
    const refused = await call('POST', '/feeds/house/poll', { ...OPERATOR, ...headers });
    t.equal(refused.statusCode, 403, JSON.stringify(headers));
  }
  t.equal(polls, 0);
  const own = { 'sec-fetch-site': 'same-origin', origin: 'https://sluice.example' };
  t.equal((await call('POST', '/feeds/house/poll', { ...OPERATOR, ...own })).statusCode, 200);
});

t.test('a poll that takes longer than 30 seconds is answered by 202, and its end is logged', async (t) => {
  const ended = Promise.withResolvers<typeof report>();
  const begun = Promise.withResolvers<void>();
  const { call, clock, lines } = await openControlled(t, {
    poll: () => {
      begun.resolve();
      return ended.promise;
    },
  });
  const polling = call('POST', '/feeds/house/poll');
  await begun.promise;
  await clock.advance(30_000);
  const reply = await polling;
  t.strictSame([reply.statusCode, reply.json()], [202, { outcome: 'running' }]);
  ended.resolve(report);
  await new Promise(setImmediate);
  t.match(
    (await lines()).map(({ outcome }) => outcome),
    ['running', 'whole'],
  );
});

t.test('an operator has a rate as every client', async (t) => {
  const { call } = await openControlled(t, { deadLetters: async () => [] }, { max: 1, per: 60_000 });
  t.equal((await call('GET', '/sinks/siem/failed')).statusCode, 200);
  t.equal((await call('GET', '/sinks/siem/failed')).statusCode, 429);
});

t.test('in a whole gateway: a client that is added as operator polls, one that is not stays a reader', async (t) => {
  const dir = t.testdir({ 'a.json': JSON.stringify({ type: 'bundle', id: 'bundle--1', objects: [] }) });
  const yaml = 'data: ./data\nfeeds: { a: { format: stix, path: ./a.json } }\npools: { p: { feeds: [a] } }\n';
  const gateway = await openGateway(t, dir, yaml);
  const rate = { max: 100, per: 60_000 };
  const ops = await gateway.side.addClient({ name: 'ops', role: 'operator', collections: null, tlp: 'amber', rate });
  const ask = (key: string | null, method: 'GET' | 'POST', path: string) =>
    gateway.app.inject({ method, url: `/api/v1/control${path}`, headers: { authorization: `Bearer ${key}` } });
  t.equal((await ask(gateway.key, 'POST', '/feeds/a/poll')).statusCode, 403);
  t.match((await ask(ops.key, 'POST', '/feeds/a/poll')).json(), { feed: 'a', outcome: 'whole' });
  t.equal((await ask(ops.key, 'POST', '/feeds/b/poll')).statusCode, 404);
  t.match((await ask(ops.key, 'GET', '/status')).json(), {
    feeds: [{ name: 'a', state: 'ok' }],
    store: { fault: null },
  });
  const given = await gateway.app.inject({
    method: 'POST',
    url: '/api/v1/control/verdicts',
    headers: { authorization: `Bearer ${ops.key}` },
    payload: { ioc: 'a.example.com', verdict: 'confirmed' },
  });
  t.match([given.statusCode, given.json()], [200, { verdicts: [{ by: 'ops', pool: 'p' }], feeds: [] }]);
  t.match((await ask(ops.key, 'GET', '/verdicts')).json(), { verdicts: [{ value: 'a.example.com' }], next: null });
  const listed = await gateway.side.listClients();
  t.strictSame(
    listed.map(({ name, role }) => [name, role]),
    [
      ['ops', 'operator'],
      ['reader-0', 'reader'],
    ],
  );
});
