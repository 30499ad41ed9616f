import { EventEmitter, once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import t, { type Test } from 'tap';
import type { AppParts } from '../../routes/app.ts';
import { countInFlight, MAX_WAITING } from '../../routes/in-flight.ts';
import type { IndicatorEntry } from '../../src/model/entry.ts';
import { Secret } from '../../src/model/secret.ts';
import { eventLoop } from '../../src/model/turns.ts';
import { client, KEY, openApp } from '../helpers/app.ts';
import { makeCertificates } from '../helpers/certificates.ts';
import { scriptedClock } from '../helpers/clock.ts';
import { indicatorEntry, openJournalStore, START } from '../helpers/store.ts';

const MIB = 1024 * 1024;
const OBJECTS = '/api/taxii2/api/collections/all/objects/';

class Response extends EventEmitter {
  destroyed = false;
  destroy(): void {
    this.destroyed = true;
    this.emit('close');
  }
}

function openCount(t: Test, budget: number) {
  const clock = scriptedClock(START);
  const stop = new AbortController();
  t.teardown(() => stop.abort());
  const inFlight = countInFlight(clock, budget, stop.signal);
  const hold = (who: string, bytes: number, shared?: object) => {
    const response = new Response();
    const held = inFlight.reserve(response as unknown as ServerResponse, who, bytes, shared);
    return { response, held };
  };
  return { clock, inFlight, hold };
}

t.test('answers are bounded in all and to a quarter for each client; an answer that ends releases its bytes', (t) => {
  const { inFlight, hold } = openCount(t, 1000);
  const held = ['a', 'b', 'c'].map((who) => {
    t.doesNotThrow(() => inFlight.admit(who));
    return hold(who, 250).response;
  });
  t.throws(() => inFlight.admit('a'), { code: 'rate-limited', retryAfter: 5 });
  t.doesNotThrow(() => inFlight.admit('d'), 'others are not held up by it');
  const last = hold('d', 900).response;
  for (const who of ['a', 'd', 'e']) t.throws(() => inFlight.admit(who), { code: 'unavailable', retryAfter: 5 });
  t.strictSame(inFlight.counters(), { bytes: 1650, answers: 4 });
  last.emit('finish');
  last.emit('close');
  t.strictSame(inFlight.counters(), { bytes: 750, answers: 3 }, 'once');
  for (const response of held) response.emit('close');
  t.strictSame(inFlight.counters(), { bytes: 0, answers: 0 });
  t.doesNotThrow(() => inFlight.admit('a'));
  t.end();
});

t.test('an answer that is closed already reserves nothing', (t) => {
  const { inFlight } = openCount(t, 1000);
  const response = new Response();
  response.destroy();
  inFlight.reserve(response as unknown as ServerResponse, 'a', 900);
  t.strictSame(inFlight.counters(), { bytes: 0, answers: 0 });
  t.doesNotThrow(() => inFlight.admit('a'));
  t.end();
});

t.test('requests that wait for a turn see the bytes of those before them', async (t) => {
  const { inFlight, hold } = openCount(t, 1000);
  const asking = ['a', 'a', 'b'].map(async (who) => {
    await inFlight.admitInTurn(who);
    hold(who, 250);
    return who;
  });
  const [first, second, third] = await Promise.allSettled(asking);
  t.match([first, third], [{ value: 'a' }, { value: 'b' }]);
  t.match(second, { status: 'rejected', reason: { code: 'rate-limited' } });
});

t.test('shared bytes are counted once, in all and for each client', (t) => {
  const { inFlight, hold } = openCount(t, 1000);
  const page = {};
  const held = ['a', 'a', 'b'].map((who) => hold(who, 200, page).response);
  t.strictSame(inFlight.counters(), { bytes: 200, answers: 3 });
  t.doesNotThrow(() => inFlight.admit('a'));
  hold('a', 50);
  t.throws(() => inFlight.admit('a'), { code: 'rate-limited' });
  for (const response of held) response.emit('close');
  t.strictSame(inFlight.counters(), { bytes: 50, answers: 1 });
  t.end();
});

t.test('a reader that takes nothing in its time loses the connection, one that takes something does not', async (t) => {
  const { clock, inFlight, hold } = openCount(t, 100 * MIB);
  const silent = hold('a', 16_000);
  const slow = hold('a', 16_000);
  const large = hold('a', 16_000_000);
  await clock.advance(60_000);
  slow.held.progress();
  t.notOk(silent.response.destroyed, 'a minute, and a second for 16 kB');
  await clock.advance(10_000);
  t.strictSame(
    [silent, slow, large].map(({ response }) => response.destroyed),
    [true, false, false],
  );
  await clock.advance(70_000);
  t.ok(slow.response.destroyed);
  await clock.advance(1_000_000);
  t.ok(large.response.destroyed);
  await clock.advance(20_000);
  t.strictSame(
    [inFlight.counters(), clock.sleepers()],
    [{ bytes: 0, answers: 0 }, 0],
    'nobody looks where nothing is held',
  );
  hold('a', 16_000);
  t.equal(clock.sleepers(), 1, 'and somebody does again');
});

/** A collection without end. */
async function endlessReader(t: Test): Promise<AppParts['reader']> {
  const { reader } = await openJournalStore(t);
  const entries: IndicatorEntry[] = Array.from({ length: 250 }, (_, i) => indicatorEntry({ value: `h${i}.example` }));
  const validity = { changes: 0, head: null };
  return {
    ...reader,
    page: async ({ after }) => {
      const dated = entries.map((entry, i) => ({ ...entry, dateAdded: after + 1 + i }));
      return { entries: dated, more: true, validity };
    },
  };
}

/** The application on a port, with two clients. */
async function openOnPort(t: Test, parts: Partial<AppParts> = {}) {
  const opened = await openApp(t, parts, { slc_other: client({ name: 'other' }) });
  await opened.app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = opened.app.server.address() as { port: number };
  const sockets: Socket[] = [];
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
  });
  /** Asks on a connection of its own, and reads no more than the head. */
  const begin = async (path: string, key = KEY) => {
    const socket = connect(port, '127.0.0.1');
    sockets.push(socket);
    socket.on('error', () => undefined);
    socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${key}\r\n\r\n`);
    const [part] = (await once(socket, 'data')) as [Buffer];
    socket.pause();
    return { socket, status: Number(part.toString('latin1').slice(9, 12)), head: part.toString('latin1') };
  };
  const counters = async () => {
    const { body } = await opened.app.inject('/metrics');
    const figure = (name: string) => Number(new RegExp(`^sluice_${name} (\\d+)`, 'm').exec(body)?.[1]);
    return { answers: figure('answers_in_flight'), bytes: figure('answers_in_flight_bytes') };
  };
  const reached = async (answers: number): Promise<void> => {
    while ((await counters()).answers !== answers) await new Promise(setImmediate);
  };
  return { ...opened, port, begin, counters, reached };
}

t.test('an answer whose reader left before it was made keeps no bytes reserved', async (t) => {
  const { append, app, port, counters, ask } = await openOnPort(t);
  await append(Array.from({ length: 600 }, (_, i) => indicatorEntry({ value: `h${i}.example` })));
  for (const path of ['/api/v1/iocs?limit=600', '/api/v1/iocs/stix', '/api/v1/lookup?ioc=h1.example']) {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    socket.on('error', () => undefined);
    const received = once(app.server, 'request');
    // The request waits for its turn behind these, and its reader leaves meanwhile.
    const ahead = Array.from({ length: MAX_WAITING - 1 }, () => eventLoop.next());
    socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${KEY}\r\n\r\n`);
    const [, response] = (await received) as [unknown, ServerResponse];
    socket.destroy();
    await once(response, 'close');
    t.ok(eventLoop.waiting > 0, 'the request still waits');
    await Promise.all([...ahead, eventLoop.next()]);
    t.strictSame(await counters(), { answers: 0, bytes: 0 }, path);
    t.equal((await ask(path)).statusCode, 200);
  }
});

