// slow (29 s): gateways in processes of their own, and all that they write
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { connectControl } from '../../src/control/socket.ts';
import { systemClock } from '../../src/model/clock.ts';
import { formatMillis } from '../../src/model/timestamp.ts';
import { fullRow, startUpstream } from '../helpers/upstream.ts';

t.setTimeout(900_000);

const SERVE = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
/** Planted as the key of a feed, of a list and of the proxy; never one that could stand anywhere by chance. The reader's joins. */
const CANARIES = ['cAnArYsocdefenders0123456789', 'cAnArYlist9876543210abcdef', 'cAnArYproxypassword55555'];

/** Every form in which a text may travel on: plain, escaped, in hex, and in base64 wherever in it it begins. */
function formsOf(canary: string): string[] {
  const base64 = ['', 'x', 'xx'].map((before) => Buffer.from(`${before}${canary}`).toString('base64').slice(4, -4));
  return [canary, canary.toLowerCase(), canary.toUpperCase(), Buffer.from(canary).toString('hex'), ...base64];
}

function find(what: string, content: string): string[] {
  return CANARIES.flatMap((canary, i) =>
    formsOf(canary)
      .filter((form) => content.includes(form))
      .map((form) => `${what} holds canary ${i} as ${form}`),
  );
}

const time = '2026-01-01T00:00:00.000Z';
const listed = {
  type: 'indicator',
  spec_version: '2.1',
  id: 'indicator--00000000-0000-4000-8000-000000000001',
  created: time,
  modified: time,
  pattern: "[domain-name:value = 'listed.example.com']",
  pattern_type: 'stix',
  valid_from: time,
};

/** An upstream that gives away every key it is shown, in every place that somebody might write down. */
const gossips: ((key: string, request: IncomingMessage, reply: ServerResponse) => void)[] = [
  (key, _, reply) => reply.writeHead(401, { 'x-key': key, 'www-authenticate': key }).end(`{"error":{"code":"${key}"}}`),
  (key, _, reply) => reply.writeHead(403).end(key),
  (key, _, reply) => reply.writeHead(404).end(key),
  (key, _, reply) => reply.writeHead(500, { server: key }).end(key),
  (key, _, reply) => reply.writeHead(200).end(`<html>${key}</html>`),
  (key, _, reply) => reply.writeHead(200, { 'content-type': 'application/json' }).end(`{"data":"${key}`),
  (key, _, reply) => reply.writeHead(200).end(JSON.stringify({ error: key })),
  // Here a row that is refused is kept with its text; the pull as a whole is good.
  (key, _, reply) => reply.writeHead(200).end(`${JSON.stringify(listed)}\nno JSON but ${key}\n`),
  (key, _, reply) => reply.writeHead(302, { location: `http://elsewhere.example/${key}` }).end(),
  (key, _, reply) => reply.writeHead(302, { location: `http://${key}@127.0.0.1/` }).end(),
  (key, _, reply) => reply.writeHead(302, { location: `http://${key}.example/` }).end(),
  (key, _, reply) => reply.writeHead(200, { 'content-encoding': key }).end('x'),
  (_, request) => void request.socket.destroy(),
  (key, request, reply) => {
    reply.writeHead(200, { 'content-length': 10_000 });
    reply.write(key, () => request.socket.destroy());
  },
  // The last: nothing is asked after it.
  (key, _, reply) => reply.writeHead(429, { 'retry-after': '86400', 'x-ratelimit-limit': key }).end(key),
];

