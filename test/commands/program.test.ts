// slow (26 s): commands in processes of their own
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { parse } from 'yaml';
import { formatRate, parseRate } from '../../src/commands/client.ts';
import type { Gateway } from '../../src/commands/context.ts';
import { runCommand } from '../../src/commands/program.ts';
import { ageText, formatTable, printable } from '../../src/commands/terminal.ts';
import { configInvalid } from '../../src/config/problem.ts';
import { type Control, controlThrough } from '../../src/control/verbs.ts';
import type { PollReport, StatusReport } from '../../src/model/control.ts';
import { GatewayError } from '../../src/model/error.ts';
import { recordingTerminal } from '../helpers/terminal.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const LAUNCHER = join(ROOT, 'bin', 'sluice.mjs');
const EXAMPLE = join(ROOT, 'sluice.example.yaml');
const NOW = 1_795_000_000_000_000;
const SECOND = 1_000_000;

const refuse = async (): Promise<never> => {
  throw new GatewayError('internal', 'not expected');
};
const silent = controlThrough(refuse);

interface Ran {
  code: number;
  out: string;
  err: string;
  closed: number;
  loaded: unknown[];
}

/** Runs a command line in this process against a gateway that is none. */
async function run(
  args: string[],
  control: Partial<Control> = {},
  more: Partial<Gateway> = {},
  env = {},
): Promise<Ran> {
  const ran: Ran = { code: -1, out: '', err: '', closed: 0, loaded: [] };
  const gateway = {
    version: '9.9.9',
    loadConfigFile: async (...given: unknown[]) => {
      ran.loaded.push(given);
      return {
        config: { feeds: [{}], idleFeeds: [], pools: [], collections: [] },
        warnings: [],
        effective: 'data: ./data\n',
      };
    },
    connectServer: async () => null,
    openControl: async () => ({ ...silent, ...control, made: null, close: async () => void ran.closed++ }),
    serve: refuse,
    ...more,
  } as unknown as Gateway;
  const terminal = recordingTerminal(ran, env);
  ran.code = await runCommand(args, { terminal, gateway });
  return ran;
}

const C = ['--config', 'x.yaml'];
const report: PollReport = {
  feed: 'house',
  outcome: 'whole',
  requests: 3,
  accepted: 1000,
  rejected: 2,
  entries: 900,
  withdrawn: 4,
  error: null,
};

t.test('wrong usage ends with 2, help and version with 0; nothing was opened', async (t) => {
  const table: [string[], number, RegExp][] = [
    [[], 2, /Usage: sluice/],
    [['--help'], 0, /Usage: sluice/],
    [['--version'], 0, /^9\.9\.9\n$/],
    [['serv'], 2, /Did you mean serve\?/],
    [['serve', '--prot', '1'], 2, /unknown option '--prot'/],
    [['poll'], 2, /missing required argument 'feed'/],
    [['poll', 'a', 'b'], 2, /too many arguments/],
    [['client'], 2, /Usage: sluice client/],
    [['client', 'add', 'a b'], 2, /letters, digits/],
    [['client', 'add', 'a', '--tlp', 'white'], 2, /Allowed choices are clear, green/],
    [['client', 'add', 'a', '--rate', '600'], 2, /like 600\/min/],
    [['client', 'add', 'a', '--collections', 'ips,,urls'], 2, /names with commas/],
    [['rejections', 'a', '--limit', '-1'], 2, /whole number from 0 to 10000/],
    [['rejections', 'a', '--limit', '1e3'], 2, /whole number/],
    [['status', '--config'], 2, /argument missing/],
  ];
  for (const [args, code, words] of table) {
    const ran = await run(args);
    t.equal(ran.code, code, args.join(' '));
    t.match(code === 0 ? ran.out : ran.err, words, args.join(' '));
    t.equal(code === 0 ? ran.err : ran.out, '', 'on the stream that it belongs to');
    t.strictSame([ran.loaded, ran.closed], [[], 0]);
  }
});

