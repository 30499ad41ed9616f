import t from 'tap';
import type { Gateway } from '../../src/commands/context.ts';
import { runCommand } from '../../src/commands/program.ts';
import type { Control } from '../../src/control/verbs.ts';

/** Runs `sluice sink ...` against a gateway that is none. */
async function run(args: string[], control: Partial<Control>, isTerminal = false) {
  const ran = { code: -1, out: '', err: '' };
  const config = { feeds: [{}], idleFeeds: [], pools: [], collections: [] };
  const loadConfigFile = async () => ({ config, warnings: [], effective: '' });
  const gateway = {
    version: '0.0.0',
    loadConfigFile,
    connectServer: async () => null,
    openControl: async () => ({ ...control, made: null, close: async () => undefined }),
  };
  const terminal = {
    out: (text: string) => {
      ran.out += text;
    },
    err: (text: string) => {
      ran.err += text;
    },
    isTerminal,
    env: {},
    interrupted: () => new AbortController().signal,
    pause: () => new Promise<void>((resolve) => setImmediate(resolve)),
  };
  const line = ['sink', ...args, '--config', 'x.yaml'];
  ran.code = await runCommand(line, { terminal, gateway: gateway as unknown as Gateway });
  return ran;
}

const report = { written: 7, unchanged: 2, refused: 1, swept: 3 };
const sentence = 'siem: written 7, there already 2, refused 1, taken out 3.\n';

t.test('setup runs its steps, a dry run shows every request and sends none', async (t) => {
  const asked: unknown[] = [];
  const step = { name: 'index and alias', method: 'PUT', path: '/logs-x-1', body: { aliases: { x: {} } } };
  const setUpSink: Control['setUpSink'] = async (...args) => {
    asked.push(args);
    return [{ ...step, outcome: args[1] ? null : 'done' }];
  };
  const dry = await run(['setup', 'siem', '--dry-run'], { setUpSink });
  t.equal(dry.code, 0, dry.err);
  t.equal(dry.out, '# index and alias\nPUT /logs-x-1\n{\n  "aliases": {\n    "x": {}\n  }\n}\n\n');
  const real = await run(['setup', 'siem'], { setUpSink });
  t.equal(real.out, 'index and alias: done\n');
  t.same(JSON.parse((await run(['setup', 'siem', '--json'], { setUpSink })).out), [{ ...step, outcome: 'done' }]);
  t.same(asked, [
    ['siem', true],
    ['siem', false],
    ['siem', false],
  ]);
});

t.test('failed shows what was refused and why, without letting it play with the terminal', async (t) => {
  const letter = { sink: 'siem', scope: 'all pool:main *', dateAdded: 1_767_225_600_000_000, attempts: 2 };
  const deadLetters: Control['deadLetters'] = async (_name, limit) => {
    t.equal(limit, 5);
    return [{ ...letter, objectId: 'indicator--1', reason: 'mapper\u001b[2J: no', at: 1_767_225_600_000_000 }];
  };
  const shown = await run(['failed', 'siem', '--limit', '5'], { deadLetters });
  t.match(
    shown.out,
    /^COLLECTION +OBJECT +ATTEMPTS +LAST +REASON\nall +indicator--1 +2 +2026-01-01T00:00:00\S* +mapper/,
  );
  t.notMatch(shown.out, '\u001b');
  const [row] = JSON.parse((await run(['failed', 'siem', '--limit', '5', '--json'], { deadLetters })).out);
  t.match(row, { collection: 'all', object_id: 'indicator--1', attempts: 2, reason: /^mapper/ });
});

t.test('retry says what became of it', async (t) => {
  t.equal((await run(['retry', 'siem'], { retrySink: async () => report })).out, sentence);
});

t.test('rebuild shows a person a bar that grows, and a pipe only the outcome', async (t) => {
  const steps = [0, 250, 500, 1000];
  let end = (_: typeof report): void => undefined;
  const control: Partial<Control> = {
    rebuildSink: () =>
      new Promise((resolve) => {
        end = resolve;
      }),
    rebuildProgress: async () => {
      const done = steps.shift() ?? 1000;
      if (steps.length === 0) end(report);
      return { done, total: 1000 };
    },
  };
  const shown = await run(['rebuild', 'siem'], control, true);
  t.equal(shown.code, 0);
  const bars = shown.err.split('\r\u001b[K').filter((text) => text.startsWith('['));
  t.same(bars.slice(0, 4), [
    `[${'.'.repeat(30)}] 0 %  0 of 1000`,
    `[${'#'.repeat(8)}${'.'.repeat(22)}] 25 %  250 of 1000`,
    `[${'#'.repeat(15)}${'.'.repeat(15)}] 50 %  500 of 1000`,
    `[${'#'.repeat(30)}] 100 %  1000 of 1000`,
  ]);
  t.ok(shown.err.endsWith('\r\u001b[K'), 'and is wiped away');
  t.equal(shown.out, sentence);
  const piped = await run(['rebuild', 'siem'], { rebuildSink: async () => report });
  t.same([piped.out, piped.err], [sentence, '']);
});
