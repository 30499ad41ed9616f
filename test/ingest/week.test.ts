// slow (22 s): a simulated week
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import t, { type Test } from 'tap';
import { MICROS_PER_DAY, MICROS_PER_SECOND, type Micros } from '../../src/model/clock.ts';
import { formatMillis } from '../../src/model/timestamp.ts';
import type { ResolveAll } from '../../src/upstream/dispatcher.ts';
import { type SteppedClock, seededRandom, settled, steppedClock } from '../helpers/clock.ts';
import { openGateway, readAll } from '../helpers/gateway.ts';
import { START, uuidOf } from '../helpers/store.ts';
import { fullRow, startUpstream, UPSTREAM_KEY } from '../helpers/upstream.ts';

// A week of requests, each of them real.
t.setTimeout(900_000);

const MINUTE = 60 * MICROS_PER_SECOND;
const HOUR = 60 * MINUTE;

/** What an upstream asked for, and what our clock was set forward since: that is time to us, and nobody can tell. */
class Patience {
  readonly #clock: SteppedClock;
  #until: Micros = 0;
  early = 0;
  hints = 0;
  forward = 0;

  constructor(clock: SteppedClock) {
    this.#clock = clock;
  }

  ask(wait: Micros): void {
    this.hints += 1;
    this.#until = Math.max(this.#until, this.#clock.truth() + wait);
    this.forward = 0;
  }