t.test('streams that are not read are bounded per client and together, and end after a time', async (t) => {
  const { begin, counters, reached, clock, ask } = await openOnPort(t, {
    answerBytes: 8 * MIB,
    reader: await endlessReader(t),
  });
  const stream = '/api/v1/iocs/stix';
  const held = [await begin(stream), await begin(stream)];
  const refused = await begin(stream);
  t.equal(refused.status, 429, 'a client has a quarter');
  t.match(refused.head, /retry-after: 5\r\n/i);
  t.equal((await begin('/api/v1/iocs')).status, 429, 'of whatever kind');
  t.equal((await begin(stream, 'slc_other')).status, 200, 'another client has its own');
  await reached(3);
  t.strictSame(await counters(), { answers: 3, bytes: 3 * MIB });
  held[0]?.socket.destroy();
  await reached(2);
  t.equal((await begin(stream)).status, 200, 'what ends leaves room');
  // Until the kernel's buffers are full they go on.
  while ((await counters()).answers > 0) await clock.advance(180_000);
  t.equal((await ask('/healthz')).statusCode, 200);
});

t.test('when the bound for all is reached, everybody gets 503 and health is answered', async (t) => {
  const { begin, ask } = await openOnPort(t, { answerBytes: MIB, reader: await endlessReader(t) });
  t.equal((await begin('/api/v1/iocs/stix')).status, 200);
  for (const path of ['/api/v1/iocs', '/api/v1/feeds', OBJECTS]) {
    const reply = await ask(path, { headers: { authorization: 'Bearer slc_other' } });
    t.equal(reply.statusCode, 503, path);
    t.equal(reply.headers['retry-after'], '5', path);
  }
  for (const path of ['/healthz', '/readyz', '/metrics']) t.equal((await ask(path)).statusCode, 200, path);
});

