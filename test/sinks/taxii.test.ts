import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { Secret } from '../../src/model/secret.ts';
import { sinkKinds } from '../../src/sinks/registry.ts';
import { PushRejected } from '../../src/sinks/sink.ts';
import { collection, entryOf, openSink } from '../contracts/sink.contract.ts';
import { scriptedClock } from '../helpers/clock.ts';
import { openContributing } from '../helpers/contributing.ts';
import { openGateway } from '../helpers/gateway.ts';
import { START } from '../helpers/store.ts';
import { startWritableTaxii, type WritableFaults } from '../helpers/writable-taxii.ts';

/** A writable collection of another TAXII server. */

const never = new AbortController().signal;
const defaults = { collection: 'drop', batch: 500, status_wait: 60_000, timeout: 2000 };

async function openPushed(t: Test, faults: WritableFaults = {}, more: object = {}) {
  const server = await startWritableTaxii(t, faults);
  const sink = openSink(sinkKinds.taxii, { ...defaults, url: server.url, ...more }, '.');
  t.teardown(() => sink.close());
  return { server, sink, push: (entries = [entryOf(1)]) => sink.push(collection, entries, never) };
}

t.test('markings come before what refers to them, and withdrawals are revoked versions', async (t) => {
  const { server, push } = await openPushed(t, {}, { username: 'feeder', password: new Secret('canary') });
  await push([entryOf(1), entryOf(2)]);
  const gone = entryOf(1, { version: entryOf(1).version + 1000, revoked: true, reason: 'vanished' });
  t.match(await push([gone]), { written: 1, refused: [] });
  t.strictSame(
    [...server.held.values()].slice(0, 3).map(({ type }) => type),
    Array(3).fill('marking-definition'),
  );
  t.strictSame(
    server.indicators().map(({ revoked }) => revoked ?? false),
    [false, false, true],
  );
  const posts = server.requests.filter(({ message }) => message.method === 'POST');
  t.equal(posts.length, 3, 'markings once, then a request per push');
  for (const { message } of posts) {
    t.equal(message.headers.authorization, `Basic ${Buffer.from('feeder:canary').toString('base64')}`);
    t.equal(message.headers['content-type'], 'application/taxii+json;version=2.1');
    t.equal(message.headers.accept, 'application/taxii+json;version=2.1');
  }
});

t.test(
  'a request that is pending is waited for, and what the server refuses is told by entry with its reason',
  async (t) => {
    const bad = entryOf(2);
    const { server, push } = await openPushed(t, { looks: 2, refuses: { [bad.objectId]: 'an\nobject of "no"\tuse' } });
    const report = await push([entryOf(1), bad, entryOf(3)]);
    t.equal(report.written, 2);
    t.strictSame(
      report.refused.map(({ entry, reason }) => [entry.objectId, reason]),
      [[bad.objectId, 'an object of "no" use']],
    );
    t.ok(server.requests.some(({ message }) => message.url?.startsWith('/root/status/')));
  },
);

t.test('a server without a status resource has accepted what it answered 202 to', async (t) => {
  const { push } = await openPushed(t, { looks: 1, hasNoStatus: true });
  t.match(await push(), { written: 1, refused: [], later: [] });
});

t.test('a request that stays pending is sent again later', async (t) => {
  const server = await startWritableTaxii(t, { looks: 1_000_000 });
  const context = {
    name: 'tip',
    base: '.',
    identityId: 'identity--x',
    producer: async () => [],
    userAgent: 'Sluice/test',
  };
  const options = { ...defaults, url: server.url } as never;
  const sink = sinkKinds.taxii.open({ ...context, options, clock: scriptedClock(START, { auto: true }) });
  t.teardown(() => sink.close());
  await t.rejects(sink.push(collection, [entryOf(1)], never), {
    code: 'sink-unavailable',
    message: /has not dealt with/,
  });
});

