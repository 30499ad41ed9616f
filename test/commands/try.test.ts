// slow (10 s): a process of its own
import { execFileSync } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { runCommand } from '../../src/commands/program.ts';
import * as gateway from '../../src/gateway.ts';
import { systemClock } from '../../src/model/clock.ts';
import { storeOf } from '../../src/store/registry.ts';
import { openBackend } from '../../src/writer/backend.ts';
import { BIN } from '../helpers/serve.ts';
import { recordingTerminal } from '../helpers/terminal.ts';

interface Served {
  url: string;
  requests: IncomingMessage[];
  answer: (request: IncomingMessage, reply: ServerResponse) => void;
}

/** An upstream on loopback that answers as the test says. */
async function serving(t: Test, answer: Served['answer']): Promise<Served> {
  const served: Served = { url: '', requests: [], answer };
  const server = createServer((request, reply) => {
    served.requests.push(request);
    served.answer(request, reply);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  served.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  return served;
}

/** Runs `sluice try` in this process, in the directory of the test. */
async function run(args: string[]) {
  const ran = { code: -1, out: '', err: '' };
  const terminal = recordingTerminal(ran);
  ran.code = await runCommand(['try', ...args], { terminal, gateway });
  return ran;
}

function indicator(n: number, value = `host-${n}.example.com`) {
  const at = '2026-01-01T00:00:00.000Z';
  const id = `indicator--00000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`;
  const pattern = `[domain-name:value = '${value}']`;
  const common = { spec_version: '2.1', created: at, modified: at, valid_from: at, pattern_type: 'stix' };
  return { type: 'indicator', id, ...common, pattern };
}

function bundle(...objects: unknown[]): string {
  return JSON.stringify({ type: 'bundle', id: 'bundle--00000000-0000-4000-8000-000000000000', objects });
}

const json =
  (text: string, headers: Record<string, string> = {}): Served['answer'] =>
  (_request, reply) => {
    reply.writeHead(200, { 'content-type': 'application/stix+json', ...headers }).end(text);
  };

t.test('an address is read once, its rows and refusals are shown, and nothing is left behind', async (t) => {
  const many = Array.from({ length: 30 }, (_, n) => indicator(n));
  const upstream = await serving(t, json(bundle(...many, { type: 'indicator', id: 'broken' }), { etag: '"v1"' }));
  const directory = t.testdir();
  const shown = await run(['--format', 'stix', '--internal', `${upstream.url}/list`]);
  t.equal(shown.code, 0, shown.err);
  t.equal(upstream.requests.length, 1);
  t.match(shown.out, /answered 200, application\/stix\+json, ETag "v1"/);
  t.match(shown.out, 'rows 31, taken 30, refused 1');
  t.equal(shown.out.match(/^domain +host-/gm)?.length, 20, 'twenty rows');
  t.match(shown.out, /^bad-stix +1 +an indicator without a pattern/m);
  t.match(shown.out, 'The first pull would add 30.');
  t.match(shown.out, `feeds:\n  127-0-0-1:\n    format: stix\n    url: ${upstream.url}/list\n    internal: true\n`);
  t.strictSame(readdirSync(directory), []);

  const report = JSON.parse(
    (await run(['--json', '--rows', '2', '--format', 'stix', '--internal', `${upstream.url}/list`])).out,
  );
  t.equal(report.rows.length, 2);
  t.match(report.rows[0], { type: 'domain', tlp: 'amber', first_seen: '2026-01-01T00:00:00.000Z' });
  t.match(report, { outcome: 'whole', against: { held: 0, new: 30, changed: 0, gone: 0 }, yaml: /^feeds:/ });
});

t.test('what is tried next to no configuration says what is missing', async (t) => {
  const preset = await run(['socdefenders']);
  t.match(preset, { code: 2, err: /key is missing/ });
  t.match(await run(['no-such-thing']), { code: 1, err: /no feed of the configuration, no preset/ });
  const inside = await run(['--format', 'stix', 'http://127.0.0.1:9/x']);
  t.match(inside, { code: 1, err: /internal: true/ }, 'loopback is guarded here too');
  t.notOk(inside.out.includes('To use it'), 'what failed is not to be pasted');
});

t.test('no spelling of the key is shown, whatever the upstream says', async (t) => {
  const key = 'canary/0123456789abcdef';
  process.env['SLUICE_TEST_TRY_KEY'] = key;
  const broken = { type: 'indicator', id: 'broken', name: `your key is ${key}` };
  const upstream = await serving(t, json(bundle(indicator(1, `${key.slice(7)}.example.com`), broken)));
  const line = ['--format', 'stix', '--internal', '--key-env', 'SLUICE_TEST_TRY_KEY', `${upstream.url}/list`];
  const shown = await run([...line, '--header', 'X-Auth-Key']);
  t.equal(shown.code, 0, shown.err);
  t.equal(upstream.requests[0]?.headers['x-auth-key'], key);
  t.match(shown.out, /key:\n +env: SLUICE_TEST_TRY_KEY\n +header: X-Auth-Key\n/);
  upstream.answer = (_request, reply) => void reply.writeHead(200).end(`<html>${key}</html>`);
  const failed = await run(line);
  t.equal(failed.code, 1);
  t.match(failed.err, /\*{20}/, 'stars stand where it was');
  t.notOk(`${shown.out}${shown.err}${failed.out}${failed.err}`.includes(key));
});

t.test('a feed of the configuration is held against its store, of which only the account changes', async (t) => {
  const upstream = await serving(t, json(bundle(indicator(1), indicator(2), indicator(3)), { etag: '"v1"' }));
  const directory = t.testdir();
  const file = join(directory, 'sluice.yaml');
  const feed = `{ format: stix, url: "${upstream.url}/list", internal: true }`;
  const collections = 'pools: { main: { feeds: [lab] } }\ncollections: { all: { pool: main } }\n';
  writeFileSync(file, `feeds: { lab: ${feed} }\n${collections}log: { level: silent }\n`);
  const { config } = await gateway.loadConfigFile(file);

  const before = await run(['-c', file, 'lab']);
  t.match(before.out, 'The first pull would add 3.', 'without a store');
  t.strictSame(readdirSync(directory), ['sluice.yaml'], 'and none is made');

  const options = {
    clock: systemClock,
    onClients: () => undefined,
    onError: (error: unknown) => t.fail(String(error)),
  };
  const backend = await openBackend(config, options);
  await backend.reconcile();
  t.match(await backend.poll('lab'), { outcome: 'whole', accepted: 3 });
  const read = async () => {
    const reader = await storeOf(config).openReader();
    const [states, journals] = [await reader.feedStates(), await reader.journals()];
    const [rejections, accounts] = [await reader.rejections('lab', 10), await reader.accounts()];
    await reader.close();
    return { kept: { states, journals, rejections }, accounts };
  };
  const kept = await read();
  upstream.answer = json(bundle(indicator(2), indicator(3, 'moved.example.com'), indicator(4), { id: 'x' }));

  const report = await backend.tryFeed('lab', 20);
  t.match(report, { outcome: 'whole', read: 4, refused: 1, requests: 1 });
  t.strictSame(report.against, { held: 3, fresh: 2, changed: 0, gone: 2 });
  const after = await read();
  t.strictSame(after.kept, kept.kept, 'no row, cursor or validator');
  t.equal(after.accounts[0]?.requests, (kept.accounts[0]?.requests ?? 0) + 1, 'the request is spent');
  t.equal(upstream.requests.at(-1)?.headers['if-none-match'], undefined, 'and asked for everything');
  await backend.close();

  const closed = await run(['-c', file, 'lab']);
  t.match(closed.out, 'The next pull would add 2, change 0, take out 2; 3 are held.');
  t.notMatch(closed.out, 'sluice.yaml');
});

t.test('what the filter of a feed leaves out is counted and shown beside what is taken', async (t) => {
  const upstream = await serving(t, json(bundle(indicator(1), indicator(2), indicator(3))));
  const file = join(t.testdir(), 'sluice.yaml');
  const feed = `{ format: stix, url: "${upstream.url}/list", internal: true, filter: { not_values: ['host-[12]'] } }`;
  writeFileSync(file, `feeds: { lab: ${feed} }\n`);
  const shown = await run(['-c', file, 'lab']);
  t.match(shown.out, 'rows 3, taken 3, left out by the filter 2, refused 0');
  t.match(JSON.parse((await run(['-c', file, '--json', 'lab'])).out), {
    accepted: 3,
    filtered: 2,
    rows: { length: 1 },
  });
});

t.test(
  'an address of which nobody says the format is guessed, with one request, and pasted as it was read',
  async (t) => {
    const csv =
      'first_seen,ioc,tags\n2026-01-01,198.51.100.1,bot\n2026-01-02,198.51.100.2,\n2026-01-03,198.51.100.3,x\n';
    const upstream = await serving(t, (_request, reply) => {
      reply.writeHead(200, { 'content-type': 'text/csv' }).end(csv);
    });
    const shown = await run(['--internal', `${upstream.url}/list.csv`]);
    t.equal(shown.code, 0, shown.err);
    t.equal(upstream.requests.length, 1);
    t.match(shown.out, 'format csv, guessed from a table with comma as delimiter, with a header, snapshot');
    t.match(shown.out, /^ipv4 +198\.51\.100\.1 +- +amber +bot +2026-01-01 00:00/m);
    const section = shown.out.slice(shown.out.indexOf('feeds:'));
    t.match(
      section,
      /format: csv\n.*columns: header\n +fields:\n +value: ioc\n +first_seen: first_seen\n +labels: tags\n/s,
    );
    const directory = t.testdir({ 'sluice.yaml': section });
    const { config } = await gateway.loadConfigFile(join(directory, 'sluice.yaml'));
    t.equal(config.feeds[0]?.definition.format, 'csv');

    upstream.answer = (_request, reply) => void reply.writeHead(200).end('<!doctype html><p>Sign in</p>');
    const page = await run(['--internal', `${upstream.url}/list.csv`]);
    t.match(page, { code: 1, err: /web page/ });
  },
);

t.test('a person who waits is told how far it has come, a program is not', async (t) => {
  const steps = [
    null,
    { rows: 10_000, requests: 2, bytes: 1_250_000 },
    { rows: 20_000, requests: 3, bytes: 2_500_000 },
  ];
  const whole = { feed: 'lab', outcome: 'whole', error: null, withdrawn: 0 };
  const poll = async (args: string[], isErrTerminal: boolean) => {
    let end = (_: unknown): void => undefined;
    const left = [...steps];
    const ran = { out: '', err: '' };
    const control = {
      made: null,
      close: async () => undefined,
      poll: () =>
        new Promise((resolve) => {
          end = resolve;
          if (!isErrTerminal || args.includes('--json')) resolve(whole);
        }),
      readProgress: async () => {
        const step = left.shift() ?? null;
        if (left.length === 0) end(whole);
        return step;
      },
    };
    const terminal = { ...recordingTerminal(ran), isErrTerminal };
    const stub = { version: '0', connectServer: async () => control } as unknown as typeof gateway;
    await runCommand(['poll', 'lab', '-c', 'x.yaml', ...args], { terminal, gateway: stub });
    return ran.err;
  };
  const wiped = '\r\u001b[K';
  const shown = `${wiped}10000 rows, 2 requests, 1.3 MB${wiped}20000 rows, 3 requests, 2.5 MB${wiped}`;
  t.equal(await poll([], true), shown);
  t.equal(await poll([], false), '');
  t.equal(await poll(['--json'], true), '');
});

t.test('the server knows how far a poll and a try have come', async (t) => {
  const lines = Array.from({ length: 12_000 }, (_, n) => `198.${n >> 8}.7.${n & 255}`).join('\n');
  let end = (): void => undefined;
  const upstream = await serving(t, (_request, reply) => {
    reply.write(`${lines}\n`);
    end = () => void reply.end();
  });
  const file = join(t.testdir(), 'sluice.yaml');
  writeFileSync(
    file,
    `feeds: { lab: { format: text, url: "${upstream.url}/", internal: true } }\nlog: { level: silent }\n`,
  );
  const { config } = await gateway.loadConfigFile(file);
  const options = {
    clock: systemClock,
    onClients: () => undefined,
    onError: (error: unknown) => t.fail(String(error)),
  };
  const backend = await openBackend(config, options);
  t.teardown(() => backend.close());
  for (const work of [() => backend.poll('lab'), () => backend.tryFeed('lab', 1)]) {
    const before = upstream.requests.length;
    const done = work();
    while (upstream.requests.length === before) await new Promise((resolve) => setImmediate(resolve));
    t.match(await backend.readProgress('lab'), { rows: 0, requests: 1, bytes: 0 });
    end();
    t.match(await done, { outcome: 'whole', accepted: 12_000 });
    t.equal(await backend.readProgress('lab'), null);
  }
});

t.test('a person who tries an address that is not configured is told how far it has come', async (t) => {
  let end = (): void => undefined;
  const upstream = await serving(t, (_request, reply) => {
    reply.write('198.51.100.7\n'.repeat(200));
    end = () => void reply.end();
  });
  const ran = { out: '', err: '' };
  const err = (text: string): void => {
    ran.err += text;
    if (text.includes('1 requests')) end();
  };
  const terminal = { ...recordingTerminal(ran), isErrTerminal: true, err };
  const args = ['try', '--internal', '--format', 'text', `${upstream.url}/list`];
  t.equal(await runCommand(args, { terminal, gateway }), 0);
  t.match(ran.err, /K0 rows, 1 requests, 0\.0 MB/);
  t.match(ran.out, /198\.51\.100\.7/);
});

t.test('without a configuration of one’s own, a feed of the example can be tried', (t) => {
  const cwd = t.testdir({
    'sluice.example.yaml':
      'feeds: { lab: { format: text, path: ./list.txt } }\npools: { main: { feeds: [lab] } }\ncollections: { all: { pool: main } }\n',
    'list.txt': '203.0.113.7\n',
  });
  const shown = execFileSync(process.execPath, [BIN, 'try', 'lab'], { cwd, encoding: 'utf8' });
  t.match(shown, /^lab: format text.*\n/);
  t.match(shown, 'The first pull would add 1.');
  t.end();
});
