// slow (30 s): walks by OASIS' client and by Elastic's programs
import { hash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { systemClock } from '../../src/model/clock.ts';
import { collectionIdOf } from '../../src/stix/id.ts';
import { makeCertificates } from '../helpers/certificates.ts';
import { ElasticAgent } from '../helpers/elastic.ts';
import { openGateway, readAll, type TestGateway } from '../helpers/gateway.ts';
import { runPython } from '../helpers/python.ts';

t.setTimeout(600_000);

/** Every client of the field reads two collections of 35,000 indicators to their end, each at the rate that a new client has. */
const ROWS = 35_000;
const RATE = { max: 600, per: 60_000 };
const script = new URL('./walks.py', import.meta.url);

const patternOf = {
  addresses: (n: number) => `[ipv4-addr:value = '198.${18 + (n >> 16)}.${(n >> 8) & 255}.${n & 255}']`,
  names: (n: number) => `[domain-name:value = 'h${n}.example']`,
};
const pools = ['addresses', 'names'] as const;

async function open(t: Test, rows: number, listen = '{ port: 8080 }', dir = t.testdir()): Promise<TestGateway> {
  for (const pool of pools) {
    mkdirSync(join(dir, pool), { recursive: true });
    const lines = Array.from({ length: rows }, (_, n) =>
      JSON.stringify({
        type: 'indicator',
        spec_version: '2.1',
        id: `indicator--0000000${pools.indexOf(pool)}-0000-4000-8000-${String(n).padStart(12, '0')}`,
        created: '2025-12-01T00:00:00.000Z',
        modified: '2025-12-01T00:00:00.000Z',
        valid_from: '2025-12-01T00:00:00.000Z',
        pattern_type: 'stix',
        pattern: patternOf[pool](n),
      }),
    );
    writeFileSync(join(dir, pool, 'rows.ndjson'), lines.join('\n'));
  }
  const gateway = await openGateway(
    t,
    dir,
    `
listen: ${listen}
data: ./data
feeds:
  addresses: { format: stix, path: ./addresses, tlp: green, lifetime: 3650d }
  names: { format: stix, path: ./names, tlp: green, lifetime: 3650d }
pools: { addresses: { feeds: [addresses] }, names: { feeds: [names] } }
collections:
  addresses: { pool: addresses }
  names: { pool: names }
  all-addresses: { pool: addresses, page_size: 50000 }
  all-names: { pool: names, page_size: 50000 }
`,
  );
  for (const pool of pools) t.match(await gateway.side.poll(pool), { outcome: 'whole', accepted: rows });
  return gateway;
}

/** How many, and a hash of their ids: what walks.py tells. */
function tell(objects: { id?: unknown }[]): [number, string] {
  const ids = objects.map(({ id }) => String(id)).sort();
  return [ids.length, hash('sha256', ids.join('\n'))];
}

async function newClient({ side }: TestGateway, name: string): Promise<string> {
  const { key } = await side.addClient({ name, collections: null, tlp: 'amber', rate: RATE });
  return key as string;
}

t.test('each client walks 70,000 objects of two collections without loss, at the rate of a new client', async (t) => {
  const gateway = await open(t, ROWS);
  const base = await gateway.listen();
  const expected = [];
  for (const pool of pools) expected.push(tell(await readAll(gateway, pool, 'limit=5000&')));
  t.ok(
    expected.every(([count]) => count > ROWS),
    'with who issued them, and their marking',
  );

  for (const how of [
    'by_discovery',
    'by_hundreds',
    'by_alias',
    'by_manifest',
    'stix2_source',
    'cyware',
    'opencti',
    'one_page',
  ]) {
    const aliases = how === 'one_page' ? pools.map((pool) => `all-${pool}`) : pools;
    const key = await newClient(gateway, how);
    const result = await runPython(t, script, [how, base, key, ...aliases.map(collectionIdOf), ...aliases]);
    if (result === null) break;
    t.equal(result.code, 0, `${how}: ${result.stderr.slice(-1000)}`);
    if (result.code === 0) t.strictSame(JSON.parse(result.stdout), expected, how);
  }

  for (const besideNext of ['nothing', 'added_after', 'moving added_after'] as const) {
    const authorization = `Bearer ${await newClient(gateway, besideNext.replace(' ', '-'))}`;
    const found = [];
    for (const pool of pools) {
      const agent = new ElasticAgent({
        url: `${base}/api/taxii2/api/collections/${pool}/objects`,
        now: () => systemClock.now(),
        initialInterval: 86_400_000_000,
        limit: 100,
        besideNext,
        headers: { authorization },
      });
      const run = await agent.poll();
      t.equal(run.error, null);
      found.push(tell(run.objects));
    }
    t.strictSame(found, expected, `an Elastic Agent that sends ${besideNext} beside next`);
  }

  const authorization = `Bearer ${await newClient(gateway, 'by-date')}`;
  const dated = [];
  for (const pool of pools) {
    const objects: { id: string }[] = [];
    for (let after = ''; ; ) {
      const url = `${base}/api/taxii2/api/collections/${pool}/objects/?limit=100${after}`;
      const reply = await fetch(url, { headers: { authorization } });
      const page = (await reply.json()) as { more: boolean; objects: { id: string }[] };
      if (reply.status !== 200) throw new Error(`${reply.status} ${JSON.stringify(page)}`);
      objects.push(...page.objects);
      if (!page.more) break;
      after = `&added_after=${reply.headers.get('x-taxii-date-added-last')}`;
    }
    dated.push(tell(objects));
  }
  t.strictSame(dated, expected, 'by added_after alone');
});

t.test('cytaxii2 finds its way over TLS, from discovery to the last page', async (t) => {
  const dir = t.testdir();
  if (makeCertificates(t, dir) === null) return;
  const tls = '{ port: 8443, tls: { cert: { file: ./server.crt }, key: { file: ./server.key } } }';
  const gateway = await open(t, 1500, tls, dir);
  const args = ['cyware', await gateway.listen(), gateway.key, ...pools.map(collectionIdOf), ...pools];
  const result = await runPython(t, script, args, '', { REQUESTS_CA_BUNDLE: join(dir, 'ca.crt') });
  if (result === null) return;
  t.equal(result.code, 0, result.stderr.slice(-1000));
  const expected = [];
  for (const pool of pools) expected.push(tell(await readAll(gateway, pool)));
  t.strictSame(JSON.parse(result.stdout), expected);
});