t.test('errors are one line per problem, with the exit code of their kind and no stack', async (t) => {
  const failing = (error: unknown) => ({
    status: async () => {
      throw error;
    },
  });
  const table: [unknown, number, string][] = [
    [
      new GatewayError('unavailable', 'Away.', { retryAfter: 3, details: { at: 'x' } }),
      1,
      'sluice: Away.\nsluice:   at: x\nsluice:   try again in 3 s\n',
    ],
    [new GatewayError('bad-request', 'Odd.'), 2, 'sluice: Odd.\n'],
    [new GatewayError('store-failed', 'Bad \u001b[31mred'), 1, 'sluice: Bad \\u{1b}[31mred\n'],
    [new TypeError('x is not a function'), 1, 'sluice: unforeseen: x is not a function\n'],
  ];
  for (const [error, code, err] of table) {
    const ran = await run(['status', ...C], failing(error));
    t.strictSame([ran.code, ran.out, ran.err], [code, '', err]);
    t.equal(ran.closed, 1, 'and the store is closed');
  }
  const problems = [
    { line: 9, column: 1, path: 'b', message: 'two' },
    { line: 2, column: 5, path: 'a', message: 'one' },
  ];
  const invalid = {
    loadConfigFile: async () => {
      throw configInvalid('x.yaml', problems);
    },
  };
  const ran = await run(['status', ...C], {}, invalid);
  t.strictSame([ran.code, ran.err], [2, 'sluice: x.yaml:2:5: a: one\nsluice: x.yaml:9:1: b: two\n']);
  const json = await run(['check-config', '--json', ...C], {}, invalid);
  t.equal(json.code, 2);
  t.strictSame(JSON.parse(json.out), { valid: false, problems: problems.toReversed(), warnings: [] });
  const debugged = await run(
    ['status', ...C],
    failing(new Error('outer', { cause: new Error('inner') })),
    {},
    { LOG_LEVEL: 'debug' },
  );
  t.match(debugged.err, /at .*program\.test\.ts.*caused by Error: inner/s);
});

t.test('without --config the file is ./sluice.yaml, else the example; without both it says what to do', async (t) => {
  const home = process.cwd();
  const dir = t.testdir({});
  process.chdir(dir);
  t.teardown(() => process.chdir(home));
  const neither = await run(['check-config']);
  t.strictSame([neither.code, neither.loaded], [2, []]);
  t.match(neither.err, /no sluice\.yaml here: copy sluice\.example\.yaml/);
  writeFileSync(join(dir, 'sluice.example.yaml'), '');
  const example = await run(['check-config']);
  t.strictSame([example.code, example.loaded], [0, [['sluice.example.yaml', { data: undefined }]]]);
  t.match(example.err, /^There is no sluice\.yaml here, so sluice\.example\.yaml counts\.\n/);
  writeFileSync(join(dir, 'sluice.yaml'), '');
  const own = await run(['check-config']);
  t.strictSame([own.code, own.loaded, own.err], [0, [['sluice.yaml', { data: undefined }]], '']);
});

t.test('serve hands over what the command line overrides, and shows warnings first', async (t) => {
  const served: unknown[] = [];
  const warnings = [{ line: 3, column: 4, path: 'a.b', message: 'mind this' }];
  const ran = await run(
    ['serve', ...C, '--data', 'd', '--listen', ':1'],
    {},
    {
      loadConfigFile: (async (...given: unknown[]) => ({ given, warnings })) as never,
      serve: (async (loaded: any, { say, isTerminal }: any) => {
        served.push(loaded.given, isTerminal);
        say('ready');
      }) as never,
    },
  );
  t.strictSame(ran, { code: 0, out: 'ready\n', err: 'warning: x.yaml:3:4: a.b: mind this\n', closed: 0, loaded: [] });
  t.strictSame(served, [['x.yaml', { data: 'd', listen: ':1' }], false]);
});

t.test('what a running server does not know may be in the file by now', async (t) => {
  const unknown = async () => {
    throw new GatewayError('not-found', 'No feed is called new.');
  };
  const server = { ...silent, poll: unknown, close: async () => undefined };
  const asked = await run(['poll', 'new', ...C], {}, { connectServer: async () => server });
  t.strictSame([asked.code, asked.loaded], [1, []], 'the file is not even read');
  t.match(asked.err, /No feed is called new\. The running server has the configuration it was started with\.\n$/);
  t.match((await run(['poll', 'new', ...C], { poll: unknown })).err, /No feed is called new\.\n$/);
});

