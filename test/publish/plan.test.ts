import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { runCommand } from '../../src/commands/program.ts';
import { scriptedClock } from '../helpers/clock.ts';
import { openGateway, type TestGateway } from '../helpers/gateway.ts';
import { START } from '../helpers/store.ts';
import { recordingTerminal } from '../helpers/terminal.ts';

/** A plan says what a changed configuration does, before it is applied: held against what it then does. */

const feeds = `
  strong: { format: text, path: ./strong.txt, every: 1h, confidence: 90 }
  weak: { format: text, path: ./weak.txt, every: 1h, confidence: 40 }
  objects: { format: stix, path: ./objects.json, every: 1h, confidence: 60 }
`;
const base = `
feeds:${feeds}
pools:
  main: { feeds: [strong, weak, objects] }
  elastic: { feeds: [strong, weak], profile: elastic-agent }
collections:
  all: { pool: main }
  ips: { pool: main, types: [ipv4] }
  block: { pool: main, min_confidence: 80 }
  siem: { pool: elastic }
  whole: { pool: main, objects: all }
`;

const changes: Record<string, [string, string][]> = {
  'nothing changes': [],
  'a bar is lowered': [['min_confidence: 80', 'min_confidence: 30']],
  'a bar is raised': [['min_confidence: 80', 'min_confidence: 95']],
  'a view is widened': [['types: [ipv4]', 'types: [ipv4, domain]']],
  'a view is narrowed': [['types: [ipv4]', 'types: [domain]']],
  'own assets are named': [
    ['feeds: [strong, weak, objects]', 'feeds: [strong, weak, objects], suppress: [203.0.113.0/28]'],
  ],
  'a feed leaves a pool': [['feeds: [strong, weak, objects]', 'feeds: [strong, objects]']],
  'a feed leaves the configuration': [
    ['  weak: { format: text, path: ./weak.txt, every: 1h, confidence: 40 }\n', ''],
    ['feeds: [strong, weak, objects]', 'feeds: [strong, objects]'],
    ['feeds: [strong, weak], profile', 'feeds: [strong], profile'],
  ],
  'a feed is trusted more': [['confidence: 40', 'confidence: 85']],
  'a view gets a policy of its own': [['types: [ipv4]', 'types: [ipv4], sources: 2']],
  'a collection is new, and one is gone': [
    ['  block: { pool: main, min_confidence: 80 }', '  agreed: { pool: main, sources: 2 }'],
  ],
  'networks are expanded': [['feeds: [strong, weak, objects]', 'feeds: [strong, weak, objects], expand_cidr: 28']],
};

async function openPlanned(
  t: Test,
): Promise<{ gateway: TestGateway; dir: string; reopen(yaml: string): Promise<TestGateway> }> {
  const dir = t.testdir();
  const clock = scriptedClock(START, { auto: true });
  const lines = (list: string[]) => `${list.join('\n')}\n`;
  await writeFile(
    join(dir, 'strong.txt'),
    lines(['203.0.113.5', '203.0.113.6', '203.0.113.32/29', 'evil.example.com']),
  );
  await writeFile(join(dir, 'weak.txt'), lines(['203.0.113.6', '203.0.113.7', '203.0.113.33', 'bad.example.org']));
  const malware = { type: 'malware', id: 'malware--1cead7a2-89c7-405a-9dd2-90e92766453c', spec_version: '2.1' };
  const dates = { created: '2026-01-01T00:00:00.000Z', modified: '2026-01-01T00:00:00.000Z' };
  const object = { ...malware, ...dates, name: 'Gullwing', is_family: true };
  const bundle = { type: 'bundle', id: 'bundle--1cead7a2-89c7-405a-9dd2-90e92766453c', objects: [object] };
  await writeFile(join(dir, 'objects.json'), JSON.stringify(bundle));
  const gateway = await openGateway(t, dir, base, { clock });
  for (const feed of ['strong', 'weak', 'objects']) await gateway.side.poll(feed);
  return { gateway, dir, reopen: (yaml) => openGateway(t, dir, yaml, { clock }) };
}

