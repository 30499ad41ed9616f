import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { runCommand } from '../../src/commands/program.ts';
import { MICROS_PER_DAY } from '../../src/model/clock.ts';
import { scriptedClock } from '../helpers/clock.ts';
import { openGateway } from '../helpers/gateway.ts';
import { START } from '../helpers/store.ts';
import { recordingTerminal } from '../helpers/terminal.ts';

/** Who says a value, what becomes of it in each collection, and what readers may know of that. */

const YAML = `
feeds:
  strong: { format: text, path: ./strong.txt, every: 1h, confidence: 90 }
  weak: { format: text, path: ./weak.txt, every: 1h, confidence: 40 }
  secret: { format: text, path: ./secret.txt, every: 1h, confidence: 80, tlp: red }
pools:
  main: { feeds: [strong, weak, secret], suppress: [198.51.100.0/24] }
collections:
  all: { pool: main }
  ips: { pool: main, types: [ipv4] }
  block: { pool: main, min_confidence: 80 }
  agreed: { pool: main, sources: 2 }
`;

async function openExplained(t: Parameters<typeof openGateway>[0] & { testdir(): string }) {
  const dir = t.testdir();
  const clock = scriptedClock(START, { auto: true });
  const write = (name: string, lines: string[]) => writeFile(join(dir, `${name}.txt`), `${lines.join('\n')}\n`);
  await write('strong', [
    '203.0.113.5',
    '203.0.113.6',
    '198.51.100.9',
    '203.0.113.64/26',
    '127.0.0.1',
    'evil.example.com',
  ]);
  await write('weak', ['203.0.113.6', '203.0.113.7']);
  await write('secret', ['203.0.113.8']);
  const gateway = await openGateway(t, dir, YAML, { clock });
  const poll = async () => {
    for (const feed of ['strong', 'weak', 'secret']) await gateway.side.poll(feed);
  };
  await poll();
  const statesOf = async (ioc: string) => {
    const { values } = await gateway.side.explain(ioc, null);
    return Object.fromEntries(values[0]?.collections.map(({ alias, state, reason }) => [alias, [state, reason]]) ?? []);
  };
  return { ...gateway, clock, write, poll, statesOf };
}

t.test('each collection is told apart, with the reason that keeps a value out of it', async (t) => {
  const { statesOf, side } = await openExplained(t);
  t.strictSame(await statesOf('203.0.113[.]6'), {
    all: ['live', null],
    ips: ['live', null],
    block: ['live', null],
    agreed: ['live', null],
  });
  t.strictSame(await statesOf('203.0.113.7'), {
    all: ['live', null],
    ips: ['live', null],
    block: ['never', 'below-confidence'],
    agreed: ['never', 'too-few-sources'],
  });
  t.match(await statesOf('evil.example.com'), { all: ['live', null], ips: ['never', 'type-not-taken'] });
  t.match(await statesOf('203.0.113.8'), { all: ['never', 'above-ceiling'] });
  t.match(await statesOf('198.51.100.9'), { all: ['never', 'suppressed'] });
  t.match(await statesOf('203.0.113.200'), { all: ['never', null] });
  const { values } = await side.explain('203.0.113.6', null);
  const [value] = values;
  t.strictSame(value?.said.map(({ feed }) => feed).sort(), ['strong', 'weak']);
  t.match(value?.collections[0]?.merged, {
    confidence: 95,
    publishers: 2,
    inputs: [
      { feed: 'strong', said: 90, standing: 'independent', added: 90 },
      { feed: 'weak', said: 40, standing: 'independent', added: 5 },
    ],
  });
});

t.test('the sentences name the rule and the setting', async (t) => {
  const { side } = await openExplained(t);
  const whyOf = async (ioc: string, alias: string) => {
    const { values } = await side.explain(ioc, null);
    return values[0]?.collections.find((collection) => collection.alias === alias)?.why;
  };
  t.match(await whyOf('198.51.100.9', 'all'), /198\.51\.100\.0\/24/);
  t.match(await whyOf('203.0.113.7', 'block'), /confidence is 40; collections\.block\.min_confidence asks for 80/);
  t.match(await whyOf('203.0.113.7', 'agreed'), /collections\.agreed\.sources asks for 2/);
  t.match(await whyOf('203.0.113.8', 'all'), /TLP amber \(pools\.main\.tlp\)/);
  t.match(await whyOf('203.0.113.200', 'all'), /No feed of the pool says it/);
  t.match(await whyOf('203.0.113.5', 'all'), /served since 20.*: 1 independent publisher says it/);
});

t.test(
  'a warning list is named with what to write to have the value served, whether anybody says it or not',
  async (t) => {
    const { side, write, poll, clock } = await openExplained(t);
    const allOf = async () => (await side.explain('8.8.8.8', null)).values[0]?.collections[0];
    const unsaid = await allOf();
    t.match(unsaid, {
      state: 'never',
      reason: null,
      rule: { mode: 'drop', rule: 'warning list public-resolvers', entry: '8.8.8.8' },
    });
    t.match(unsaid?.why, /No feed of the pool says it\. It would stay out: .*public-resolvers.*pools\.main\.admit/);
    await write('strong', ['8.8.8.8']);
    await clock.sleep(3_600_000);
    await side.acceptShrink('strong');
    await poll();
    const said = await allOf();
    t.match(said, { state: 'never', reason: 'suppressed' });
    t.match(said?.why, /public-resolvers.*pools\.main\.admit/);
    t.equal((await side.explain('203.0.113.5', null)).values[0]?.collections[0]?.rule, null);
  },
);