t.test('poll tells what came of it, and fails when it did not end well', async (t) => {
  const poll = (change: Partial<PollReport>) => ({ poll: async (feed: string) => ({ ...report, feed, ...change }) });
  const good = await run(['poll', 'house', ...C], poll({}));
  t.strictSame([good.code, good.err], [0, '']);
  t.match(
    good.out,
    /^house polled: requests 3, rows taken 1000, rejected 2, journal entries 900, of them withdrawals 4\.\n$/,
  );
  t.equal((await run(['poll', 'house', ...C], poll({ outcome: 'unchanged' }))).code, 0);
  const json = await run(['poll', 'house', '--json', ...C], poll({}));
  t.strictSame(JSON.parse(json.out), report);
  const error = { code: 'upstream-unauthorized', message: 'The key is not known.' } as const;
  const failed = await run(['poll', 'house', '--json', ...C], poll({ outcome: 'failed', error }));
  t.equal(failed.code, 1);
  t.match(JSON.parse(failed.out), { outcome: 'failed', error });
  t.match(failed.err, /did not end well: The key is not known\./);
  const held = await run(['poll', 'house', ...C], poll({ outcome: 'held-back' }));
  t.equal(held.code, 1);
  t.match(held.err, /withdraw too much/);
  const heldBack = { read: 3, refused: 1, withdrawn: 40 };
  const doubted = poll({ outcome: 'held-back', error: { code: 'upstream-malformed', message: 'Too few.', heldBack } });
  const asked = await run(['poll', 'house', '--json', ...C], doubted);
  t.match(asked.err, /Too few\. If it is right, sluice poll house --accept-shrink takes it\./);
  t.match(JSON.parse(asked.out), { error: { held_back: heldBack } });
  const accepting = { acceptShrink: async (feed: string) => ({ ...report, feed }) };
  t.equal((await run(['poll', 'house', '--accept-shrink', ...C], accepting)).code, 0);
});

