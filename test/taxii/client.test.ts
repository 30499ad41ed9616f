// slow (15 s): OASIS' TAXII client reads over TLS, and its validator judges all that is served
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { makeCertificates } from '../helpers/certificates.ts';
import { openGateway, readAll } from '../helpers/gateway.ts';
import { stixIndicator } from '../helpers/indicator.ts';
import { judgeStix } from '../helpers/judge-stix.ts';
import { runPython } from '../helpers/python.ts';

const walk = new URL('./walk.py', import.meta.url);

const indicator = (n: number, confidence = 50) =>
  stixIndicator(n, `[ipv4-addr:value = '198.${18 + (n >> 16)}.${(n >> 8) & 255}.${n & 255}']`, { confidence });

/** Files of STIX lines that the delta feed reads; what is written later comes on top. */
function writeRows(dir: string, name: string, rows: unknown[]): void {
  writeFileSync(join(dir, 'rows', name), rows.map((row) => JSON.stringify(row)).join('\n'));
}

async function open(t: Test, count: number, tls: boolean) {
  const dir = t.testdir({ rows: {} });
  const certificates = tls ? makeCertificates(t, dir) : null;
  if (tls && certificates === null) return null;
  mkdirSync(join(dir, 'rows'), { recursive: true });
  const yaml = `
listen: { host: 127.0.0.1, port: 8080${tls ? ', tls: { cert: { file: ./server.crt }, key: { file: ./server.key } }' : ''} }
data: ./data
feeds: { rows: { format: stix, path: ./rows, tlp: green } }
pools: { main: { feeds: [rows] } }
collections: { all: { pool: main, title: all } }
`;
  writeRows(
    dir,
    'a.ndjson',
    Array.from({ length: count }, (_, n) => indicator(n)),
  );
  const gateway = await openGateway(t, dir, yaml);
  const report = await gateway.side.poll('rows');
  t.match(report, { outcome: 'whole', accepted: count, entries: count });
  return { dir, gateway, base: await gateway.listen(), ca: certificates === null ? null : join(dir, 'ca.crt') };
}

interface Report {
  [mode: string]: any;
}

async function run(t: Test, base: string, key: string, ca: string | null, modes: string[]): Promise<Report | null> {
  const env: Record<string, string> = ca === null ? {} : { REQUESTS_CA_BUNDLE: ca };
  const result = await runPython(t, walk, [base, key, 'all', ...modes], '', env);
  if (result === null) return null;
  t.equal(result.code, 0, result.stderr.slice(-2000));
  return JSON.parse(result.stdout) as Report;
}

t.test(
  'over TLS, while a poll adds and changes objects, the OASIS client loses nothing and sees nothing twice',
  async (t) => {
    const opened = await open(t, 10_000, true);
    if (opened === null) return;
    const { gateway, base, ca, dir } = opened;
    const before = (await readAll(gateway, 'all')).map((o) => o['id'] as string);

    let walking = true;
    const polling = (async () => {
      for (let round = 1; walking && round <= 12; round += 1) {
        const changed = Array.from({ length: 50 }, (_, n) => indicator(n * 150 + round, 50 + round));
        const added = Array.from({ length: 50 }, (_, n) => indicator(20_000 + round * 50 + n));
        writeRows(dir, `b${round}.ndjson`, [...changed, ...added]);
        const report = await gateway.side.poll('rows');
        t.equal(report.outcome, 'whole', `poll ${round}`);
      }
    })();
    const report = await run(t, base, gateway.key, ca, [
      'next:7',
      'next:1000',
      'added_after:7',
      'added_after:1000',
      'manifest:1000',
    ]);
    walking = false;
    await polling;
    if (report === null) return;
    t.match(report, { title: String, collections: 1 });
    for (const mode of ['next:7', 'next:1000', 'added_after:7', 'added_after:1000', 'manifest:1000']) {
      const versions = (report[mode] as [string, string][]).map((version) => version.join(' '));
      t.equal(new Set(versions).size, versions.length, `${mode}: no version came twice`);
      const ids = new Set((report[mode] as [string, string][]).map(([id]) => id));
      t.same(
        before.filter((id) => !ids.has(id)),
        [],
        `${mode}: nothing that stood there was missed`,
      );
    }
    t.equal(report['object'], 1);
    t.equal(report['versions'], 1);
    t.equal(report['iocs'].length, 1000);
    t.match(report['iocs'][0], ['ipv4', /^198\.18\./, 'medium', String]);
  },
);

t.test('a limit of 1 walks 2,000 objects', async (t) => {
  const opened = await open(t, 2000, false);
  if (opened === null) return;
  const report = await run(t, opened.base, opened.gateway.key, null, ['next:1']);
  if (report === null) return;
  const ids = (report['next:1'] as [string, string][]).map(([id]) => id);
  t.equal(ids.length, new Set(ids).size);
  t.equal(ids.filter((id) => id.startsWith('indicator--')).length, 2000);
});

t.test('the OASIS validator passes every object of a 10,000-object collection', { timeout: 900_000 }, async (t) => {
  const opened = await open(t, 10_000, false);
  if (opened === null) return;
  const objects = await readAll(opened.gateway, 'all', 'limit=5000');
  t.ok(objects.length > 10_000);
  const findings = await judgeStix(
    t,
    objects.map((object) => JSON.stringify(object)),
  );
  if (findings === null) return;
  t.equal(findings.filter(({ errors, parse }) => errors.length > 0 || parse !== null).length, 0);
});
