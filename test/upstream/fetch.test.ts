// slow (8 s): bodies that are too large, and upstreams that hang
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Readable } from 'node:stream';
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import t, { type Test } from 'tap';
import { Agent } from 'undici';
import type { AccountLimits, FeedRequest, FeedResponse } from '../../src/feeds/feed.ts';
import { MICROS_PER_DAY, MICROS_PER_SECOND } from '../../src/model/clock.ts';
import { GatewayError } from '../../src/model/error.ts';
import { Secret } from '../../src/model/secret.ts';
import type { Flights } from '../../src/model/single-flight.ts';
import { createCookieJar } from '../../src/upstream/cookies.ts';
import { type BodyCaps, bodyCaps, decodeBody } from '../../src/upstream/decode-body.ts';
import { createFetcher, type FeedFetcher, type FetchedAnswer } from '../../src/upstream/fetch.ts';
import type { Validators } from '../../src/upstream/send.ts';
import { type ScriptedClock, scriptedClock } from '../helpers/clock.ts';
import { openTemporaryStore, START } from '../helpers/store.ts';

const KEY = 'canary-key-0123456789';
const NONE: Validators = { etag: null, lastModified: null, bodyHash: null };
const MB = 1024 * 1024;

type Handler = (request: IncomingMessage, reply: ServerResponse) => void;

interface Bench {
  url: string;
  port: number;
  clock: ScriptedClock;
  /** Every request that came: its path with its headers. */
  seen: { method: string; path: string; headers: Record<string, unknown>; body: string }[];
  /** Bytes of answers that this machine took in, over all connections. */
  written(): number;
  openSockets(): number;
  handler: Handler;
  fetcher(over?: Partial<Over>): FeedFetcher;
  account(): ReturnType<Awaited<ReturnType<typeof openTemporaryStore>>['writer']['account']>;
  ask(more?: Partial<FeedRequest>): FeedRequest;
}

interface Over {
  caps: Partial<BodyCaps>;
  validators: Validators;
  limits: AccountLimits;
  flights: Flights<FetchedAnswer>;
  signal: AbortSignal;
  dispatchersKey: string;
  interimTimeout: number;
}