t.test('status shows ages to people and timestamps to programs', async (t) => {
  const feed: StatusReport['feeds'][number] = {
    feed: 'house',
    cursor: 'c',
    movedAt: null,
    etag: null,
    lastModified: null,
    gap: null,
    note: null,
    lapsedAt: null,
    changedAt: null,
    freshUntil: null,
    bodyHash: null,
    confirmedAt: null,
    succeededAt: NOW - 240 * SECOND,
    attemptedAt: NOW - 60 * SECOND,
    nextPollAt: NOW + 660 * SECOND,
    failures: 2,
    error: { code: 'upstream-failed', message: 'Answered\u001b]0;x 502.', at: NOW - 60 * SECOND },
    accepted: 10,
    rejected: 1,
    read: 1301,
    split: 0,
    folded: 60,
    filtered: 0,
    gone: 0,
    observations: 1234,
    objects: 6,
    account: 'https://intel.example',
    pools: ['main'],
    stale: true,
    stalled: null,
    attribution: null,
    terms: null,
    redistribution: 'unknown',
    idle: null,
    refused: [{ reason: 'bad-value', count: 1, isNote: false }],
    unaccounted: 0,
    served: [
      {
        collection: 'all',
        live: 1000,
        leftOut: [
          { reason: 'above-ceiling', kind: 'domain', rows: 30 },
          { reason: 'above-ceiling', kind: 'ipv4', rows: 10 },
          { reason: 'not-for-elastic', kind: 'ipv4', rows: 150 },
          { reason: 'not-for-elastic', kind: 'sha512', rows: 50 },
        ],
        unaccounted: 0,
      },
      { collection: 'ips', live: 1240, leftOut: [], unaccounted: 0 },
    ],
  };
  const settled = { failures: 0, error: null, stale: false };
  const status: StatusReport = {
    version: '9.9.9',
    startedAt: NOW - 3600 * SECOND,
    now: NOW,
    storeFault: null,
    feeds: [
      feed,
      { ...feed, feed: 'new', attemptedAt: null, succeededAt: null, failures: 0, error: null, stale: false },
      { ...feed, feed: 'spare', idle: 'no-key', error: null, unaccounted: 7 },
      { ...feed, feed: 'away', gap: { from: NOW - 7200 * SECOND, to: NOW - 3600 * SECOND, at: NOW - 60 * SECOND } },
      { ...feed, ...settled, feed: 'dead', stalled: 'The list last changed long ago.', changedAt: NOW - 7200 * SECOND },
      { ...feed, feed: 'theirs', redistribution: 'no', attribution: 'Ann\u001b Other' },
      { ...feed, feed: 'odd', note: { text: 'Dates lie\u001b ahead.', at: NOW - 60 * SECOND } },
    ],
    accounts: [
      {
        account: 'https://intel.example#1a2b3c4d',
        lastRequestAt: NOW,
        blockedUntil: NOW + 30 * SECOND,
        windows: { 60: { startedAt: NOW, used: 3 } },
        requests: 7,
      },
    ],
    sinks: [
      {
        name: 'siem',
        kind: 'elasticsearch',
        idle: null,
        collections: [
          { alias: 'all', deliveredTo: NOW - 30 * SECOND, head: NOW, updatedAt: NOW },
          { alias: 'ips', deliveredTo: NOW, head: NOW, updatedAt: NOW },
        ],
        failed: 3,
        failures: 0,
        error: null,
      },
      { name: 'spare', kind: 'file', idle: 'disabled', collections: [], failed: 0, failures: 0, error: null },
    ],
    collections: [
      {
        alias: 'all',
        id: '6ba7b810-9dad-41d1-80b4-00c04fd430c8',
        title: 'All',
        journal: 'pool:main',
        head: NOW,
        live: { ipv4: 2, url: 3 },
      },
    ],
  };
  const human = await run(['status', ...C], { status: async () => status });
  t.equal(human.code, 0);
  t.match(human.out, /house +failing, stale +4m ago +in 11m +upstream-failed: Answered\\u\{1b\}\]0;x 502\./);
  t.match(human.out, /spare +no key +4m ago/);
  t.match(human.out, /new +not polled yet +- +in 11m/);
  t.match(human.out, /1a2b3c4d +7 +now +in 30s/);
  t.match(
    human.out,
    /Gaps\nFEED +FROM +TO +FOUND\naway +2026-\S+Z +2026-\S+Z +60s ago\n/,
    'what nobody can ask for any more',
  );
  t.match(human.out, /Terms\nFEED +MAY BE PASSED ON +CREDIT\ntheirs +no +Ann\\u\{1b\} Other\n/);
  t.match(human.out, /dead +stalled +4m ago/);
  t.match(
    human.out,
    /Notes\nFEED +FOUND +WHAT\ndead +2h ago +The list last changed long ago\.\nodd +60s ago +Dates lie\\u\{1b\} ahead\.\n/,
  );
  t.match(
    human.out,
    /FEED +READ +SPLIT +HELD +FOLDED +AGED OUT +FILTERED +REFUSED +WHY REFUSED\nhouse +1301 +0 +1240 +60 +0 +0 +1 +1 bad-value\n/,
  );
  t.match(human.out, /spare +1301 .* 7 NOT ACCOUNTED FOR/, 'what does not add up is said');
  t.match(
    human.out,
    /house +all +1240 +1000 +40 above-ceiling, 200 not-for-elastic \(150 ipv4, 50 sha512\)\nhouse +ips +1240 +1240\n/,
  );
  t.match(
    human.out,
    /\n {2}not-for-elastic: profile elastic-agent can't match networks \(.*`expand_cidr: 24`.*\), SHA-512.* `profile: stix` serves them\n/,
  );
  t.notMatch(human.out, /below-confidence/, 'only what there is is explained');
  t.match(human.out, /siem +elasticsearch +all +behind +30s ago +3/);
  t.match(human.out, /siem +elasticsearch +ips +up to date +now +3/);
  t.match(human.out, /spare +file +disabled/);
  t.match(human.out, /all +5 +now +6ba7b810/);
  const json = JSON.parse((await run(['status', '--json', ...C], { status: async () => status })).out);
  t.match(json, {
    version: '9.9.9',
    now: '2026-11-18T11:06:40.000Z',
    feeds: [
      {
        name: 'house',
        state: 'failing',
        stale: true,
        next_poll_at: '2026-11-18T11:17:40.000Z',
        error: { at: '2026-11-18T11:05:40.000Z' },
        read: 1301,
        folded: 60,
        aged_out: 0,
        refused: [{ reason: 'bad-value', count: 1 }],
        unaccounted: 0,
        served: [
          {
            collection: 'all',
            live: 1000,
            left_out: [{ reason: 'above-ceiling', kind: 'domain', rows: 30 }],
            unaccounted: 0,
          },
        ],
      },
      { name: 'new', state: 'never-polled', succeeded_at: null, error: null },
      { name: 'spare', state: 'no-key' },
    ],
    accounts: [
      {
        blocked_until: '2026-11-18T11:07:10.000Z',
        windows: [{ seconds: 60, used: 3, started_at: '2026-11-18T11:06:40.000Z' }],
      },
    ],
    collections: [{ alias: 'all', newest: '2026-11-18T11:06:40.000Z', live: { ipv4: 2, url: 3 } }],
  });
  t.notMatch(json.feeds[0], { cursor: 'c' }, 'bookmarks stay inside');
});