  check(): void {
    if (this.#clock.truth() + this.forward < this.#until) this.early += 1;
  }
}

type Break = (reply: ServerResponse, patience: Patience, clock: SteppedClock) => void;

/** Everything that goes wrong, each as an answer; what it asks for is noted. */
const breaks: Record<string, Break> = {
  '429 Retry-After': (reply, patience) => {
    patience.ask(1800 * MICROS_PER_SECOND);
    reply.writeHead(429, { 'retry-after': '1800' }).end();
  },
  '429 Retry-After, soon': (reply, patience) => {
    patience.ask(20 * MICROS_PER_SECOND);
    reply.writeHead(429, { 'retry-after': '20' }).end();
  },
  '429 date': (reply, patience, clock) => {
    const until = Math.ceil(clock.truth() / MICROS_PER_SECOND) * MICROS_PER_SECOND + HOUR;
    // Dates are whole seconds, so the wait that they name may be one shorter.
    patience.ask(until - clock.truth() - MICROS_PER_SECOND);
    reply.writeHead(429, { date: httpDate(clock.truth()), 'retry-after': httpDate(until) }).end();
  },
  '429 Reset': (reply, patience, clock) => {
    const reset = Math.ceil(clock.truth() / MICROS_PER_SECOND) + 600;
    patience.ask(599 * MICROS_PER_SECOND);
    reply.writeHead(429, { date: httpDate(clock.truth()), 'x-ratelimit-reset': String(reset) }).end();
  },
  '429': (reply, patience) => {
    patience.ask(MINUTE);
    reply.writeHead(429).end();
  },
  '503 Retry-After': (reply, patience) => {
    patience.ask(300 * MICROS_PER_SECOND);
    reply.writeHead(503, { 'retry-after': '300' }).end();
  },
  '500': (reply) => void reply.writeHead(500).end(),
  html: (reply) => void reply.writeHead(200).end('<html>Just a moment...</html>'),
  reset: (reply) => {
    reply.writeHead(200, { 'content-length': 10_000 });
    reply.write('{"type":"bundle","objects":[', () => reply.socket?.destroy());
  },
  half: (reply) => void reply.writeHead(200).end('{"type":"bundle","data":[{"type":"domain"'),
  drop: (reply) => void reply.socket?.destroy(),
};
const names = Object.keys(breaks);

function httpDate(micros: Micros): string {
  return new Date(micros / 1000).toUTCString();
}

function indicator(n: number, at: Micros) {
  const time = formatMillis(at);
  return {
    type: 'indicator',
    spec_version: '2.1',
    id: `indicator--${uuidOf(String(n))}`,
    created: time,
    modified: time,
    pattern: `[url:value = 'https://list.example/${n}']`,
    pattern_type: 'stix',
    valid_from: time,
  };
}

/** A list with an ETag, as a whole at each request. */
async function startList(t: Test, answer: (reply: ServerResponse, ifNoneMatch: string | undefined) => void) {
  const server = createServer((request, reply) => {
    // A connection each: names are looked up anew.
    reply.setHeader('connection', 'close');
    answer(reply, request.headers['if-none-match']);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

t.test('a week of everything that goes wrong loses no row and never calls early', async (t) => {
  const seed = 20260101;
  const random = seededRandom(seed);
  t.comment(`seed ${seed}`);
  const clock = steppedClock(START);
  const end = START + 7 * MICROS_PER_DAY;
  const troubleEnds = end - 10 * HOUR;
  const went = new Map<string, number>();
  let isResolving = true;
  let outage: string | null = null;
  /** What goes wrong with this request; null: nothing. */
  const trouble = (): Break | null => {
    if (clock.truth() > troubleEnds) return null;
    const name = outage ?? (random() < 0.25 ? names[Math.floor(random() * names.length)] : null);
    if (name === null || name === undefined) return null;
    went.set(name, (went.get(name) ?? 0) + 1);
    return breaks[name] ?? null;
  };

  const listPatience = new Patience(clock);
  let list = [indicator(0, START)];
  let unchanged = 0;
  let lists = 0;
  let lastGood: Micros | null = null;
  let tooSoon = 0;
  const forward: { at: Micros; step: Micros }[] = [];
  const EVERY = 30 * MINUTE;
  // The pace counts from a poll's start, and a poll that is lucky at its third try began this much earlier at most.
  const TRIES = 5 * MINUTE;
  const port = await startList(t, (reply, ifNoneMatch) => {
    lists += 1;
    listPatience.check();
    const began = lastGood === null ? Number.NEGATIVE_INFINITY : lastGood - TRIES;
    const stepped = forward.reduce((sum, { at, step }) => (at >= began ? sum + step : sum), 0);
    if (clock.truth() + stepped < began + EVERY) tooSoon += 1;
    const wrong = trouble();
    lastGood = wrong === null ? clock.truth() : null;
    if (wrong !== null) return wrong(reply, listPatience, clock);
    const etag = `"${list.length}"`;
    if (ifNoneMatch === etag) {
      unchanged += 1;
      return void reply.writeHead(304, { date: httpDate(clock.truth()) }).end();
    }
    const bundle = { type: 'bundle', id: `bundle--${uuidOf('b')}`, objects: list };
    reply.writeHead(200, { etag, date: httpDate(clock.truth()) }).end(JSON.stringify(bundle));
  });
  const socPatience = new Patience(clock);
  const soc = await startUpstream(t, {
    limits: { minute: 100, day: 50_000 },
    clock: { ...clock, now: clock.truth },
  });
  soc.onRequest = () => {
    socPatience.check();
    const wrong = trouble();
    soc.faults = wrong === null ? [] : [(_, reply) => wrong(reply, socPatience, clock)];
  };

  let lookups = 0;
  const resolveAll: ResolveAll = (hostname, callback) =>
    setImmediate(() => {
      lookups += 1;
      if (isResolving) callback(null, [{ address: '127.0.0.1', family: 4 }]);
      else callback(Object.assign(new Error(`getaddrinfo ${hostname}`), { code: 'EAI_AGAIN' }), []);
    });
  const yaml = `
data: ./data
feeds:
  soc: { preset: socdefenders, plan: pro, url: "${soc.url}", key: { env: SOC_KEY }, internal: true, every: 15m }
  list: { format: stix, url: "http://list.test:${port}/list", internal: true, every: 30m }
pools: { main: { feeds: [soc, list] } }
collections: { all: { pool: main } }
`;
  let n = 0;
  let steps = 0;
  let unresolved = 0;
  let isWorst = true;
  /** What the world does while nobody is looking. */
  const live = (): void => {
    // The worst night is in every week: nothing answers for hours, and then the clock is set back by more than is left.
    if (isWorst && clock.truth() > troubleEnds - 3 * HOUR) outage = 'drop';
    if (isWorst && clock.truth() > troubleEnds - MINUTE) {
      clock.setOffset(clock.offset() - MICROS_PER_DAY);
      isWorst = false;
    }
    const isLate = clock.truth() > end - 2 * HOUR;
    if (!isLate && random() < 0.02) {
      n += 1;
      soc.rows.push(fullRow(n, clock.truth()));
    }
    if (!isLate && random() < 0.004) list = [...list, indicator(list.length, clock.truth())];
    const isCalm = clock.truth() > troubleEnds;
    if (isCalm || random() < 0.01) outage = null;
    else if (random() < 0.0015) outage = names[Math.floor(random() * names.length)] ?? null;
    if (isCalm || random() < 0.02) isResolving = true;
    else if (random() < 0.002) isResolving = false;
    if (!isResolving) unresolved += 1;
    if (random() < 0.001) {
      steps += 1;
      // Mostly back, up to two days; now and then forward. Never beyond what rows live.
      const step = Math.floor(random() < 0.7 ? -random() * 2 * MICROS_PER_DAY : random() * 2 * HOUR);
      clock.setOffset(Math.max(clock.offset() + step, -6 * MICROS_PER_DAY));
      if (step > 0) {
        for (const patience of [listPatience, socPatience]) patience.forward += step;
        forward.push({ at: clock.truth(), step });
      }
    }
  };

  const dir = t.testdir();
  for (let life = 1; clock.truth() < end && t.passing(); life += 1) {
    const until = Math.min(end, clock.truth() + Math.floor(random() * 30 * HOUR));
    await t.test(`life ${life}`, async (t) => {
      const gateway = await openGateway(t, dir, yaml, { clock, env: { SOC_KEY: UPSTREAM_KEY }, resolveAll });
      gateway.side.start();
      do {
        live();
        await settled(clock, 3);
      } while (clock.wake(until));
      await settled(clock, 3);
      if (until < end) return;
      const patterns = new Set((await readAll(gateway, 'all')).map((object) => object['pattern']));
      const missing = soc.rows.filter(({ row }) => !patterns.has(`[domain-name:value = '${(row as any).value}']`));
      t.equal(missing.length, 0, `all of ${n} rows arrived`);
      t.equal(list.filter(({ pattern }) => !patterns.has(pattern)).length, 0, `and all ${list.length} of the list`);
      const { feeds } = await gateway.side.status();
      for (const feed of feeds) t.equal(feed.error, null);
      t.strictSame(
        feeds.map(({ failures, gap }) => [failures, gap]),
        [
          [0, null],
          [0, null],
        ],
        'well again, and nothing was out of reach',
      );
    });
  }
  t.strictSame([...went.keys()].sort(), [...names].sort(), 'everything went wrong at least once');
  t.ok(steps >= 5, `${steps} clock steps`);
  t.ok(unresolved > 50 && lookups > 50, `${unresolved} times without names`);
  t.ok(unchanged > 20, `${unchanged} of ${lists} lists were 304`);
  t.ok(listPatience.hints + socPatience.hints > 30);
  t.strictSame([listPatience.early, socPatience.early], [0, 0], 'no request before the time that the upstream named');
  t.equal(tooSoon, 0, 'nor before its interval');
  t.equal(soc.requests.filter(({ status, at }) => status === 429 && at > troubleEnds).length, 0);
});