t.test('requests are no larger than the server takes, one version of an object in each', async (t) => {
  const { server, sink } = await openPushed(t, { maxBytes: 4000 }, { batch: 5 });
  const entries = Array.from({ length: 20 }, (_, n) => entryOf(n));
  const newer = entryOf(3, { version: entryOf(3).version + 1000 });
  const large = entryOf(50, { description: 'x'.repeat(5000) });
  const report = await sink.push(collection, [...entries, newer, large], never);
  t.equal(report.written, 21);
  t.match(report.refused, [
    { entry: { objectId: large.objectId }, reason: /larger than the server takes \(4000 bytes\)/ },
  ]);
  const posts = server.requests.filter(({ message }) => message.method === 'POST');
  for (const { body } of posts) {
    t.ok(body.length <= 4000);
    const ids = JSON.parse(body).objects.map(({ id }: { id: string }) => id);
    t.ok(ids.length <= 5 || posts[0]?.body === body, 'no more objects than configured');
    t.equal(new Set(ids).size, ids.length);
  }
  t.equal(server.indicators().length, 21);
});

t.test('failures are told apart by what helps', async (t) => {
  const cases: [WritableFaults, object][] = [
    [{ status: 401 }, { code: 'sink-refused', message: /credentials/ }],
    [{ status: 403 }, { code: 'sink-refused', message: /does not allow/ }],
    [{ status: 404 }, { code: 'sink-refused', message: /no writable collection drop \(404\): no: not now/ }],
    [{ status: 422 }, { code: 'sink-refused', message: /answered 422: no: not now/ }],
    [{ status: 500 }, { code: 'sink-refused', message: /answered 500/ }],
    [{ status: 503 }, { code: 'sink-unavailable' }],
    [{ status: 429 }, { code: 'sink-unavailable', retryAfter: 7 }],
  ];
  for (const [faults, expected] of cases) {
    const { push } = await openPushed(t, faults, { token: new Secret('canary') });
    const error: any = await push().catch((thrown: unknown) => thrown);
    t.match(error, expected, `${faults.status}`);
    t.equal(error instanceof PushRejected, [422, 500].includes(faults.status ?? 0), 'an entry may be the reason');
    t.notMatch(`${error.message} ${String(error.cause)}`, /canary/);
  }
});

t.test('the options go together, or are refused', async (t) => {
  const options = { ...defaults, url: 'https://tip.example/root/' };
  const [password, token] = [new Secret('a'), new Secret('b')];
  t.doesNotThrow(() => sinkKinds.taxii.check({ ...options, username: 'a', password }));
  t.throws(() => sinkKinds.taxii.check({ ...options, username: 'a' }), { code: 'config-invalid' });
  t.throws(() => sinkKinds.taxii.check({ ...options, username: 'a', password, token }), { code: 'config-invalid' });
});

t.test(
  'one gateway writes into a contributed collection of another, and what it withdraws is revoked there',
  async (t) => {
    const other = await openContributing(t, { dir: t.testdir({ other: {} }) });
    const base = await other.listen();
    const dir = t.testdir({ own: {} });
    const list = (lines: string[]) => writeFile(join(dir, 'list.txt'), `${lines.join('\n')}\n`);
    await list(['203.0.113.5', 'evil.example.com']);
    const yaml = `
feeds: { house: { format: text, path: ./list.txt, every: 1h, confidence: 80 } }
pools: { main: { feeds: [house] } }
collections: { all: { pool: main } }
sinks:
  tip: { type: taxii, collections: [all], url: "${base}/api/taxii2/api/", collection: drop, token: { env: TOKEN } }
`;
    const { side, app, key } = await openGateway(t, dir, yaml, { env: { TOKEN: other.keys.both } });
    await side.poll('house');
    t.match(await side.deliver('tip'), { written: 2, refused: 0 });
    const read = async () => {
      const { objects } = (await other.ask('GET', '/collections/drop/objects/')).json();
      return new Map<string, any>(objects.map((object: any) => [object.id, object]));
    };
    const mine = (
      await app.inject({ url: '/api/taxii2/api/collections/all/objects/', headers: { authorization: `Bearer ${key}` } })
    ).json();
    const theirs = await read();
    for (const object of mine.objects) {
      if (object.type === 'marking-definition' && !theirs.has(object.id)) continue;
      t.strictSame(theirs.get(object.id), object, object.type);
    }
    await list(['203.0.113.5']);
    await side.acceptShrink('house');
    t.match(await side.deliver('tip'), { written: 1 });
    const revoked = [...(await read()).values()].filter((object) => object.revoked === true);
    t.match(revoked, [{ pattern: /evil\.example\.com/ }]);
  },
);