t.test('rejections show counts and rows, never raw control characters', async (t) => {
  const asked: unknown[] = [];
  const rejections: Control['rejections'] = async (...given) => {
    asked.push(given);
    const row = {
      feed: 'house',
      reason: 'bad-value',
      detail: 'no IPv4',
      row: '{"value":"\u001b[2J"}\u202e',
      firstAt: NOW,
      lastAt: NOW,
      count: 2,
      isNote: false,
    };
    return {
      counts: [
        { reason: 'bad-value', count: 12, isNote: false },
        { reason: 'bad-property', count: 3, isNote: true },
      ],
      rows: [row, { ...row, reason: 'bad-property', isNote: true }],
      served: [
        {
          collection: 'all',
          live: 4,
          leftOut: [{ reason: 'expired', kind: 'domain', rows: 1 }],
          unaccounted: 2,
        },
      ],
      leftOut: [{ reason: 'expired', kind: 'domain', value: 'a\u202e.example', collections: ['all', 'ips'] }],
    };
  };
  const human = await run(['rejections', 'house', ...C], { rejections });
  t.match(
    human.out,
    /^Refused\nREASON +ROWS\nbad-value +12\n\nNotes, on rows that were taken\nREASON +NOTES\nbad-property +3\n/,
  );
  t.match(human.out, / bad-property \(note\) +no IPv4 /);
  t.match(human.out, /2026-11-18T11:06:40\.000Z +2 +bad-value +no IPv4 +\{"value":"\\u\{1b\}\[2J"\}\\u\{202e\}/);
  t.match(human.out, /house +all +7 +4 +1 expired, 2 not accounted for\n/);
  t.match(human.out, /\n {2}not accounted for: not decided yet/);
  t.match(human.out, /expired +domain +a\\u\{202e\}\.example +all, ips\n/);
  const json = await run(['rejections', 'house', '--limit', '0', '--json', ...C], { rejections });
  t.match(JSON.parse(json.out), {
    feed: 'house',
    counts: [{ count: 12 }],
    rows: [{ first_at: '2026-11-18T11:06:40.000Z', row: /\[2J/, is_note: false }, { is_note: true }],
    served: [{ collection: 'all', live: 4, left_out: [{ reason: 'expired', rows: 1 }], unaccounted: 2 }],
    left_out: [{ reason: 'expired', kind: 'domain', collections: ['all', 'ips'] }],
  });
  t.strictSame(asked, [
    ['house', 20],
    ['house', 0],
  ]);
  const none = await run(['rejections', 'house', ...C], {
    rejections: async () => ({ counts: [], rows: [], served: [], leftOut: [] }),
  });
  t.match(
    none.out,
    /^Refused\n\(none\)\n\nHeld, and served or left out\n.*\nhouse +\(none\) +no collection has its pool\n$/,
  );
});

t.test('client add says the key once; list and revoke do not know it', async (t) => {
  const asked: unknown[] = [];
  const addClient: Control['addClient'] = async (client) => {
    asked.push(client);
    return { ...client, key: 'slc_once' };
  };
  const json = await run(
    ['client', 'add', 'blue-team', '--collections', 'all, ips,all', '--tlp', 'green', '--rate', '5/s', '--json', ...C],
    { addClient },
  );
  t.strictSame(JSON.parse(json.out), {
    name: 'blue-team',
    key: 'slc_once',
    collections: ['all', 'ips'],
    tlp: 'green',
    rate: '5/s',
  });
  const human = await run(['client', 'add', 'siem', ...C], { addClient });
  t.match(
    human.out,
    /siem may read all collections up to TLP:AMBER, 600\/min\.\nIts key is shown only now:\nslc_once\n$/,
  );
  t.strictSame(asked, [
    { name: 'blue-team', collections: ['all', 'ips'], tlp: 'green', rate: { max: 5, per: 1000 } },
    { name: 'siem', collections: null, tlp: 'amber', rate: { max: 600, per: 60_000 } },
  ]);

  const hash = 'f'.repeat(64);
  const client = {
    name: 'siem',
    role: 'operator',
    collections: null,
    tlp: 'amber',
    rate: { max: 600, per: 60_000 },
    createdAt: NOW,
    revokedAt: NOW,
    keyHashes: [hash],
    certificates: [],
    pathKey: true,
  } as const;
  const listClients: Control['listClients'] = async () => [
    { ...client, writes: ['drop'], keyHashes: [hash], certificates: [] },
  ];
  const list = await run(['client', 'list', ...C], { listClients });
  t.match(list.out, /siem +revoked 2026-11-18T11:06:40\.000Z +all +drop +amber +600\/min/);
  const listed = await run(['client', 'list', '--json', ...C], { listClients });
  t.match(JSON.parse(listed.out), [
    { name: 'siem', writes: ['drop'], rate: '600/min', keys: 1, revoked_at: '2026-11-18T11:06:40.000Z' },
  ]);
  t.notMatch(list.out + listed.out, /ffff/);

  const revoked: string[] = [];
  const gone = await run(['client', 'revoke', 'siem', ...C], { revokeClient: async (name) => void revoked.push(name) });
  t.strictSame([gone.code, gone.out, revoked], [0, 'Client siem is revoked.\n', ['siem']]);
});

t.test('client add takes certificates by their file or fingerprint; there is no key to tell then', async (t) => {
  const asked: unknown[] = [];
  const addClient: Control['addClient'] = async (client) => {
    asked.push(client);
    return { ...client, key: null };
  };
  const [one, two] = ['ab'.repeat(32), 'cd'.repeat(32)];
  const shown = (one.toUpperCase().match(/../g) ?? []).join(':');
  const human = await run(['client', 'add', 'edge', '--fingerprint', shown, '--fingerprint', two, ...C], { addClient });
  t.match(human.out, /600\/min\.\nIt signs in with 2 certificates\.\n$/);
  t.match(asked, [{ name: 'edge', certificates: [one, two] }]);
  const json = await run(['client', 'add', 'edge', '--fingerprint', one, '--json', ...C], { addClient });
  t.match(JSON.parse(json.out), { key: null, certificates: [one] });
  const dir = t.testdir({ 'no.pem': 'not a certificate' });
  for (const wrong of [
    ['--fingerprint', 'abc'],
    ['--cert', join(dir, 'no.pem')],
    ['--cert', join(dir, 'missing.pem')],
  ]) {
    const refused = await run(['client', 'add', 'edge', ...wrong, ...C], { addClient });
    t.equal(refused.code, 2, wrong.join(' '));
  }
  t.equal(asked.length, 2);
});

t.test('rates, tables, ages and unprintable text', async (t) => {
  for (const text of ['1/s', '600/min', '1000/h', '1000000/d']) t.equal(formatRate(parseRate(text)), text);
  for (const text of ['', '0/s', '1', '1/m', '-1/s', '1.5/s', '9999999/s', '1/week'])
    t.throws(() => parseRate(text), text);
  t.equal(
    formatTable(
      ['A', 'NUMBER'],
      [
        ['x', 1],
        ['yyy', 1000],
      ],
    ),
    'A    NUMBER\nx         1\nyyy    1000\n',
  );
  t.equal(formatTable(['A'], [['a\nb']]), 'A\na\\u{a}b\n');
  t.equal(printable('a\u009b\u200fé😀'), 'a\\u{9b}\\u{200f}é😀');
  t.strictSame(
    [null, NOW, NOW - 119 * SECOND, NOW - 7199 * SECOND, NOW + 172_799 * SECOND, NOW - 172_800 * SECOND].map((at) =>
      ageText(at, NOW),
    ),
    ['-', 'now', '119s ago', '119m ago', 'in 47h', '2d ago'],
  );
});

function sluice(args: string[], env: Record<string, string> = {}, node: string[] = []) {
  const { SOCDEFENDERS_API_KEY: _, ...clean } = process.env;
  const options = { cwd: ROOT, encoding: 'utf8', env: { ...clean, ...env } } as const;
  const { status, stdout, stderr } = spawnSync(process.execPath, [...node, LAUNCHER, ...args], options);
  return { status, stdout, stderr };
}

t.test('the example configuration is valid as it stands, with the key and without', async (t) => {
  const without = sluice(['check-config', '--config', EXAMPLE]);
  t.equal(without.status, 0, without.stderr);
  t.match(without.stdout, /^The configuration is valid: feeds 1 \(and 1 left out\), pools 1, collections 6\.\n$/);
  t.match(
    without.stderr,
    /sluice\.example\.yaml:\d+:3: feeds\.socdefenders: is left out: .*SOCDEFENDERS_API_KEY is not set/,
  );
  const key = 'sk_live_CANARY0123456789';
  const withKey = sluice(['check-config', '--json', '--config', EXAMPLE], { SOCDEFENDERS_API_KEY: key });
  t.strictSame(JSON.parse(withKey.stdout), { valid: true, problems: [], warnings: [] });
  const printed = sluice(['print-config', '--config', EXAMPLE], { SOCDEFENDERS_API_KEY: key });
  t.equal(printed.status, 0);
  t.match(parse(printed.stdout), {
    feeds: { socdefenders: { key: { env: 'SOCDEFENDERS_API_KEY' } } },
    pools: { main: { profile: 'elastic-agent' } },
  });
  t.notMatch(printed.stdout + printed.stderr, /CANARY/);
  const bundle = JSON.parse(readFileSync(join(ROOT, 'examples', 'feed', 'example.json'), 'utf8'));
  t.ok(bundle.objects.length > 60);
});

t.test('a process of its own: refusals on standard error, exit codes 2 and 1', async (t) => {
  const dir = t.testdir({
    'bad.yaml': 'listen: { port: high }\nfeeds:\n  a: { format: stix, path: ., key: sk_live_CANARY }\n',
    'good.yaml': 'data: ./file\nfeeds: { a: { format: stix, path: . } }\npools: { p: { feeds: [a] } }\n',
    'idle.yaml': `data: ./data
feeds:
  off: { format: stix, path: ., enabled: false }
  keyless: { format: stix, url: "https://a.example", key: { env: NOT_SET, optional: true } }
pools: { p: { feeds: [off, keyless] } }
`,
    file: 'in the way',
  });
  const bad = sluice(['check-config', '--config', join(dir, 'bad.yaml')]);
  t.equal(bad.status, 2);
  t.equal(bad.stdout, '');
  t.match(
    bad.stderr
      .trim()
      .split('\n')
      .filter((line) => line.startsWith('sluice: ')),
    [
      /bad\.yaml:1:17: listen\.port: must be a whole number$/,
      /bad\.yaml:3:36: feeds\.a\.key: is a secret and never stands in this file/,
    ],
  );
  t.notMatch(bad.stderr, /CANARY|at .*\.ts/);
  const missing = sluice(['status', '--config', join(dir, 'none.yaml')]);
  t.strictSame([missing.status, missing.stdout], [2, '']);
  t.match(missing.stderr, /none\.yaml can't be read \(ENOENT\)\./);
  t.match(sluice(['status', '--config', dir]), { status: 2, stderr: /can't be read \(EISDIR\)\./ });
  for (const [feed, why] of [
    ['off', /The feed off is not polled: it is switched off/],
    ['keyless', /The feed keyless is not polled: its optional key is not there/],
    ['none', /No feed is called none\./],
  ] as const) {
    t.match(sluice(['poll', feed, '--config', join(dir, 'idle.yaml')]), { status: 1, stdout: '', stderr: why });
  }
  const good = ['--config', join(dir, 'good.yaml')];
  const elsewhere = [...good, '--data', join(dir, 'mistyped')];
  const none = sluice(['client', 'list', ...elsewhere]);
  t.match(none, { status: 1, stdout: '', stderr: /There is no store in .*mistyped yet, or it is kept elsewhere\./ });
  t.notOk(existsSync(join(dir, 'mistyped')), 'asking makes nothing');
  mkdirSync(join(dir, 'other', 'things'), { recursive: true });
  t.match(sluice(['status', ...good, '--data', join(dir, 'other')]), { status: 1, stderr: /There is no store in / });
  t.strictSame(readdirSync(join(dir, 'other')), ['things'], 'nor in a directory of others');
  const made = {
    status: 0,
    stdout: /Its key is shown only now/,
    stderr: /There was no store in .*mistyped: a new one was made\./,
  };
  t.match(sluice(['client', 'add', 'team', ...elsewhere]), made);
  t.match(sluice(['client', 'list', ...elsewhere]), { status: 0, stdout: /team/, stderr: '' });
  t.match(sluice(['status', ...good]), { status: 1, stdout: '', stderr: /There is no store in / });
  const blocked = sluice(['client', 'add', 'team', ...good]);
  t.equal(blocked.status, 1);
  t.match(blocked.stderr, /data directory .* cannot be used/);
});

// What the launcher sees of itself is changed, so that it takes the way it takes under an older Node.
const asNode20 = [
  '--import',
  "data:text/javascript,Object.defineProperty(process,'versions',{value:{...process.versions,node:'20.1.0'}})",
];
const npmWith = (version: string) => ({
  npm_config_user_agent: `npm/10.0.0 node/v${version} linux x64`,
  npm_node_execpath: process.execPath,
});
const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));

t.test("under an older Node the launcher takes npm's Node when that is new enough, else the project's", async (t) => {
  t.match(sluice(['--version'], {}), { status: 0, stdout: `${version}\n` }, 'a new one runs it itself');
  t.match(sluice(['--version'], npmWith('24.0.0'), asNode20), { status: 0, stdout: `${version}\n` }, "npm's");
  t.match(sluice(['--version'], npmWith('20.1.0'), asNode20), { status: 0, stdout: `${version}\n` }, "the project's");
  t.match(
    sluice(['nonsense'], npmWith('24.0.0'), asNode20),
    { status: 2, stderr: /unknown command/ },
    'its exit code passes through',
  );
});

t.test('without any Node that is new enough the launcher says what to do', async (t) => {
  const dir = t.testdir({ bin: {}, src: { 'main.ts': 'process.exit(9)' } });
  cpSync(LAUNCHER, join(dir, 'bin', 'sluice.mjs'));
  const options = { encoding: 'utf8', env: { ...process.env, ...npmWith('22.3.0') } } as const;
  const ran = spawnSync(process.execPath, [...asNode20, join(dir, 'bin', 'sluice.mjs')], options);
  t.equal(ran.status, 1);
  t.match(ran.stderr, /^sluice: Node 24 or newer is needed, this is 20\.1\.0\. Run `npm ci`/);
});

t.test('the launcher passes signals on, and answers for how the other process ended', async (t) => {
  const main = `
    process.on('SIGTERM', () => process.exit(7));
    console.log('up', process.argv.slice(2).join(' '));
    process.stdin.resume();
  `;
  const dir = t.testdir({ bin: {}, src: { 'main.ts': main } });
  const launcher = join(dir, 'bin', 'sluice.mjs');
  cpSync(LAUNCHER, launcher);
  for (const [signal, code] of [
    ['SIGTERM', 7],
    ['SIGHUP', 129],
  ] as const) {
    const env = { ...process.env, ...npmWith('24.0.0') };
    const child = spawn(process.execPath, [...asNode20, launcher, 'a', 'b c'], {
      env,
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const [said] = await once(child.stdout, 'data');
    t.equal(String(said), 'up a b c\n');
    child.kill(signal);
    t.strictSame(await once(child, 'exit'), [code, null], signal);
  }
});