t.test('a page that waits for its readers is counted once for all of them', async (t) => {
  const { append, begin, counters, reached, ask } = await openOnPort(t);
  await append(Array.from({ length: 5000 }, (_, i) => indicatorEntry({ value: `h${i}.example` })));
  const path = `${OBJECTS}?limit=5000`;
  const length = Number((await ask(path)).headers['content-length']);
  t.ok(length > MIB);
  t.strictSame(await counters(), { answers: 0, bytes: 0 }, 'what was sent is not held');
  const { socket } = await begin(path);
  socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${KEY}\r\n\r\n`.repeat(9));
  while ((await counters()).answers < 8) await new Promise(setImmediate);
  t.equal((await counters()).bytes, length);
  socket.destroy();
  await reached(0);
  t.equal((await counters()).bytes, 0);
});

t.test('under TLS a page is counted for each connection, before it is written', async (t) => {
  const certificates = makeCertificates(t, t.testdir());
  if (certificates === null) return;
  const secret = (name: string) => new Secret(certificates.read(name));
  const tls = { cert: secret('server.crt'), key: secret('server.key'), clientCa: null };
  const { app, append, counters, reached } = await openOnPort(t, { tls });
  await append(Array.from({ length: 5000 }, (_, i) => indicatorEntry({ value: `h${i}.example` })));
  const path = `${OBJECTS}?limit=5000`;
  const page = await app.inject({ url: path, headers: { authorization: `Bearer ${KEY}` } });
  const { port } = app.server.address() as { port: number };
  const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false });
  socket.on('error', () => undefined);
  await once(socket, 'secureConnect');
  socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${KEY}\r\n\r\n`.repeat(10));
  await once(socket, 'data');
  socket.pause();
  let held = await counters();
  for (; held.answers < 5; held = await counters()) await new Promise(setImmediate);
  t.equal(held.bytes, held.answers * Number(page.headers['content-length']));
  socket.destroy();
  await reached(0);
});

t.test('readers beyond the bound get 503, and health is answered meanwhile', async (t) => {
  const { ask, append } = await openApp(t);
  await append(Array.from({ length: 2000 }, (_, i) => indicatorEntry({ value: `h${i}.example` })));
  const answered: string[] = [];
  const asking = Array.from({ length: 3 * MAX_WAITING }, async () => {
    const { statusCode, headers } = await ask('/api/v1/iocs?limit=2000');
    answered.push(`${statusCode} ${headers['retry-after'] ?? ''}`.trim());
  });
  while (eventLoop.waiting < MAX_WAITING) await new Promise(setImmediate);
  const before = answered.filter((each) => each === '200').length;
  await ask('/healthz');
  const meanwhile = answered.filter((each) => each === '200').length - before;
  t.ok(meanwhile <= 2, `${meanwhile} were answered before health`);
  await Promise.all(asking);
  const count = (what: string) => answered.filter((each) => each === what).length;
  t.ok(count('200') >= 1, `${count('200')} were served`);
  t.ok(count('503 5') >= MAX_WAITING, `${count('503 5')} were sent away`);
  t.equal(count('200') + count('503 5') + count('429 5'), answered.length);
  t.equal(eventLoop.waiting, 0);
});