t.test('a refused row that names the value, a network that holds it, and a text that is no value', async (t) => {
  const { side } = await openExplained(t);
  t.match((await side.explain('127.0.0.1', null)).refused, [{ feed: 'strong', reason: 'reserved' }]);
  t.match((await side.explain('203.0.113.70', null)).values, [
    { within: [{ value: '203.0.113.64/26', collections: ['all', 'ips', 'block'] }] },
  ]);
  const nothing = await side.explain('no value', null);
  t.strictSame([nothing.values, nothing.unreadable !== null], [[], true]);
  t.equal((await side.explain('203.0.113.5', 'domain')).values.length, 0, 'the type that is asked for counts');
});

t.test('what left is told with its reason and dates until keep is over', async (t) => {
  const { side, write, poll, clock, statesOf } = await openExplained(t);
  await write('strong', ['203.0.113.6']);
  await clock.sleep(3_600_000);
  await poll();
  t.match(await statesOf('203.0.113.5'), { all: ['withdrawn', 'vanished'] });
  const { values } = await side.explain('203.0.113.5', null);
  const told = values[0]?.collections[0]?.history[0];
  t.ok(told !== undefined && told.withdrawn === 'vanished' && told.at > told.since);
  t.strictSame(values[0]?.said, []);
  await write('strong', ['203.0.113.5', '203.0.113.6']);
  await clock.sleep(3_600_000);
  await poll();
  const again = (await side.explain('203.0.113.5', null)).values[0]?.collections[0];
  t.strictSame(
    again?.history.map(({ withdrawn }) => withdrawn),
    ['vanished', null],
  );
  t.equal(new Set(again?.history.map(({ id }) => id)).size, 2, 'what comes back is another object');
  await clock.sleep((31 * MICROS_PER_DAY) / 1000);
  await side.tick();
  t.equal((await side.explain('203.0.113.5', null)).values[0]?.collections[0]?.history.length, 1);
});

t.test('a client is told only of collections that it may read and that hold the value or held it', async (t) => {
  const { side, app, key, write, poll, clock } = await openExplained(t);
  const rate = { max: 1000, per: 60_000 };
  const narrow = await side.addClient({ name: 'narrow', collections: ['block'], tlp: 'amber', rate });
  const ask = async (ioc: string, secret: string | null) => {
    const url = `/api/v1/explain?ioc=${encodeURIComponent(ioc)}`;
    const answer = await app.inject({ url, headers: { authorization: `Bearer ${secret}` } });
    return answer.json();
  };
  const whole = (await ask('203.0.113.6', key)).values[0];
  t.strictSame(
    whole.collections.map((one: any) => one.collection),
    ['all', 'ips', 'block', 'agreed'],
  );
  t.strictSame(whole.said, [], 'what feeds say apart from what is served is for operators');
  const part = (await ask('203.0.113.6', narrow.key)).values[0];
  t.strictSame(
    part.collections.map((one: any) => one.collection),
    ['block'],
  );
  // In none that it may read: as if nobody had ever said it.
  const known = JSON.stringify(await ask('203.0.113.7', narrow.key));
  const unknown = JSON.stringify(await ask('203.0.113.200', narrow.key));
  t.equal(known.replaceAll('203.0.113.7', 'X'), unknown.replaceAll('203.0.113.200', 'X'));
  const above = JSON.stringify(await ask('203.0.113.8', key));
  t.equal(above.replaceAll('203.0.113.8', 'X'), unknown.replaceAll('203.0.113.200', 'X'));
  const refused = JSON.stringify(await ask('127.0.0.1', key));
  t.equal(refused.replaceAll('127.0.0.1', 'X'), unknown.replaceAll('203.0.113.200', 'X'));
  // After it left, its reader is told what the tombstone says, not what is said of it now.
  await write('strong', []);
  await write('weak', ['203.0.113.6']);
  await clock.sleep(3_600_000);
  await side.acceptShrink('strong');
  await poll();
  const left = (await ask('203.0.113.6', narrow.key)).values[0].collections[0];
  t.match(left, { state: 'withdrawn', served_as: null });
  t.notMatch(JSON.stringify(left), /weak|is 40|:40,/);
});

t.test('the command shows it to a person and to programs', async (t) => {
  const { side } = await openExplained(t);
  const ran = { out: '', err: '' };
  const terminal = recordingTerminal(ran);
  const control = { ...side, made: null, close: async () => undefined };
  const context = { terminal, gateway: { version: '1', connectServer: async () => control } as never };
  t.equal(await runCommand(['explain', '203.0.113.7', '--config', 'any.yaml'], context), 0, ran.err);
  t.match(ran.out, /block: is not in it\. Its confidence is 40/);
  t.match(ran.out, /all: is in it/);
  t.equal(await runCommand(['explain', '203.0.113.7', '--json', '--config', 'any.yaml'], context), 0);
});
