import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import { ecsDestination } from '../../../src/ecs/data-stream.ts';
import { Secret } from '../../../src/model/secret.ts';
import { sinkKinds } from '../../../src/sinks/registry.ts';
import { collection, entryOf, openSink } from '../../contracts/sink.contract.ts';
import { administrator, type ElasticsearchNode } from '../../helpers/elasticsearch.ts';
import { addresses, few, held, liveIn, openPushing, sinkOf } from '../../helpers/pushing.ts';

const never = new AbortController().signal;
const TARGETS = ['latest', 'stream', 'compat'] as const;
const PASSWORD = 'canary-password';

const sinkFor = (target: (typeof TARGETS)[number], node: string, credentials: object = {}) =>
  openSink(
    sinkKinds.elasticsearch,
    {
      ...{ node, target, stream: 'roles', namespace: 'default', ioc_expiration_duration: 90 * 86_400_000 },
      ...{ flush_bytes: 1_000_000, concurrency: 1, timeout: 30_000, ...credentials },
    },
    '.',
  );

/**
 * The gateway is killed in mid-push, then the node, which comes back with security on: in the end `latest` holds the live set.
 */
export async function proveOutage(t: Test, node: ElasticsearchNode): Promise<void> {
  const { index } = ecsDestination({ target: 'latest', stream: 'outage' });
  const common = 'collections: [ips], stream: outage, flush_bytes: 400000, concurrency: 2';
  const filling = await openPushing(t, node, sinkOf('siem', common));
  await filling.side.setUpSink('siem', false);
  await filling.write(addresses(12_000));
  await filling.close();
  const indexed = async (least: number, isPushing = () => true): Promise<number> => {
    for (;;) {
      if (!isPushing()) throw new Error('the push ended before it was killed');
      const { body } = await node.ask('GET', `/${index}/_stats/indexing`);
      const total = body._all.primaries.indexing.index_total;
      if (total > least) return total;
    }
  };
  const script = fileURLToPath(new URL('killed.ts', import.meta.url));
  const child = spawn(process.execPath, [script, filling.dir, node.url, sinkOf('siem', common)], { stdio: 'inherit' });
  const gone = once(child, 'exit');
  const before = await indexed(1000, () => child.exitCode === null);
  child.kill('SIGKILL');
  t.same(await gone, [null, 'SIGKILL'], 'the gateway is killed in mid-push');

  const first = await openPushing(t, node, sinkOf('siem', common), { dir: filling.dir, clock: filling.clock });
  let isPushing = true;
  const pushing = first.side
    .deliver('siem')
    .then(
      () => 'delivered',
      (error) => error.code,
    )
    .finally(() => {
      isPushing = false;
    });
  await indexed(before + 1000, () => isPushing);
  await node.kill();
  t.equal(await pushing, 'sink-unavailable', 'and so is the node');
  await t.rejects(first.side.deliver('siem'), { code: 'sink-unavailable' }, 'and down');
  t.match((await first.side.status()).sinks, [{ failures: 2, failed: 0, error: { code: 'sink-unavailable' } }]);
  // Half are withdrawn and some come new while it is down, and the gateway starts anew as well.
  await first.write([...addresses(12_000).slice(6000), ...few]);
  await first.close();

  const roleOf = (target: (typeof TARGETS)[number]) =>
    sinkFor(target, 'http://127.0.0.1:9')
      .setup()
      .find(({ path }) => path.startsWith('/_security/role/'))?.body ?? {};
  const users = TARGETS.map((target) => [target, { password: PASSWORD, role: roleOf(target) }] as const);
  await node.restart(Object.fromEntries(users));
  const locked = await openPushing(t, node, sinkOf('siem', common), { dir: first.dir, clock: first.clock });
  await t.rejects(
    locked.side.deliver('siem'),
    { code: 'sink-refused', message: /credentials/ },
    'told, and nothing lost',
  );
  t.match((await locked.side.status()).sinks, [{ failed: 0 }]);
  await locked.side.close();
  const login = `${common}, username: ${administrator.username}, password: { env: ES_PASSWORD }`;
  const options = { dir: first.dir, clock: first.clock, env: { ES_PASSWORD: administrator.password } };
  const second = await openPushing(t, node, sinkOf('siem', login), options);
  await second.side.deliver('siem');
  t.same(await held(node, 'outage', 'ips'), await liveIn(second, 'ips'));
  t.equal((await held(node, 'outage', 'ips')).length, 6002);
}

/** With the roles that setup shows each sink can do its work, and no more than that. */
export async function proveRoles(t: Test, node: ElasticsearchNode): Promise<void> {
  for (const target of TARGETS) {
    const as = (username: string, password: string) => {
      const sink = sinkFor(target, node.url, { username, password: new Secret(password) });
      t.teardown(() => sink.close());
      return sink;
    };
    const admin = as(administrator.username, administrator.password);
    for (const step of admin.setup().filter(({ byHand }) => byHand !== true)) await admin.install(step, never);
    const sink = as(target, PASSWORD);
    const entries = [entryOf(1), entryOf(2)];
    t.match(await sink.push(collection, entries, never), { written: 2, refused: [] }, target);
    // What latest is given anew is written anew; what keeps versions has them.
    t.match(await sink.push(collection, entries, never, true), target === 'latest' ? { written: 2 } : { unchanged: 2 });
    if (target === 'latest') t.equal(await sink.sweep(collection, async () => new Set(), never), 2);
    const [step] = sink.setup();
    if (step !== undefined) await t.rejects(sink.install(step, never), { code: 'sink-refused' }, 'it sets nothing up');
    const wrong: any = await as(target, 'canary-other')
      .push(collection, [entryOf(1)], never)
      .catch((error) => error);
    t.equal(wrong.code, 'sink-refused');
    t.notMatch(`${wrong.message} ${JSON.stringify(wrong)}`, /canary/, 'and tells no secret');
  }
}
