import { readdirSync, readFileSync, readlinkSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { basename, join } from 'node:path';
import t, { type Test } from 'tap';
import type { GatewayError } from '../../src/model/error.ts';
import { Secret } from '../../src/model/secret.ts';
import { appendLines } from '../../src/sinks/file/append.ts';
import { sinkKinds } from '../../src/sinks/registry.ts';
import { collection, entryOf, openSink, type SinkScenario, testSinkKind } from '../contracts/sink.contract.ts';
import { mountDisk } from '../helpers/disk.ts';
import { type ElasticFault, startElasticServer } from '../helpers/elastic-server.ts';
import { openGateway } from '../helpers/gateway.ts';
import { startReceiver } from '../helpers/webhook-receiver.ts';
import { startWritableTaxii } from '../helpers/writable-taxii.ts';

const never = new AbortController().signal;
const defaults = {
  target: 'latest',
  stream: 'indicator',
  namespace: 'default',
  ioc_expiration_duration: 90 * 86_400_000,
  flush_bytes: 100_000,
  concurrency: 2,
  timeout: 2000,
};

const scenarios: Record<keyof typeof sinkKinds, (t: Test) => Promise<SinkScenario>> = {
  async elasticsearch(t) {
    const server = await startElasticServer(t);
    return {
      options: { ...defaults, node: server.url, api_key: new Secret('canary-key') },
      held: async () => server.live('all'),
      breakDown: async () => {
        server.down = 'drop';
      },
    };
  },
  async file(t) {
    const path = join(t.testdir(), 'out');
    return {
      options: { path, format: 'stix', max_bytes: 100_000_000, max_files: 3 },
      held: async () => readFileSync(join(path, 'all.ndjson'), 'utf8').trimEnd().split('\n'),
      breakDown: async () => writeFileSync(path, 'a file where the directory should be'),
    };
  },
  async taxii(t) {
    const server = await startWritableTaxii(t);
    return {
      options: {
        ...{ url: server.url, collection: 'drop', token: new Secret('canary-key') },
        ...{ batch: 500, status_wait: 60_000, timeout: 2000 },
      },
      held: async () => server.indicators().map((object) => JSON.stringify(object)),
      breakDown: async () => {
        server.faults.isAway = true;
      },
    };
  },
  async webhook(t) {
    const receiver = await startReceiver(t, 'canary-key');
    return {
      options: { url: receiver.url, secret: new Secret('canary-key'), format: 'ioc', batch: 500, timeout: 2000 },
      held: async () => [...receiver.held.values()].map((entry) => JSON.stringify(entry)),
      breakDown: async () => {
        receiver.faults.isAway = true;
      },
    };
  },
};
for (const [name, kind] of Object.entries(sinkKinds)) testSinkKind(t, name, kind, scenarios[name as never]);

const openElastic = async (t: Test, more: object = {}) => {
  const server = await startElasticServer(t);
  const sink = openSink(sinkKinds.elasticsearch, { ...defaults, node: server.url, ...more }, '.');
  t.teardown(() => sink.close());
  return { server, sink };
};
const entries = Array.from({ length: 300 }, (_, n) => entryOf(n));

t.test('latest: the newest date wins, whatever the order of arrival', async (t) => {
  const { server, sink } = await openElastic(t);
  const [old, fresh] = [entryOf(1), entryOf(1, { dateAdded: entryOf(1).dateAdded + 10, confidence: 10 })];
  const dead = entryOf(1, { dateAdded: fresh.dateAdded - 5, revoked: true, reason: 'vanished' });
  await sink.push(collection, [fresh], never);
  t.match(await sink.push(collection, [old], never), { written: 0, unchanged: 1 }, 'a late index');
  t.match(await sink.push(collection, [dead], never), { written: 0, unchanged: 1 }, 'a late delete');
  t.equal(server.documents.size, 1);
  const gone = entryOf(1, { dateAdded: fresh.dateAdded + 5, revoked: true, reason: 'vanished' });
  t.match(await sink.push(collection, [gone], never), { written: 1 });
  t.match(await sink.push(collection, [gone, entryOf(2, { revoked: true })], never), { unchanged: 2, refused: [] });
  t.match(await sink.push(collection, [fresh], never), { unchanged: 1 }, 'a delete is remembered');
  t.equal(server.documents.size, 0);
});

t.test('latest: what a sweep took out can be given anew at the same date', async (t) => {
  const { server, sink } = await openElastic(t);
  await sink.push(collection, entries, never);
  t.equal(await sink.sweep(collection, async () => new Set(), never), 300);
  t.equal(server.documents.size, 0);
  t.match(await sink.push(collection, entries, never), { unchanged: 300 }, 'not by an ordinary push');
  t.match(await sink.push(collection, entries, never, true), { written: 300, unchanged: 0 });
  t.equal(server.documents.size, 300);
  t.match(
    await sink.push(collection, entries, never, true),
    { written: 300 },
    'anew is written, whatever stands there',
  );
  const newer = entryOf(1, { dateAdded: entryOf(1).dateAdded + 1, confidence: 1 });
  await sink.push(collection, [newer], never);
  t.match(await sink.push(collection, entries, never, true), { written: 299, unchanged: 1 }, 'but for what is newer');
});

t.test('a sweep takes nothing that was written after it was seen, and nothing of another collection', async (t) => {
  const { server, sink } = await openElastic(t);
  await sink.push(collection, entries, never);
  await sink.push({ ...collection, alias: 'other', title: 'Other' }, entries, never);
  const isLive = async (): Promise<Set<string>> => {
    await sink.push(collection, [entryOf(7, { dateAdded: entryOf(7).dateAdded + 1 })], never);
    return new Set();
  };
  await sink.sweep(collection, isLive, never);
  t.same(server.live('all'), ['host-7.example']);
  t.equal(server.live('other').length, 300);
});

t.test('stream: every version once; compat: live versions only', async (t) => {
  const { server, sink } = await openElastic(t, { target: 'stream' });
  const [one] = [entryOf(1)];
  const dead = { ...one, dateAdded: one.dateAdded + 5, version: one.version + 1000, revoked: true };
  t.match(await sink.push(collection, [one, dead], never), { written: 2 });
  t.match(await sink.push(collection, [one, dead], never), { written: 0, unchanged: 2 });
  t.equal(server.documents.size, 2);
  t.equal(server.requests[0]?.query.get('require_data_stream'), 'true');
  const compat = await openElastic(t, { target: 'compat' });
  t.match(await compat.sink.push(collection, [one, dead], never), { written: 1, unchanged: 1 });
  t.equal(compat.server.documents.size, 1);
});

t.test('faults of the whole request', async (t) => {
  const { server, sink } = await openElastic(t, { timeout: 300, concurrency: 1 });
  const faults: [ElasticFault, string][] = [
    [{ status: 429, headers: { 'retry-after': '7' } }, 'sink-unavailable'],
    [{ status: 503 }, 'sink-unavailable'],
    [{ status: 401 }, 'sink-refused'],
    [{ status: 403, body: { error: { type: 'security_exception', reason: 'no' } } }, 'sink-refused'],
    [{ status: 404, body: { error: { type: 'index_not_found_exception', reason: 'no' } } }, 'sink-refused'],
    [{ status: 400, body: { error: { type: 'illegal_argument_exception', reason: 'no' } } }, 'sink-refused'],
    [{ status: 200, body: { items: [] } }, 'sink-unavailable'],
    ['drop', 'sink-unavailable'],
    ['reset', 'sink-unavailable'],
    ['half', 'sink-unavailable'],
    ['slow', 'sink-unavailable'],
  ];
  for (const [fault, code] of faults) {
    server.faults = [fault];
    const error = (await sink.push(collection, entries.slice(0, 5), never).catch((thrown) => thrown)) as GatewayError;
    t.equal(error.code, code, JSON.stringify(fault));
    if (typeof fault === 'object' && fault.status === 429) t.equal(error.retryAfter, 7);
  }
  server.faults = [];
  const report = await sink.push(collection, entries.slice(0, 5), never);
  t.equal(report.written + report.unchanged, 5, 'all of it is well afterwards');
});

t.test('faults of single documents', async (t) => {
  const { server, sink } = await openElastic(t);
  const fail = (status: number, type: string) => {
    server.refuse = ({ source }) =>
      source?.document?.threat.indicator.name === 'host-3.example' ? { status, type, reason: 'because' } : null;
  };
  fail(400, 'document_parsing_exception');
  const refused = await sink.push(collection, entries, never);
  t.match(refused, { written: 299, refused: [{ reason: /document_parsing_exception: because/ }] });
  t.equal(refused.refused[0]?.entry.value, 'host-3.example');
  for (const status of [429, 503]) {
    fail(status, 'es_rejected_execution_exception');
    t.match(await sink.push(collection, entries, never), {
      unchanged: 299,
      later: [{ entry: { value: 'host-3.example' }, isBusy: true }],
    });
  }
  for (const [status, type] of [
    [403, 'cluster_block_exception'],
    [429, 'cluster_block_exception'],
    [403, 'security_exception'],
    [404, 'index_not_found_exception'],
  ] as const) {
    fail(status, type);
    await t.rejects(sink.push(collection, entries, never), { code: 'sink-refused' }, `${type} blames no document`);
  }
});

t.test('a body that is too large for the cluster is halved; one document that is, is refused', async (t) => {
  const { server, sink } = await openElastic(t, { flush_bytes: 50_000_000, concurrency: 1 });
  server.maxBytes = 20_000;
  const long = entryOf(1000, { description: 'x'.repeat(50_000) });
  const report = await sink.push(collection, [...entries, long], never);
  t.match(report, { written: 300, refused: [{ entry: { value: 'host-1000.example' } }] });
});

t.test('one media type for clusters 8 and 9, and bodies of bounded size', async (t) => {
  const { server, sink } = await openElastic(t);
  await sink.push(collection, entries, never);
  for (const { headers, body, query } of server.requests) {
    t.match(headers['content-type'], /compatible-with=8/);
    t.ok(Buffer.byteLength(body) <= 110_000);
    t.equal(query.get('require_alias'), 'true', 'no index of its own kind is made');
  }
  t.ok(server.requests.length > 3);
});

t.test('options that contradict each other are refused', async (t) => {
  const key = new Secret('k');
  const bad: [object, RegExp][] = [
    [{}, /either node or cloud_id/],
    [{ node: 'http://es.example:9200', api_key: key }, /in the clear/],
    [{ node: 'https://es.example', api_key: key, username: 'a', password: key }, /not both/],
    [{ node: 'https://es.example', username: 'a' }, /go together/],
    [{ node: 'http://127.0.0.1:9200', ca_fingerprint: 'ab'.repeat(32) }, /need https/],
    [{ cloud_id: 'nonsense', api_key: key }, /cloud_id/],
    [{ node: 'https://es.example', api_key: key, ca: new Secret('junk') }, /ca holds no PEM certificate/],
    [{ cloud_id: `x:${btoa('eu.example$es1$kb1')}` }, /needs api_key/],
  ];
  for (const [options, message] of bad) {
    t.throws(() => sinkKinds.elasticsearch.check({ ...defaults, ...options } as never), { message }, String(message));
  }
  const good = { ...defaults, cloud_id: `x:${btoa('eu.example$es1$kb1')}`, api_key: key };
  t.doesNotThrow(() => sinkKinds.elasticsearch.check(good as never));
  await openSink(sinkKinds.elasticsearch, good, '.').close();
});

t.test('setup asks for what the target needs, and never for less than it shows', async (t) => {
  for (const target of ['latest', 'stream', 'compat']) {
    const { server, sink } = await openElastic(t, { target });
    const steps = sink.setup().filter((step) => step.byHand !== true);
    for (const step of steps) await sink.install(step, never);
    t.same(
      server.requests.map(({ method, path, body }) => ({ method, path, body })),
      steps.map(({ method, path, body }) => ({ method, path, body })),
    );
    for (const { path, body } of steps.filter((step) => step.path.startsWith('/_index_template/'))) {
      t.ok(Number(body['priority']) >= 500, `${path} stands above Elastic's own`);
      t.equal('data_stream' in body, target !== 'latest' && !path.includes('latest'), path);
    }
  }
});

t.test('file: half a line that a crash left is ended before the next line', async (t) => {
  const path = t.testdir();
  const target = join(path, 'all.ndjson');
  writeFileSync(target, '{"half":');
  const sink = openSink(sinkKinds.file, { path, format: 'stix', max_bytes: 1e8, max_files: 3 }, '.');
  await sink.push(collection, [entryOf(1), entryOf(2)], never);
  await sink.close();
  const [half, ...lines] = readFileSync(target, 'utf8').trimEnd().split('\n');
  t.equal(half, '{"half":');
  t.same(
    lines.map((line) => JSON.parse(line).type),
    ['indicator', 'indicator'],
  );
});

t.test('file: size and number of files are bounded, and no line is cut', async (t) => {
  const path = t.testdir();
  const sink = openSink(sinkKinds.file, { path, format: 'ecs', max_bytes: 20_000, max_files: 3 }, '.');
  for (let n = 0; n < 30; n += 1)
    await sink.push(collection, [entryOf(n * 3), entryOf(n * 3 + 1), entryOf(n * 3 + 2)], never);
  await sink.close();
  const names = readdirSync(path).sort();
  t.same(names, ['all.ndjson', 'all.ndjson.1', 'all.ndjson.2', 'all.ndjson.3']);
  for (const name of names) {
    t.ok(statSync(join(path, name)).size < 30_000, name);
    for (const line of readFileSync(join(path, name), 'utf8').split('\n').filter(Boolean)) {
      t.equal(JSON.parse(line).event.kind, 'enrichment');
    }
  }
});

t.test('file: after a full disk writing goes on by itself, without half a line', async (t) => {
  const disk = mountDisk(t, '64k');
  if (disk === null) return void t.pass('a small disk', { skip: 'only root on Linux can mount a small disk' });
  const options = { path: disk.path, format: 'stix', max_bytes: 1e8, max_files: 3 };
  const sink = openSink(sinkKinds.file, options, '.');
  const lines = (): string[] => readFileSync(join(disk.path, 'all.ndjson'), 'utf8').trimEnd().split('\n');
  await sink.push(collection, entries.slice(0, 20), never);
  t.equal(lines().length, 20);
  await t.rejects(sink.push(collection, entries, never), { code: 'sink-unavailable', message: /ENOSPC/ });
  t.equal(lines().length, 20, 'none of what did not fit');
  disk.resize('10m');
  await sink.push(collection, entries, never);
  t.equal(lines().length, 320);
  for (const line of lines()) t.equal(JSON.parse(line).type, 'indicator');
  await sink.close();
});

t.test(
  'file: what was acknowledged was synced under the name that it was written to, and so was the rotation',
  async (t) => {
    const path = t.testdir();
    const file = { directory: path, name: 'all.ndjson', maxBytes: 100, maxFiles: 2 };
    const seen: string[] = [];
    // Each handle tells what file it stands for at the moment when it is synced.
    const probe = await open(join(path, 'probe'), 'a');
    const prototype = Object.getPrototypeOf(probe);
    await probe.close();
    const { sync } = prototype;
    prototype.sync = async function (this: { fd: number }) {
      seen.push(basename(readlinkSync(`/proc/self/fd/${this.fd}`)));
      return sync.call(this);
    };
    t.teardown(() => Object.assign(prototype, { sync }));
    const here = basename(path);
    for (const n of [1, 2, 3, 4]) await appendLines(file, `${String(n).repeat(59)}\n`);
    t.same(seen, [
      ...['all.ndjson', here],
      // The directory once for the rotation, once for the new file.
      ...[here, 'all.ndjson', here],
      ...[here, 'all.ndjson', here],
      ...[here, 'all.ndjson', here],
    ]);
    const first = (name: string): string => readFileSync(join(path, name), 'utf8').slice(0, 1);
    t.same(['all.ndjson', 'all.ndjson.1', 'all.ndjson.2'].map(first), ['4', '3', '2']);
    rmSync(join(path, 'all.ndjson.1'));
    await appendLines(file, `${'5'.repeat(59)}\n`);
    t.same(['all.ndjson', 'all.ndjson.1', 'all.ndjson.2'].map(first), ['5', '4', '2'], 'a gap loses nothing');
  },
);

t.test('a dry run needs no key: it tells how to make one', async (t) => {
  const yaml = `
feeds: { drop: { format: stix, path: . } }
pools: { main: { feeds: [drop] } }
collections: { all: { pool: main } }
sinks: { siem: { type: elasticsearch, node: "https://es.example:9200", api_key: { env: ES_API_KEY, optional: true }, collections: [all] } }
`;
  const { side } = await openGateway(t, t.testdir(), yaml);
  t.match((await side.status()).sinks, [{ name: 'siem', idle: 'no-key' }]);
  const shown = await side.setUpSink('siem', true);
  t.ok(shown.length > 3);
  t.ok(shown.every(({ outcome }) => outcome === null));
  t.match(shown.at(-1), { method: 'POST', path: '/_security/api_key', body: { name: 'sluice' } });
  await t.rejects(side.setUpSink('siem', false), { code: 'not-found' });
});
