import t from 'tap';
import { Secret } from '../../src/model/secret.ts';
import { sinkKinds } from '../../src/sinks/registry.ts';
import { collection, entryOf, openSink } from '../contracts/sink.contract.ts';
import { startElasticsearch } from '../helpers/elasticsearch.ts';

const never = new AbortController().signal;
const options = {
  stream: 'indicator',
  namespace: 'default',
  ioc_expiration_duration: 90 * 86_400_000,
  flush_bytes: 1_000_000,
  concurrency: 1,
  timeout: 30_000,
};

t.test('with security on, the role that setup shows is enough, and no more than that', async (t) => {
  const roleOf = (target: 'latest' | 'stream') => {
    const shown = openSink(sinkKinds.elasticsearch, { ...options, target, node: 'http://127.0.0.1:9' }, '.');
    return shown.setup().find(({ path }) => path.startsWith('/_security/role/'))?.body ?? {};
  };
  const users = {
    latest: { password: 'canary-password', role: roleOf('latest') },
    stream: { password: 'canary-password', role: roleOf('stream') },
  };
  const node = await startElasticsearch(t, '9.5.3', { users });
  if (node === null) return;
  for (const target of ['latest', 'stream'] as const) {
    const as = (username: string, password: string) => {
      const given = { ...options, target, node: node.url, username, password: new Secret(password) };
      const sink = openSink(sinkKinds.elasticsearch, given, '.');
      t.teardown(() => sink.close());
      return sink;
    };
    const admin = as('elastic', node.password ?? '');
    for (const step of admin.setup().filter(({ byHand }) => byHand !== true)) await admin.install(step, never);
    const sink = as(target, 'canary-password');
    t.match(await sink.push(collection, [entryOf(1), entryOf(2)], never), { written: 2, refused: [] }, target);
    t.match(await sink.push(collection, [entryOf(1), entryOf(2)], never, true), { unchanged: 2 });
    if (target === 'latest') t.equal(await sink.sweep(collection, async () => new Set(), never), 2);
    const [step] = sink.setup();
    if (step !== undefined) await t.rejects(sink.install(step, never), { code: 'sink-refused' }, 'it sets nothing up');
    const wrong: any = await as(target, 'canary-other')
      .push(collection, [entryOf(1)], never)
      .catch((error) => error);
    t.equal(wrong.code, 'sink-refused');
    t.notMatch(`${wrong.message} ${JSON.stringify(wrong)}`, /canary/, 'and tells no secret');
  }
});
