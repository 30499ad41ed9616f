import { existsSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { runCommand } from '../../src/commands/program.ts';
import { MICROS_PER_DAY } from '../../src/model/clock.ts';
import { GatewayError } from '../../src/model/error.ts';
import { scriptedClock } from '../helpers/clock.ts';
import { openGateway, readAll, type TestGateway } from '../helpers/gateway.ts';
import { START } from '../helpers/store.ts';
import { recordingTerminal } from '../helpers/terminal.ts';

/** What analysts say, from the command to every reader. */

const YAML = (pools: string) => `
feeds:
  house: { format: text, path: ./house.txt, every: 1h, confidence: 50 }
pools:
${pools}
collections:
  all: { pool: main }
sinks:
  out: { type: file, path: ./out, collections: [all], every: 1d }
`;
const ONE = '  main: { feeds: [house] }';
const TWO = `${ONE}\n  lab: { feeds: [house] }`;

async function openAnalysts(t: Test, pools = ONE) {
  const dir = t.testdir();
  const clock = scriptedClock(START);
  const write = (lines: string[]) => writeFile(join(dir, 'house.txt'), `${lines.join('\n')}\n`);
  await write(['evil.example.com', '203.0.113.5']);
  const open = async (): Promise<TestGateway> => openGateway(t, dir, YAML(pools), { clock });
  const gateway = await open();
  await gateway.side.poll('house');
  return { ...gateway, open, dir, clock, write };
}

async function run({ side }: TestGateway, ...args: string[]) {
  const ran = { code: -1, out: '', err: '' };
  const control = { ...side, close: async () => undefined };
  const gateway = { version: '1', connectServer: async () => control } as never;
  const terminal = recordingTerminal(ran);
  ran.code = await runCommand(['verdict', ...args, '--config', 'any.yaml'], { terminal, gateway });
  return ran;
}

async function valuesOf({ app, key }: TestGateway): Promise<string[]> {
  const { body } = await app.inject({ url: '/api/v1/iocs?format=txt', headers: { authorization: `Bearer ${key}` } });
  return body.split('\n').filter((line) => line !== '');
}

t.test('a false positive reaches every reader at once, and nothing that its feed does brings it back', async (t) => {
  const gateway = await openAnalysts(t);
  const { app, key, side, dir, clock, write } = gateway;
  t.strictSame((await valuesOf(gateway)).sort(), ['203.0.113.5', 'evil.example.com']);
  const file = join(dir, 'out', 'all.ndjson');
  const told = () => (existsSync(file) ? readFileSync(file, 'utf8') : '');
  side.start();
  while (!/evil/.test(told()) || clock.sleepers() < 2) await new Promise((resolve) => setImmediate(resolve));
  t.notMatch(told(), /"revoked":true/);

  const given = await run(gateway, 'false-positive', 'hxxp://evil[.]example[.]com', '--type', 'domain');
  t.equal(given.code, 1, 'a URL is no domain');
  const { code, out, err } = await run(gateway, 'false-positive', 'EVIL[.]example[.]com', '--note', 'ours');
  t.equal(code, 0, err);
  t.match(out, /^domain evil\.example\.com is false-positive in pool main\.\nSaid by house\. .*: 1, .*: 1\.\n$/);
  t.strictSame(await valuesOf(gateway), ['203.0.113.5']);
  const headers = { authorization: `Bearer ${key}` };
  const [answer] = (await app.inject({ url: '/api/v1/lookup?ioc=evil.example.com', headers })).json().data;
  t.match(answer.matches, [{ status: 'withdrawn', withdrawn: { reason: 'false-positive' } }]);
  const revoked = async (from: TestGateway) =>
    (await readAll(from, 'all')).filter(({ revoked }) => revoked === true).map(({ pattern }) => pattern);
  t.strictSame(await revoked(gateway), ["[domain-name:value = 'evil.example.com']"]);
  // The clock stands still: nobody's time to deliver has come.
  while (!/"revoked":true/.test(told())) await new Promise((resolve) => setImmediate(resolve));
  t.notMatch(told(), /ours/, 'the note is for analysts');

  await write(['203.0.113.5', 'evil.example.com # again']);
  await side.poll('house');
  await write(['203.0.113.5']);
  await side.poll('house');
  await write(['203.0.113.5', 'evil.example.com']);
  await side.poll('house');
  await gateway.close();
  const later = await gateway.open();
  t.strictSame(await valuesOf(later), ['203.0.113.5'], 'after a restart');
  t.match(
    (await run(later, 'list')).out,
    /evil\.example\.com +false-positive +main +\S+ +2026-01-01T00:00:00.000Z +- +ours/,
  );
  const ended = await run(later, 'end', 'evil.example.com', '--json');
  t.match(JSON.parse(ended.out), { verdicts: [{ verdict: 'false-positive', ended_at: '2026-01-01T00:00:00.000Z' }] });
  t.strictSame((await valuesOf(later)).sort(), ['203.0.113.5', 'evil.example.com']);
  const ids = (await readAll(later, 'all')).filter(({ pattern = '' }) => /evil/.test(pattern)).map(({ id }) => id);
  t.equal(new Set(ids).size, 2, 'it comes back under a new id');
  t.equal((await run(later, 'list')).out, '(none)\n');
  t.match((await run(later, 'list', 'evil.example.com', '--ended')).out, /ended 2026-01-01T00:00:00.000Z by/);
});

t.test('verdicts have a date, a time when something was seen, and a type', async (t) => {
  const gateway = await openAnalysts(t);
  const ahead = '2099-12-24';
  const confirmed = await run(gateway, 'confirmed', '203.0.113[.]5', '--until', ahead, '--json');
  t.match(JSON.parse(confirmed.out), {
    verdicts: [{ verdict: 'confirmed', value: '203.0.113.5', until: '2099-12-24T00:00:00.000Z', note: null }],
    entries: 1,
    feeds: ['house'],
  });
  const seen = await run(gateway, 'sighted', '198.51.100.7', '--at', '2025-12-31T08:00:00+01:00', '--for', '30d');
  t.match(seen.out, /^ipv4 198\.51\.100\.7 is sighted in pool main until .*\nNo feed says it now; a verdict holds/);
  const { verdicts } = JSON.parse((await run(gateway, 'list', '--json')).out);
  t.match(verdicts, [{ seen_at: '2025-12-31T07:00:00.000Z' }, { seen_at: null }]);
  const hash = 'a'.repeat(40);
  await run(gateway, 'false-positive', hash, '--type', 'x509');
  t.match((await run(gateway, 'list', hash, '--type', 'x509')).out, /false-positive/);
  t.equal((await run(gateway, 'list', hash)).out, '(none)\n');
  t.match((await run(gateway, 'list', '--limit', '1')).out, /There are more/);
  t.match((await run(gateway, 'end', '203.0.113.5', '--kind', 'sighted')).err, /No verdict sighted stands on ipv4/);
  t.equal((await run(gateway, 'end', '203.0.113.5', '--kind', 'confirmed')).code, 0);
  for (const [args, message] of [
    [['false-positive', 'no value at all'], /can't be read as a value/],
    [['false-positive', '203.0.113.5', '--pool', 'nope'], /No pool is called nope/],
    [['false-positive', '203.0.113.5', '--until', '2001-01-01'], /must lie ahead/],
    [['false-positive', '203.0.113.5', '--until', 'tomorrow'], /must be a date/],
    [['false-positive', '203.0.113.5', '--for', '0d'], /must be like/],
    [['false-positive', '203.0.113.5', '--for', '1d', '--until', ahead], /cannot be used/],
    [['false-positive', '203.0.113.5', '--note', 'x'.repeat(1001)], /1000 characters/],
    [['sighted', '203.0.113.5', '--at', '2099-01-01'], /seen in the future/],
    [['end', '203.0.113.9'], /No verdict stands on ipv4 203\.0\.113\.9/],
  ] as const) {
    const { code, err } = await run(gateway, ...args);
    t.ok(code > 0, args.join(' '));
    t.match(err, message);
  }
  const asked = { ioc: '203.0.113.5', kind: 'confirmed' as const, by: 'ann' };
  await t.rejects(gateway.side.giveVerdict({ ...asked, seenAt: 1 }), GatewayError);
  await t.rejects(gateway.side.giveVerdict({ ...asked, until: START }), { code: 'unprocessable' });
  await t.rejects(gateway.side.giveVerdict({ ...asked, pool: 'main', allPools: true }), { code: 'unprocessable' });
});

t.test('where there are several pools, one is named or all are meant', async (t) => {
  const gateway = await openAnalysts(t, TWO);
  const unclear = await run(gateway, 'confirmed', '203.0.113.5');
  t.match(unclear, { code: 1, err: /There are several pools: main, lab\. Name one, or say that all are meant\./ });
  t.match((await run(gateway, 'confirmed', '203.0.113.5', '--pool', 'lab')).out, /in pool lab\./);
  t.match((await run(gateway, 'false-positive', '203.0.113.5', '--all-pools')).out, /in pool main\.\n.*in pool lab\./);
  t.strictSame(await valuesOf(gateway), ['evil.example.com']);
  t.match((await run(gateway, 'end', '203.0.113.5')).err, /It stands in several pools: lab, main/);
  t.equal((await run(gateway, 'end', '203.0.113.5', '--pool', 'main')).code, 0);
  t.equal((await run(gateway, 'end', '203.0.113.5')).code, 0, 'only one is left');
  t.match((await run(gateway, 'list', '--ended', '--pool', 'main')).out, /main/);
  t.notMatch((await run(gateway, 'list', '--ended', '--pool', 'main')).out, /lab/);
});

t.test('verdicts are listed page by page, and end at their date', async (t) => {
  const gateway = await openAnalysts(t);
  const { side, clock } = gateway;
  for (const last of [1, 2, 3]) {
    const until = START + last * MICROS_PER_DAY;
    await side.giveVerdict({ ioc: `203.0.113.${last + 3}`, kind: 'false-positive', by: 'ann', until });
  }
  const first = await side.listVerdicts({ withEnded: false, limit: 2 });
  t.match(first.verdicts, [{ observable: { value: '203.0.113.6' } }, { observable: { value: '203.0.113.5' } }]);
  const rest = await side.listVerdicts({ withEnded: false, limit: 2, before: first.next ?? 0 });
  t.match(rest, { verdicts: [{ observable: { value: '203.0.113.4' } }], next: null });
  t.strictSame(await valuesOf(gateway), ['evil.example.com']);
  clock.set(START + 2 * MICROS_PER_DAY);
  await side.tick();
  t.strictSame((await valuesOf(gateway)).sort(), ['203.0.113.5', 'evil.example.com']);
  t.equal((await side.listVerdicts({ withEnded: false, limit: 9 })).verdicts.length, 1);
});