async function startGossip(t: Test) {
  let next = 0;
  const server = createServer((request, reply) => {
    const key = request.headers.authorization?.replace(/^Bearer /, '') ?? 'no key came';
    const gossip = gossips[next];
    next += 1;
    if (gossip !== undefined) return gossip(key, request, reply);
    reply.end(
      JSON.stringify({ type: 'bundle', id: 'bundle--00000000-0000-4000-8000-000000000001', objects: [listed] }),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, count: () => next };
}

t.test('no key reaches a store file, a log, a status, an error, a STIX object or an answer', async (t) => {
  const [socKey = '', listKey = '', proxyPassword = ''] = CANARIES;
  const gossip = await startGossip(t);
  const soc = await startUpstream(t, { key: socKey });
  const now = systemClock.now();
  soc.rows = [fullRow(1, now - 60_000_000), { updated: now - 60_000_000, row: { type: 'ipv4', value: 'no address' } }];
  soc.faults = [
    'html',
    (request, reply) =>
      reply.writeHead(401).end(`{"error":{"code":"expired_api_key","message":"${request.headers.authorization}"}}`),
  ];
  const dir = t.testdir();
  const config = join(dir, 'sluice.yaml');
  // Odd paces, so that no feed comes back by itself while the test looks.
  writeFileSync(
    config,
    `
listen: { port: 0 }
data: ./data
log: { level: trace }
feeds:
  soc: { preset: socdefenders, plan: pro, url: "${soc.url}", key: { env: SOC_KEY }, internal: true, every: 1h }
  list: { format: stix, url: "${gossip.url}/list", key: { env: LIST_KEY }, internal: true, every: 1h }
  proxied: { format: stix, url: "http://feed.invalid/list", key: { env: LIST_KEY }, proxy: { env: PROXY }, every: 1h }
pools: { main: { feeds: [soc, list, proxied] } }
collections: { all: { pool: main, title: All } }
`,
  );
  const env = {
    ...process.env,
    SOC_KEY: socKey,
    LIST_KEY: listKey,
    PROXY: `http://user:${proxyPassword}@127.0.0.1:1`,
  };
  const child = spawn(process.execPath, [SERVE, 'serve', '--config', config], { env, cwd: dir });
  const said: string[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => said.push(String(chunk)));
  t.teardown(() => void child.kill('SIGKILL'));
  const closed = once(child, 'close');
  const found: string[] = [];
  const told: string[] = [];
  const look = (what: string, content: string): void => {
    told.push(what);
    found.push(...find(what, content));
  };

  while (!/listening on (\S+)/.test(said.join(''))) {
    if (child.exitCode !== null) throw new Error(said.join(''));
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const base = /listening on (\S+)/.exec(said.join(''))?.[1] ?? '';
  const control = await connectControl(join(dir, 'data', 'sluice.sock'));
  if (control === null) throw new Error('no server');
  t.teardown(() => control.close());
  const reports = new Map<string, number>();
  const pollAll = async (): Promise<void> => {
    for (const feed of ['soc', 'list', 'proxied']) {
      const report = await control.poll(feed);
      reports.set(report.outcome, (reports.get(report.outcome) ?? 0) + 1);
      look(`a poll of ${feed}`, JSON.stringify(report));
    }
    look('the status', JSON.stringify(await control.status()));
  };
  // Each failure is told on its own; what asks to wait ends the round, for real time passes here.
  for (let round = 0; round < 12; round += 1) await pollAll();
  t.ok(gossip.count() >= gossips.length - 2, `${gossip.count()} answers gave the key away`);
  t.ok((reports.get('failed') ?? 0) >= 12 && (reports.get('whole') ?? 0) >= 1);
  for (const feed of ['soc', 'list', 'proxied'])
    look('rejections', JSON.stringify(await control.rejections(feed, 1000)));

  const key = readFileSync(join(dir, 'data', 'initial.key'), 'utf8').trim();
  CANARIES.push(key);
  const paths = [
    '/taxii2/',
    '/api/taxii2/api/',
    '/api/taxii2/api/collections/',
    '/api/taxii2/api/collections/all/objects/',
    '/api/taxii2/api/collections/all/manifest/',
    '/api/v1/iocs?collection=all',
    '/api/v1/feeds',
    '/metrics',
    '/healthz',
    '/readyz',
    '/nothing',
    '/docs/json',
    '/api/v1/lookup?ioc=host-1.example.com',
    `/api/v1/iocs?since=${formatMillis(now)}&collection=none`,
    // Where clients put their key by mistake.
    `/api/v1/iocs?api_key=${key}`,
    `/api/v1/iocs?limit=${key}`,
    `/api/taxii2/api/collections/all/objects/?next=${key}`,
    `/api/taxii2/api/collections/${key}/objects/`,
    `/${key}/%ff`,
  ];
  let objects = '';
  for (const path of paths) {
    const reply = await fetch(`${base}${path}`, { headers: { authorization: `Bearer ${key}` } });
    const text = await reply.text();
    if (path.includes('/objects/')) objects ||= text;
    look(`${path} (${reply.status})`, JSON.stringify([...reply.headers]) + text);
  }
  for (const headers of [
    { authorization: `Basic ${btoa(`${key}:x`)}` },
    { authorization: key },
    { 'x-api-key': `${key}x` },
  ]) {
    const reply = await fetch(`${base}/api/v1/iocs`, { headers });
    look(`a key in the wrong place (${reply.status})`, JSON.stringify([...reply.headers]) + (await reply.text()));
  }
  t.match(objects, /host-1\.example\.com/, 'there were objects to look at');

  // With the write-ahead log still there, and once more after it was folded in.
  const lookAtFiles = (): void => {
    for (const name of readdirSync(dir, { recursive: true }) as string[]) {
      const path = join(dir, name);
      if (statSync(path).isFile() && !name.endsWith('initial.key'))
        look(`the file ${name}`, readFileSync(path, 'latin1'));
    }
  };
  lookAtFiles();
  child.kill('SIGTERM');
  await closed;
  lookAtFiles();
  look('standard output and error', said.join(''));
  t.match(said.join(''), /"level":40,[^\n]*"feed":"list",[^\n]*"msg":"feed list: /, 'each failure is in the log');
  t.match(said.join(''), /"level":30,[^\n]*"feed":"soc",[^\n]*"msg":"feed soc was polled"/, 'and what came in');
  t.ok(
    told.some((what) => /the file data.*(?:db|sqlite)/.test(what)),
    'the store was looked at',
  );
  t.strictSame([...new Set(found)], []);
  t.same(find('itself', `a ${Buffer.from(`user:${proxyPassword}`).toString('base64')} b`).length, 1, 'it can be found');
});
