import { createHmac } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { Secret } from '../../src/model/secret.ts';
import { iocOf } from '../../src/outputs/ioc.ts';
import { sinkKinds } from '../../src/sinks/registry.ts';
import { PushRejected } from '../../src/sinks/sink.ts';
import { collection, entryOf, openSink } from '../contracts/sink.contract.ts';
import { scriptedClock } from '../helpers/clock.ts';
import { openGateway } from '../helpers/gateway.ts';
import { START } from '../helpers/store.ts';
import { type ReceiverFaults, startReceiver } from '../helpers/webhook-receiver.ts';

/** Entries posted to an address, signed. */

const never = new AbortController().signal;
const defaults = { secret: new Secret('canary'), format: 'ioc', batch: 500, timeout: 2000 };

async function openPushed(t: Test, faults: ReceiverFaults = {}, more: object = {}) {
  const receiver = await startReceiver(t, 'canary', faults);
  const sink = openSink(sinkKinds.webhook, { ...defaults, url: receiver.url, ...more }, '.');
  t.teardown(() => sink.close());
  return { receiver, push: (entries = [entryOf(1)]) => sink.push(collection, entries, never) };
}

t.test('a request is signed over its time and its body', async (t) => {
  const receiver = await startReceiver(t, 'canary');
  const sink = sinkKinds.webhook.open({
    name: 'hook',
    options: { ...defaults, url: receiver.url } as never,
    base: '.',
    identityId: 'identity--x',
    producer: async () => [],
    clock: scriptedClock(START),
    userAgent: 'Sluice/test',
  });
  t.teardown(() => sink.close());
  await sink.push(collection, [entryOf(1)], never);
  const [{ message, body }] = receiver.requests as [(typeof receiver.requests)[0]];
  const seconds = String(Math.floor(START / 1_000_000));
  t.equal(message.url, '/in?from=sluice');
  t.equal(message.headers['content-type'], 'application/json');
  t.equal(message.headers['x-sluice-timestamp'], seconds);
  const hex = createHmac('sha256', 'canary').update(`${seconds}.${body}`).digest('hex');
  t.equal(message.headers['x-sluice-signature'], `sha256=${hex}`);
});

t.test('entries have the shape of REST, and a withdrawal says so with its reason', async (t) => {
  const { receiver, push } = await openPushed(t);
  const gone = entryOf(1, { version: entryOf(1).version + 1000, revoked: true, reason: 'vanished' });
  t.match(await push([entryOf(1), entryOf(2)]), { written: 2, refused: [] });
  t.match(await push([gone]), { written: 1 });
  const bodies = receiver.requests.map(({ body }) => JSON.parse(body));
  t.strictSame(bodies, [
    { collection: 'all', format: 'ioc', entries: JSON.parse(JSON.stringify([iocOf(entryOf(1)), iocOf(entryOf(2))])) },
    {
      collection: 'all',
      format: 'ioc',
      entries: [{ ...JSON.parse(JSON.stringify(iocOf(gone))), revoked: true, reason: 'vanished' }],
    },
  ]);
});

t.test('as STIX a withdrawal is a revoked object', async (t) => {
  const { receiver, push } = await openPushed(t, {}, { format: 'stix' });
  await push([entryOf(1, { revoked: true, reason: 'vanished' })]);
  t.match(JSON.parse(receiver.requests[0]?.body ?? ''), {
    format: 'stix',
    entries: [{ type: 'indicator', id: entryOf(1).objectId, revoked: true }],
  });
});

t.test('requests hold no more entries than configured, and no more than 8 MiB', async (t) => {
  const { receiver, push } = await openPushed(t, {}, { batch: 2 });
  const sized = (n: number) => entryOf(n, { description: 'é'.repeat(n * 512 * 1024) });
  const [large, larger] = [sized(5), sized(9)];
  const report = await push([
    ...[1, 2, 3].map((n) => entryOf(n)),
    larger,
    large,
    { ...large, objectId: 'indicator--b' },
  ]);
  t.equal(report.written, 5);
  t.match(report.refused, [{ entry: { value: larger.value }, reason: /larger than the server takes/ }]);
  t.strictSame(
    receiver.requests.map(({ body }) => JSON.parse(body).entries.length),
    [2, 2, 1],
  );
});

t.test('failures are told apart by what helps', async (t) => {
  const cases: [ReceiverFaults, object][] = [
    [{ status: 401 }, { code: 'sink-refused', message: /credentials/ }],
    [{ status: 403 }, { code: 'sink-refused', message: /does not allow/ }],
    [{ status: 307 }, { code: 'sink-refused', message: /redirects are not followed/ }],
    [{ status: 404 }, { code: 'sink-refused', message: /answered 404: not now/ }],
    [{ status: 408 }, { code: 'sink-unavailable', message: /answered 408/ }],
    [{ status: 500 }, { code: 'sink-unavailable', message: /answered 500/ }],
    [{ status: 503 }, { code: 'sink-unavailable' }],
    [{ status: 429 }, { code: 'sink-unavailable', retryAfter: 7 }],
  ];
  for (const [faults, expected] of cases) {
    const { push } = await openPushed(t, faults);
    const error: any = await push().catch((thrown: unknown) => thrown);
    t.match(error, expected, `${faults.status}`);
    t.equal(error instanceof PushRejected, [404, 500].includes(faults.status ?? 0), 'an entry may be the reason');
    t.notMatch(`${error.message} ${String(error.cause)}`, /canary/);
  }
  const { push } = await openPushed(t, {}, { secret: new Secret('another') });
  await t.rejects(push(), { code: 'sink-refused' }, 'the receiver has another secret');
});

t.test('a gateway delivers, keeps what is refused as dead letters, and tells withdrawals', async (t) => {
  const receiver = await startReceiver(t, 'canary', { refuses: 'bad.example.com' });
  const dir = t.testdir();
  const list = (lines: string[]) => writeFile(join(dir, 'list.txt'), `${lines.join('\n')}\n`);
  await list(['203.0.113.5', 'evil.example.com', 'bad.example.com']);
  const yaml = `
feeds: { house: { format: text, path: ./list.txt, every: 1h, confidence: 80 } }
pools: { main: { feeds: [house] } }
collections: { all: { pool: main } }
sinks:
  hook: { type: webhook, collections: [all], url: "${receiver.url}", secret: { env: SECRET } }
`;
  const clock = scriptedClock(START, { auto: true });
  const { side } = await openGateway(t, dir, yaml, { clock, env: { SECRET: 'canary' } });
  await side.poll('house');
  t.match(await side.deliver('hook'), { written: 2, refused: 1 });
  await list(['203.0.113.5']);
  await side.acceptShrink('house');
  await side.deliver('hook');
  const revoked = [...receiver.held.values()].filter((entry) => entry.revoked === true);
  t.match(revoked, [{ value: 'evil.example.com', reason: 'vanished' }]);
});