/** The fetcher on a real store and a server that does as the test says; every name of `*.feed.test` is this machine. */
async function open(t: Test, handler: Handler): Promise<Bench> {
  const clock = scriptedClock(START, { auto: true });
  const { writer } = await openTemporaryStore(t, clock);
  const sockets = new Set<{ bytesWritten: number; destroyed: boolean }>();
  const server = createServer(async (request, reply) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    bench.seen.push({ method: request.method ?? '', path: request.url ?? '', headers: request.headers, body });
    bench.handler(request, reply);
  });
  server.on('connection', (socket) => sockets.add(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const dispatcher = new Agent({
    bodyTimeout: 300,
    headersTimeout: 300,
    connect: { lookup: (_, { all }, callback) => (all ? callback(null, [here]) : callback(null, here.address, 4)) },
  });
  const here = { address: '127.0.0.1', family: 4 };
  t.teardown(async () => {
    await dispatcher.destroy();
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${port}`;
  const bench: Bench = {
    url,
    port,
    clock,
    seen: [],
    handler,
    written: () => [...sockets].reduce((sum, { bytesWritten }) => sum + bytesWritten, 0),
    openSockets: () => [...sockets].filter(({ destroyed }) => !destroyed).length,
    account: () => writer.account('account'),
    fetcher({
      caps = {},
      validators = NONE,
      limits = { minInterval: 0, windows: [] },
      signal,
      dispatchersKey = '',
      ...over
    } = {}) {
      return createFetcher({
        clock,
        writer,
        account: { origin: url, key: null, limits },
        accountName: 'account',
        validators,
        userAgent: 'Sluice/test (threat-intelligence gateway)',
        signal: signal ?? new AbortController().signal,
        caps,
        dispatchers: { key: dispatchersKey, plain: dispatcher, certified: null },
        ...over,
      });
    },
    ask: (more = {}) => ({ url: new URL('/feed', url), ...more }),
  };
  return bench;
}

const authorization = { header: 'authorization', scheme: 'Bearer', key: new Secret(KEY) };

async function textOf(response: FeedResponse | null): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const part of response?.body ?? []) parts.push(part);
  return Buffer.concat(parts).toString();
}

async function failureOf(work: Promise<unknown>): Promise<GatewayError> {
  const error = await work.then(
    () => new Error('it did not fail'),
    (error: unknown) => error,
  );
  if (!(error instanceof GatewayError)) throw error;
  return error;
}

t.test('a request carries the user agent, the accepted codings, and the key in a header only', async (t) => {
  const bench = await open(t, (_, reply) => reply.end('rows'));
  const fetcher = bench.fetcher();
  const response = await fetcher.fetch(bench.ask({ authorization, headers: { accept: 'text/csv' } }));
  t.equal(await textOf(response), 'rows');
  t.equal(fetcher.requests(), 1);
  t.match(bench.seen[0], {
    method: 'GET',
    path: '/feed',
    headers: {
      accept: 'text/csv',
      authorization: `Bearer ${KEY}`,
      'user-agent': /^Sluice\/\S+ \(threat-intelligence gateway\)$/,
      'accept-encoding': 'gzip, br, zstd',
    },
  });
});

t.test('every accepted coding is decoded; an unknown or broken coding is malformed', async (t) => {
  const text = 'one\n'.repeat(1000);
  const bench = await open(t, () => undefined);
  const codings: [string, Buffer][] = [
    ['gzip', gzipSync(text)],
    ['x-gzip', gzipSync(text)],
    ['deflate', deflateSync(text)],
    ['br', brotliCompressSync(text)],
    ['zstd', zstdCompressSync(text)],
    ['identity', Buffer.from(text)],
    ['GZIP', gzipSync(text)],
  ];
  for (const [coding, bytes] of codings) {
    bench.handler = (_, reply) => reply.writeHead(200, { 'content-encoding': coding }).end(bytes);
    t.equal(await textOf(await bench.fetcher().fetch(bench.ask())), text, coding);
  }
  const bad: [string, Buffer][] = [
    ['gzip', Buffer.from('not gzip at all')],
    ['gzip', gzipSync(text).subarray(0, 30)],
    ['br', Buffer.from('not brotli at all')],
    ['zstd', Buffer.from('not zstd at all')],
    ['compress', Buffer.from(text)],
    ['gzip, gzip', gzipSync(gzipSync(text))],
  ];
  for (const [coding, bytes] of bad) {
    bench.handler = (_, reply) => reply.writeHead(200, { 'content-encoding': coding }).end(bytes);
    const error = await failureOf(bench.fetcher().fetch(bench.ask()));
    t.equal(error.code, 'upstream-malformed', `${coding}: ${error.message}`);
  }
});

t.test('a decompression bomb is stopped, in every coding', async (t) => {
  const zeros = Buffer.alloc(64 * MB);
  const bombs = { gzip: gzipSync(zeros), br: brotliCompressSync(zeros), zstd: zstdCompressSync(zeros) };
  const bench = await open(t, () => undefined);
  for (const [coding, bytes] of Object.entries(bombs)) {
    bench.handler = (_, reply) => reply.writeHead(200, { 'content-encoding': coding }).end(bytes);
    const error = await failureOf(bench.fetcher({ caps: { ratioFromBytes: MB, maxRatio: 50 } }).fetch(bench.ask()));
    t.equal(error.code, 'upstream-too-large', coding);
    t.match(error.message, /more than 50 times its size/);
    // The first bytes may be read ahead; the rest must be stopped by whoever reads on.
    const small = bench.fetcher({ caps: { ratioFromBytes: 16 * MB, bufferBytes: MB } });
    const response = await small.fetch(bench.ask());
    let came = 0;
    const reading = (async () => {
      for await (const chunk of response?.body ?? []) came += chunk.length;
    })();
    t.equal((await failureOf(reading)).code, 'upstream-too-large', `${coding}, while it is read`);
    t.ok(came <= 17 * MB, `${came} bytes of 64 MB came through`);
    t.equal(small.validators().bodyHash, null, 'a body that was cut leaves nothing to compare');
  }
});

const endless: Handler = (_, reply) => {
  reply.writeHead(200);
  const chunk = Buffer.alloc(256 * 1024, ' ');
  const pour = (): void => {
    while (!reply.destroyed && reply.write(chunk));
    if (!reply.destroyed) reply.once('drain', pour);
  };
  pour();
};

t.test('an endless body ends at the cap, and its connection is closed', async (t) => {
  const bench = await open(t, endless);
  const error = await failureOf(bench.fetcher({ caps: { maxBytes: 4 * MB } }).fetch(bench.ask()));
  t.match(error, { code: 'upstream-too-large', message: /more than 4194304 bytes/ });
  while (bench.openSockets() > 0) await new Promise(setImmediate);
  t.ok(bench.written() < 32 * MB, `${bench.written()} bytes were taken in`);
  const before = bench.written();
  const response = await bench.fetcher({ caps: { maxBytes: 4 * MB, bufferBytes: MB } }).fetch(bench.ask());
  t.equal((await failureOf(textOf(response))).code, 'upstream-too-large', 'while it is read, too');
  while (bench.openSockets() > 0) await new Promise(setImmediate);
  t.ok(bench.written() - before < 32 * MB);
});

t.test('a reader that stops closes the connection', async (t) => {
  const bench = await open(t, endless);
  const response = await bench.fetcher({ caps: { bufferBytes: MB } }).fetch(bench.ask());
  for await (const _ of response?.body ?? []) break;
  while (bench.openSockets() > 0) await new Promise(setImmediate);
  t.pass('closed');
});

t.test('only the first bytes of an error body are read', async (t) => {
  const bench = await open(t, (request, reply) => {
    reply.statusCode = 403;
    reply.write('no');
    endless(request, Object.assign(reply, { writeHead: () => reply }));
  });
  let told = '';
  const explain: FeedRequest['explain'] = (_status, body) => {
    told = body;
    return new GatewayError('upstream-forbidden', 'in our words');
  };
  t.match(await failureOf(bench.fetcher().fetch(bench.ask({ explain }))), { message: 'in our words' });
  t.match(told, /^no /);
  t.equal(told.length, 4096);
  while (bench.openSockets() > 0) await new Promise(setImmediate);
  t.ok(bench.written() < 16 * MB);
});

t.test('JSON larger than the cap is refused; a byte order mark is dropped', async (t) => {
  const bench = await open(t, (_, reply) => reply.end(`\uFEFF{"a":"${'x'.repeat(1000)}"}`));
  t.match(await (await bench.fetcher().fetch(bench.ask()))?.json(), { a: /^x{1000}$/ });
  const small = await bench.fetcher({ caps: { maxJsonBytes: 500 } }).fetch(bench.ask());
  t.equal((await failureOf((small as FeedResponse).json())).code, 'upstream-too-large');
});

t.test('an answer that would fill the heap when parsed is refused before parsing', async (t) => {
  const bench = await open(t, (_, reply) => reply.end(`[${'{},'.repeat(1_000_000)}{}]`));
  const answer = (await bench.fetcher().fetch(bench.ask())) as FeedResponse;
  t.match(await failureOf(answer.json()), { code: 'upstream-too-large', message: /more than 1000000 values/ });
});

t.test('an upstream that is silent before or inside its answer, or too slow, is a timeout', async (t) => {
  const bench = await open(t, () => undefined);
  t.match(await failureOf(bench.fetcher().fetch(bench.ask())), { code: 'upstream-timeout', message: /did not answer/ });
  t.equal(bench.seen.length, 3, 'tried again, and again');
  bench.handler = (_, reply) => void reply.writeHead(200).write('{');
  bench.clock.set(bench.clock.now() + 3600 * MICROS_PER_SECOND);
  t.equal((await failureOf(bench.fetcher().fetch(bench.ask()))).code, 'upstream-timeout');
  bench.clock.set(bench.clock.now() + 3600 * MICROS_PER_SECOND);
  bench.handler = (_, reply) => {
    const drip = (): void => {
      if (reply.destroyed) return;
      bench.clock.set(bench.clock.now() + 10 * 60 * MICROS_PER_SECOND);
      reply.write(drop, () => setTimeout(drip, 5));
    };
    drip();
  };
  let drop = Buffer.alloc(64 * 1024);
  t.match(await failureOf(bench.fetcher().fetch(bench.ask())), {
    code: 'upstream-timeout',
    message: /more than 1800 s for one answer/,
  });
  drop = Buffer.alloc(1);
  t.match(await failureOf(bench.fetcher().fetch(bench.ask())), {
    code: 'upstream-timeout',
    message: /less than 32768 bytes in 60 s/,
  });
});

t.test('the least rate counts only the time in which bytes are waited for', async (t) => {
  const clock = scriptedClock(START);
  const read = async (wait: number, size: number, work: number): Promise<number> => {
    const raw = (async function* () {
      for (let n = 0; n < 10; n += 1) {
        clock.set(clock.now() + wait * MICROS_PER_SECOND);
        yield Buffer.alloc(size);
      }
    })() as unknown as Readable;
    let came = 0;
    for await (const chunk of decodeBody(raw, { encoding: undefined, host: 'h', caps: bodyCaps, clock })) {
      came += chunk.length;
      clock.set(clock.now() + work * MICROS_PER_SECOND);
    }
    return came;
  };
  t.equal(await read(20, 11 * 1024, 0), 110 * 1024, 'just fast enough');
  t.match(await failureOf(read(20, 10 * 1024, 0)), { code: 'upstream-timeout', message: /less than 32768 bytes/ });
  t.equal(await read(1, 10, 600), 100, 'however long each piece is worked on');
  t.equal(await read(5, 10, 0), 100, 'a short answer that ends within the minute may be as slow as it likes');
});

t.test('interim answers are bounded in number and time', async (t) => {
  const hint = 'HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n';
  const final = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nin';
  let [count, every] = [3, 0];
  const bench = await open(t, (request) => {
    const hints = (left: number): void => {
      if (request.socket.destroyed) return;
      if (left === 0) return void request.socket.end(final);
      request.socket.write(hint);
      setTimeout(() => hints(left - 1), every);
    };
    hints(count);
  });
  t.equal(await textOf(await bench.fetcher().fetch(bench.ask())), 'in', 'a few are passed over');
  [count, every] = [50, 10];
  t.match(await failureOf(bench.fetcher({ interimTimeout: 30 }).fetch(bench.ask())), { code: 'upstream-timeout' });
  [count, every] = [150, 0];
  t.match(await failureOf(bench.fetcher().fetch(bench.ask())), { code: 'upstream-timeout' });
  t.equal((await bench.account()).breaker?.failures, 5, 'and the upstream is not well');
});

t.test('a cookie is sent back to the host that set it, within one pull', async (t) => {
  const bench = await open(t, (request, reply) => {
    if (request.headers.cookie?.includes('lb=a1') === true) return void reply.end('in');
    reply.writeHead(302, {
      location: request.url,
      'set-cookie': [
        'lb=a1; Path=/; HttpOnly',
        'gone=1; Max-Age=0',
        'old=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT',
        'other=2; Path=/elsewhere',
        'tls=3; Secure; Path=/',
      ],
    });
    reply.end();
  });
  const fetcher = bench.fetcher();
  t.equal(await textOf(await fetcher.fetch(bench.ask())), 'in');
  t.equal(await textOf(await fetcher.fetch(bench.ask())), 'in');
  t.strictSame(
    bench.seen.map(({ headers }) => headers['cookie']),
    [undefined, 'lb=a1', 'lb=a1'],
  );
  const elsewhere = { url: new URL(`http://other.feed.test:${bench.port}/feed`) };
  t.equal(await textOf(await fetcher.fetch(bench.ask(elsewhere))), 'in');
  t.equal(bench.seen[3]?.headers['cookie'], undefined, 'another host has its own');
  await bench.fetcher().fetch(bench.ask());
  t.equal(bench.seen.at(-2)?.headers['cookie'], undefined, 'and another pull begins without');
  const error = await failureOf(
    (async () => {
      bench.handler = (request, reply) =>
        void reply.writeHead(302, { location: request.url, 'set-cookie': 'secret-cookie=1' }).end();
      await bench.fetcher().fetch(bench.ask());
    })(),
  );
  t.notMatch(JSON.stringify([error, error.message, String(error.stack)]), /secret-cookie/);
});

t.test('a Last-Modified later than the answer is not sent back: the upstream would answer 304 for ever', async (t) => {
  const bench = await open(t, (_, reply) => reply.end('rows'));
  const never = 'Fri, 31 Dec 9999 23:59:59 GMT';
  const [before, after] = [-1, 3600].map((s) => new Date(START / 1000 + s * 1000).toUTCString()) as [string, string];
  for (const [lastModified, kept] of [
    [before, before],
    [after, null],
    [never, null],
    ['yesterday', 'yesterday'],
  ] as const) {
    bench.clock.set(START);
    bench.handler = (_, reply) =>
      void reply
        .writeHead(200, { date: new Date(START / 1000).toUTCString(), 'last-modified': lastModified })
        .end('rows');
    const fetcher = bench.fetcher();
    await textOf(await fetcher.fetch(bench.ask({ conditional: true })));
    t.equal(fetcher.validators().lastModified, kept, lastModified);
    bench.seen.length = 0;
    const stored = { etag: null, lastModified, bodyHash: 'h' };
    await textOf(await bench.fetcher({ validators: stored }).fetch(bench.ask({ conditional: true })));
    t.equal(bench.seen[0]?.headers['if-modified-since'], kept ?? undefined, 'nor is one that was kept before');
  }
});

t.test('cookies are bounded, and are sent under their path only', (t) => {
  const cookies = createCookieJar(scriptedClock(START));
  const at = new URL('https://h.test/a/b');
  cookies.save(at, 'x=1');
  t.equal(cookies.headerFor(new URL('https://h.test/a/c')), 'x=1');
  t.equal(cookies.headerFor(new URL('https://h.test/a')), 'x=1');
  for (const other of [
    'https://h.test/ab',
    'https://h.test/',
    'https://h.test:8443/a/b',
    'http://h.test/a/b',
    'https://www.h.test/a/b',
  ]) {
    t.equal(cookies.headerFor(new URL(other)), null, other);
  }
  cookies.save(at, ['x=2', 'no-name', '=v', 'x y=1']);
  t.equal(cookies.headerFor(at), 'x=2');
  for (let n = 0; n < 200; n += 1) cookies.save(at, `n${n}=${'v'.repeat(1000)}`);
  const header = cookies.headerFor(at) ?? '';
  t.ok(header.length <= 8192 && header.length > 7000);
  t.end();
});

t.test('a connection that breaks while the body is buffered is retried; later the reader gets the error', async (t) => {
  let times = 0;
  const bench = await open(t, (request, reply) => {
    times += 1;
    if (times > 1) return void reply.end('whole');
    reply.writeHead(200, { 'content-length': 10_000 });
    reply.write('half', () => request.socket.destroy());
  });
  const fetcher = bench.fetcher();
  t.equal(await textOf(await fetcher.fetch(bench.ask())), 'whole');
  t.equal(fetcher.requests(), 2);
  bench.handler = (request, reply) => {
    reply.writeHead(200, { 'content-length': 3 * MB });
    reply.write(Buffer.alloc(2 * MB), () => setTimeout(() => request.socket.destroy(), 20));
  };
  const late = bench.fetcher({ caps: { bufferBytes: MB } });
  const error = await failureOf(textOf(await late.fetch(bench.ask({ conditional: true }))));
  t.match(error, { code: 'upstream-failed', message: /could not be read/ });
  t.equal(error.cause, undefined, 'no cause that may quote the request');
  t.strictSame(late.validators(), NONE);
});

t.test('5xx, 408 and 425 are tried three times with growing pauses; 4xx once', async (t) => {
  const bench = await open(t, () => undefined);
  for (const [status, times, code] of [
    [500, 3, 'upstream-failed'],
    [503, 1, 'upstream-failed'],
  ] as const) {
    bench.seen.length = 0;
    bench.clock.set(bench.clock.now() + 3600 * MICROS_PER_SECOND);
    const before = bench.clock.now();
    bench.handler = (_, reply) => reply.writeHead(status, status === 503 ? { 'retry-after': '3600' } : {}).end();
    const error = await failureOf(bench.fetcher().fetch(bench.ask()));
    t.equal(error.code, code);
    t.equal(bench.seen.length, times, `${status}`);
    if (status === 500) t.ok(bench.clock.now() - before >= 3 * MICROS_PER_SECOND, 'with pauses');
    else t.equal(error.retryAfter, 3600, 'a hint that is too far away ends it, and says when to come back');
  }
  for (const status of [400, 404, 410, 418]) {
    bench.seen.length = 0;
    bench.clock.set(bench.clock.now() + 24 * 3600 * MICROS_PER_SECOND);
    bench.handler = (_, reply) => reply.writeHead(status).end();
    t.match(await failureOf(bench.fetcher().fetch(bench.ask())), { message: new RegExp(`answered ${status}`) });
    t.equal(bench.seen.length, 1, `${status}`);
  }
  for (const [status, code] of [
    [401, 'upstream-unauthorized'],
    [403, 'upstream-forbidden'],
  ] as const) {
    bench.handler = (_, reply) => reply.writeHead(status).end();
    t.equal((await failureOf(bench.fetcher().fetch(bench.ask()))).code, code);
  }
});

t.test('a short 429 is waited for, a long one ends the poll; no request is sent in between', async (t) => {
  let hints: Record<string, string> = { 'retry-after': '30' };
  let isLimited = true;
  const bench = await open(t, (_, reply) => {
    const limited = isLimited;
    isLimited = false;
    reply.writeHead(limited ? 429 : 200, limited ? hints : {}).end('rows');
  });
  const before = bench.clock.now();
  t.equal(await textOf(await bench.fetcher().fetch(bench.ask())), 'rows');
  t.ok(bench.clock.now() - before >= 30 * MICROS_PER_SECOND);
  hints = { 'retry-after': '600' };
  isLimited = true;
  t.match(await failureOf(bench.fetcher().fetch(bench.ask())), { code: 'upstream-rate-limited', retryAfter: 600 });
  const calls = bench.seen.length;
  t.match(await failureOf(bench.fetcher().fetch(bench.ask())), { code: 'budget-exhausted', retryAfter: 600 });
  t.equal(bench.seen.length, calls, 'the store knows: a new poll, or a new process, does not call either');
  bench.clock.set(bench.clock.now() + 601 * MICROS_PER_SECOND);
  t.equal(await textOf(await bench.fetcher().fetch(bench.ask())), 'rows');
});

t.test('redirects: each a request of its own, at most five, methods as browsers do', async (t) => {
  const bench = await open(t, (request, reply) => {
    const n = Number(request.url?.slice(1) || 0);
    reply.writeHead(302, { location: `/${n + 1}` }).end();
  });
  const fetcher = bench.fetcher();
  const error = await failureOf(fetcher.fetch({ url: new URL('/0', bench.url) }));
  t.match(error, { code: 'upstream-malformed', message: /More than 5 redirects/ });
  t.equal(fetcher.requests(), 6);
  t.equal((await bench.account()).requests, 6, 'and paid for');
  for (const [status, method, body] of [
    [301, 'GET', ''],
    [302, 'GET', ''],
    [303, 'GET', ''],
    [307, 'POST', 'query'],
    [308, 'POST', 'query'],
  ] as const) {
    bench.seen.length = 0;
    bench.handler = (request, reply) =>
      request.url === '/to' ? reply.end('rows') : reply.writeHead(status, { location: '/to' }).end();
    t.equal(await textOf(await bench.fetcher().fetch(bench.ask({ method: 'POST', body: 'query' }))), 'rows');
    t.match(bench.seen[1], { method, body }, `${status}`);
  }
  bench.handler = (_, reply) => reply.writeHead(302, { location: 'http://elsewhere.example/' }).end();
  t.match(await failureOf(bench.fetcher().fetch(bench.ask())), { code: 'upstream-malformed', message: /another site/ });
  bench.handler = (_, reply) => reply.writeHead(302).end();
  t.match(await failureOf(bench.fetcher().fetch(bench.ask())), { message: /answered 302/ }, 'to nowhere');
});

t.test('a key follows a redirect to its own host or a listed one, and to no other', async (t) => {
  const bench = await open(t, () => undefined);
  const { port } = bench;
  const from = new URL(`http://a.feed.test:${port}/feed`);
  const keys = (): unknown[] => bench.seen.map(({ headers }) => headers['authorization'] ?? null);
  bench.handler = (request, reply) =>
    request.url === '/to'
      ? reply.end('rows')
      : reply.writeHead(302, { location: `http://b.feed.test:${port}/to` }).end();
  await bench.fetcher().fetch({ url: from, authorization });
  t.strictSame(keys(), [`Bearer ${KEY}`, null], 'the sibling gets none');
  bench.seen.length = 0;
  await bench
    .fetcher()
    .fetch({ url: from, authorization: { ...authorization, hosts: ['a.feed.test', 'b.feed.test'] } });
  t.strictSame(keys(), [`Bearer ${KEY}`, `Bearer ${KEY}`], 'unless it is listed');
  bench.seen.length = 0;
  bench.handler = (request, reply) =>
    request.url === '/to'
      ? reply.writeHead(401).end()
      : reply.writeHead(302, { location: `http://b.feed.test:${port}/to` }).end();
  const explain = () => new GatewayError('upstream-unauthorized', 'the key is wrong');
  const error = await failureOf(bench.fetcher().fetch({ url: from, authorization, explain }));
  t.match(error, { code: 'upstream-unauthorized', message: /is not given the key/ }, 'and that is what is said');
});

t.test('validators are sent with the next pull; 304 and an equal body mean unchanged', async (t) => {
  let body = 'rows';
  let knowsEtags = true;
  const bench = await open(t, (request, reply) => {
    if (knowsEtags && request.headers['if-none-match'] === `"${body}"`) return void reply.writeHead(304).end();
    const modified = 'Thu, 01 Jan 2026 00:00:00 GMT';
    reply.writeHead(200, { ...(knowsEtags ? { etag: `"${body}"` } : {}), 'last-modified': modified }).end(body);
  });
  const first = bench.fetcher();
  const response = await first.fetch(bench.ask({ conditional: true }));
  t.equal(await textOf(response), 'rows');
  const left = first.validators();
  t.match(left, { etag: '"rows"', lastModified: /2026/, bodyHash: /^[0-9a-f]{64}$/ });
  const second = bench.fetcher({ validators: left });
  t.equal(await second.fetch(bench.ask({ conditional: true })), null);
  t.ok(second.isUnchanged());
  t.match(bench.seen[1]?.headers, { 'if-none-match': '"rows"', 'if-modified-since': /2026/ });
  knowsEtags = false;
  const third = bench.fetcher({ validators: left });
  t.equal(await third.fetch(bench.ask({ conditional: true })), null, 'an upstream that ignores them: the body tells');
  t.ok(third.isUnchanged());
  body = 'other rows';
  const fourth = bench.fetcher({ validators: left });
  t.equal(await textOf(await fourth.fetch(bench.ask({ conditional: true }))), 'other rows');
  t.notOk(fourth.isUnchanged());
  t.match(fourth.validators(), { etag: null });
  const plain = bench.fetcher({ validators: left });
  await plain.fetch(bench.ask());
  t.equal(bench.seen.at(-1)?.headers['if-none-match'], undefined, 'a request of many asks unconditionally');
  t.strictSame(plain.validators(), NONE);
  bench.handler = (_, reply) => reply.writeHead(304).end();
  t.match(await failureOf(bench.fetcher().fetch(bench.ask())), { message: /304 without being asked/ });
});

t.test('the hash of a body larger than the buffer is known when it was read to the end', async (t) => {
  const bench = await open(t, (_, reply) => reply.end(Buffer.alloc(3 * MB, 'x')));
  const fetcher = bench.fetcher({ caps: { bufferBytes: MB } });
  const response = await fetcher.fetch(bench.ask({ conditional: true }));
  t.strictSame(fetcher.validators(), NONE);
  t.equal((await textOf(response)).length, 3 * MB);
  t.match(fetcher.validators(), { bodyHash: /^[0-9a-f]{64}$/ });
});

t.test('a page in place of JSON is quoted with the key redacted', async (t) => {
  const bench = await open(t, (request, reply) => reply.end(`<p>${request.headers.authorization}</p>`));
  const response = await bench.fetcher().fetch(bench.ask({ authorization }));
  const error = await failureOf((response as FeedResponse).json());
  t.match(error, { code: 'upstream-malformed', excerpt: /^<p>Bearer \[redacted\]<\/p>/ });
  t.notMatch(error.message, KEY);
});

t.test('no message holds the key, in upper or lower case', async (t) => {
  const odd = { header: 'x-key', scheme: null, key: new Secret('a+b.(c)*[d]$ECRET') };
  const bench = await open(t, (_, reply) => reply.end('<p>A+B.(C)*[D]$ecret</p>'));
  const page = await bench.fetcher().fetch(bench.ask({ authorization: odd }));
  t.match((await failureOf((page as FeedResponse).json())).excerpt ?? '', /^<p>\[redacted\]<\/p>/);
  bench.handler = (_, reply) => reply.writeHead(302, { location: `http://${KEY.toUpperCase()}.example/` }).end();
  const elsewhere = await failureOf(bench.fetcher().fetch(bench.ask({ authorization })));
  t.match(elsewhere, { code: 'upstream-malformed', message: /redirects to \[redacted\]\.example/ });
  const explain = () => new GatewayError('upstream-forbidden', `no ${KEY}`, { retryAfter: 5 });
  bench.handler = (_, reply) => reply.writeHead(403).end();
  const explained = await failureOf(bench.fetcher().fetch(bench.ask({ authorization, explain })));
  t.match(explained, { code: 'upstream-forbidden', message: 'no [redacted]', retryAfter: 5 });
});

t.test('single flight: equal requests are sent once, with one answer or one failure for all', async (t) => {
  const bench = await open(t, (_, reply) => setTimeout(() => reply.end('rows'), 30));
  const flights: Flights<FetchedAnswer> = new Map();
  const fetchers = Array.from({ length: 10 }, () => bench.fetcher({ flights }));
  const texts = await Promise.all(fetchers.map(async ({ fetch }) => textOf(await fetch(bench.ask({ authorization })))));
  t.strictSame(texts, Array(10).fill('rows'));
  t.equal(bench.seen.length, 1);
  t.equal((await bench.account()).requests, 1);
  t.equal(
    fetchers.reduce((sum, { requests }) => sum + requests(), 0),
    1,
  );
  t.equal(flights.size, 0, 'nothing is kept');

  bench.handler = (_, reply) => setTimeout(() => reply.writeHead(500).end(), 30);
  const failures = await Promise.all(fetchers.map(({ fetch }) => failureOf(fetch(bench.ask({ authorization })))));
  t.ok(failures.every(({ code }) => code === 'upstream-failed'));
  t.equal(bench.seen.length, 1 + 3, 'tries and all');
});

t.test('single flight: requests that differ in anything that is sent are sent on their own', async (t) => {
  const bench = await open(t, (_, reply) => setTimeout(() => reply.end('rows'), 30));
  const flights: Flights<FetchedAnswer> = new Map();
  const etag = { etag: '"x"', lastModified: null, bodyHash: null };
  await Promise.all([
    bench.fetcher({ flights }).fetch(bench.ask()),
    bench.fetcher({ flights }).fetch(bench.ask({ authorization })),
    bench.fetcher({ flights }).fetch(bench.ask({ headers: { accept: 'text/csv' } })),
    bench.fetcher({ flights }).fetch(bench.ask({ method: 'POST', body: 'a' })),
    bench.fetcher({ flights }).fetch(bench.ask({ method: 'POST', body: 'b' })),
    bench.fetcher({ flights }).fetch(bench.ask({ url: new URL('/other', bench.url) })),
    bench.fetcher({ flights }).fetch(bench.ask({ conditional: true })),
    bench.fetcher({ flights, validators: etag }).fetch(bench.ask({ conditional: true })),
    bench.fetcher({ flights, dispatchersKey: 'with a certificate' }).fetch(bench.ask()),
  ]);
  t.equal(bench.seen.length, 9);
});

t.test('single flight: an answer larger than the buffer is requested twice, and whole for both', async (t) => {
  const bench = await open(t, (_, reply) => setTimeout(() => reply.end(Buffer.alloc(3 * MB, 'x')), 30));
  const flights: Flights<FetchedAnswer> = new Map();
  const fetchers = [1, 2].map(() => bench.fetcher({ flights, caps: { bufferBytes: MB } }));
  const sizes = await Promise.all(fetchers.map(async ({ fetch }) => (await textOf(await fetch(bench.ask()))).length));
  t.strictSame(sizes, [3 * MB, 3 * MB]);
  t.equal(bench.seen.length, 2);
});

t.test('the circuit breaker stays open across polls and restarts, then one trial is sent', async (t) => {
  let isDown = true;
  const bench = await open(t, (_, reply) => reply.writeHead(isDown ? 502 : 200).end('rows'));
  // Every fetcher stands for a new process: what it knows is in the store.
  t.match(await failureOf(bench.fetcher().fetch(bench.ask())), { message: /answered 502/ });
  const opening = await failureOf(bench.fetcher().fetch(bench.ask()));
  t.match(opening, { message: /answered 502/ }, 'what the upstream did is what is told');
  t.ok((opening.retryAfter ?? 0) >= 40, 'with the time of the next try');
  t.equal(bench.seen.length, 5, 'the breaker opened inside the second poll');
  const refused = await failureOf(bench.fetcher().fetch(bench.ask()));
  t.match(refused, { code: 'upstream-failed', message: /failed again and again/ });
  t.equal(bench.seen.length, 5, 'nothing was sent');
  // Set back by two days, the clock says that the break ends the day after tomorrow.
  bench.clock.set(bench.clock.now() - 2 * MICROS_PER_DAY);
  const { retryAfter = 0 } = await failureOf(bench.fetcher().fetch(bench.ask()));
  t.equal(retryAfter, 900, 'no longer than any break');
  bench.clock.set(bench.clock.now() + 600 * MICROS_PER_SECOND);
  t.match(await failureOf(bench.fetcher().fetch(bench.ask())), { retryAfter: 300 }, 'which goes by, looked at or not');
  t.equal(bench.seen.length, 5);
  bench.clock.set(bench.clock.now() + 301 * MICROS_PER_SECOND);
  bench.handler = (_, reply) => setTimeout(() => reply.writeHead(502).end(), 30);
  const trials = await Promise.all(
    ['/a', '/b', '/c'].map((path) => failureOf(bench.fetcher().fetch(bench.ask({ url: new URL(path, bench.url) })))),
  );
  t.equal(bench.seen.length, 6, 'one try for all');
  t.ok(trials.every(({ code }) => code === 'upstream-failed'));
  isDown = false;
  bench.handler = (_, reply) => reply.end('rows');
  bench.clock.set(bench.clock.now() + 125 * MICROS_PER_SECOND);
  t.equal(await textOf(await bench.fetcher().fetch(bench.ask())), 'rows');
  t.equal((await bench.account()).breaker, undefined, 'trusted again');
});

t.test('a refusal is no outage, and answers close the circuit breaker', async (t) => {
  const bench = await open(t, (_, reply) => reply.writeHead(404).end());
  for (let i = 0; i < 20; i += 1) await failureOf(bench.fetcher().fetch(bench.ask()));
  t.equal(bench.seen.length, 20);
  t.equal((await bench.account()).breaker, undefined);
  bench.handler = (_, reply) => reply.writeHead(429, { 'retry-after': '300' }).end();
  await failureOf(bench.fetcher().fetch(bench.ask()));
  t.equal((await bench.account()).breaker, undefined, 'nor is a 429');
});

t.test('an abort ends a wait, a request and a body with its own reason', async (t) => {
  const reason = new Error('stopping');
  const bench = await open(t, () => undefined);
  const stop = new AbortController();
  const asking = bench.fetcher({ signal: stop.signal }).fetch(bench.ask());
  while (bench.seen.length === 0) await new Promise(setImmediate);
  stop.abort(reason);
  await t.rejects(asking, reason);
  bench.handler = endless;
  const during = new AbortController();
  const response = await bench.fetcher({ signal: during.signal, caps: { bufferBytes: MB } }).fetch(bench.ask());
  during.abort(reason);
  await t.rejects(textOf(response), reason);
  t.equal((await bench.account()).breaker, undefined, 'and is nobody’s failure');
});

t.test('weights are spent, and a wait that is too long says how long', async (t) => {
  const bench = await open(t, (_, reply) => reply.end('rows'));
  const limits = { minInterval: 0, windows: [{ seconds: 3600, requests: 5 }] };
  await bench.fetcher({ limits }).fetch(bench.ask({ weight: 2.5 }));
  await bench.fetcher({ limits }).fetch(bench.ask({ weight: 2.5 }));
  const error = await failureOf(bench.fetcher({ limits }).fetch(bench.ask()));
  t.equal(error.code, 'budget-exhausted');
  t.ok((error.retryAfter ?? 0) > 3500);
  t.equal(bench.seen.length, 2);
});