/** Live values of each collection, with the id of the journal's indicator. */
async function liveOf({ side, app, key }: TestGateway): Promise<Map<string, Map<string, string>>> {
  const { collections } = await side.status();
  const live = new Map<string, Map<string, string>>();
  for (const { alias } of collections) {
    const url = `/api/v1/iocs?collection=${alias}&limit=1000`;
    const { data } = (await app.inject({ url, headers: { authorization: `Bearer ${key}` } })).json();
    live.set(alias, new Map(data.map((ioc: { value: string; id: string }) => [ioc.value, ioc.id])));
  }
  return live;
}

for (const [name, replacements] of Object.entries(changes)) {
  t.test(`a plan says what happens when ${name}`, async (t) => {
    const { gateway, dir, reopen } = await openPlanned(t);
    const yaml = replacements.reduce((text, [from, to]) => {
      t.ok(text.includes(from), from);
      return text.replace(from, to);
    }, base);
    const path = join(dir, 'changed.yaml');
    await writeFile(path, yaml);
    const before = await liveOf(gateway);
    const plan = await gateway.side.plan(path);
    t.strictSame(await liveOf(gateway), before, 'planning changes nothing');
    await gateway.close();
    const changed = await reopen(yaml);
    const after = await liveOf(changed);
    t.strictSame(
      plan.collections.map(({ alias }) => alias),
      [...after.keys()],
    );
    for (const { alias, change, live, adds, withdraws, unshown, examples } of plan.collections) {
      const had = before.get(alias) ?? new Map<string, string>();
      const has = after.get(alias) ?? new Map<string, string>();
      const isOther = change === 'other-ids';
      const entered = [...has.keys()].filter((value) => isOther || !had.has(value));
      const left = [...had.keys()].filter((value) => isOther || !has.has(value));
      t.strictSame({ live, adds, withdraws }, { live: had.size, adds: entered.length, withdraws: left.length }, alias);
      t.ok(
        examples.adds.every((value) => entered.includes(value)),
        `${alias}: examples of what enters`,
      );
      t.ok(
        examples.withdraws.every(({ value }) => left.includes(value)),
        `${alias}: examples of what leaves`,
      );
      const kept = [...has].filter(([value, id]) => had.get(value) === id).length;
      if (isOther) t.equal(kept, 0, `${alias}: no id is kept`);
      else if (alias !== 'siem') t.equal(kept, had.size - left.length, `${alias}: ids are kept`);
      const isUnshown = name === 'a view is narrowed' && alias === 'ips';
      t.equal(unshown, isUnshown ? left.length : 0, `${alias}: what its types no longer name`);
      if (name === 'nothing changes') t.equal(change, 'same', alias);
    }
    t.strictSame(
      plan.dropped.map(({ alias }) => alias),
      [...before.keys()].filter((alias) => !after.has(alias)),
    );
    t.strictSame(plan.droppedFeeds, yaml.includes('weak:') ? [] : ['weak']);
  });
}

t.test(
  'a file with mistakes is refused by line, and the command shows a plan to a person and to programs',
  async (t) => {
    const { gateway, dir } = await openPlanned(t);
    const path = join(dir, 'changed.yaml');
    await writeFile(path, base.replace('min_confidence: 80', 'min_confidence: 800'));
    await t.rejects(gateway.side.plan(path), {
      code: 'config-invalid',
      message: /changed\.yaml:\d+:\d+: collections\.block/,
    });
    await writeFile(path, base.replace('min_confidence: 80', 'min_confidence: 30'));
    const ran = { out: '', err: '' };
    const control = { ...gateway.side, made: null, close: async () => undefined };
    const context = {
      terminal: recordingTerminal(ran),
      gateway: { version: '1', connectServer: async () => control } as never,
    };
    t.equal(await runCommand(['plan', '--config', path], context), 0, ran.err);
    t.match(ran.out, /block adds, for example: .*203\.0\.113\.7/);
    t.equal(await runCommand(['plan', '--json', '--config', path], context), 0, ran.err);
    t.match(ran.out, /"new_feeds": \[\]/);
  },
);
