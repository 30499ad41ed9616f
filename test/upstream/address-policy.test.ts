import { once } from 'node:events';
import { createServer as createHttpServer, request as httpRequest, type IncomingMessage } from 'node:http';
import { createSecureServer } from 'node:http2';
import { type AddressInfo, connect, createServer, isIP, type Socket } from 'node:net';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { request } from 'undici';
import type { ProxySetting } from '../../src/model/definition.ts';
import { GatewayError } from '../../src/model/error.ts';
import { mayCarryKey } from '../../src/model/key-hosts.ts';
import { Secret } from '../../src/model/secret.ts';
import { classifyAddress } from '../../src/upstream/address-policy.ts';
import { openGuardedDispatcher, type ResolveAll } from '../../src/upstream/dispatcher.ts';
import { followRedirect } from '../../src/upstream/redirect.ts';
import { makeCertificates } from '../helpers/certificates.ts';
import { scriptedClock } from '../helpers/clock.ts';
import { openGateway } from '../helpers/gateway.ts';
import { START } from '../helpers/store.ts';

/** Counts every connection, on IPv4 and IPv6 alike, whatever is said on it. */
async function listenBare(t: Test): Promise<{ port: number; connections: () => number }> {
  let connections = 0;
  const server = createServer((socket: Socket) => {
    connections += 1;
    socket.on('error', () => undefined);
    socket.resume();
    socket.end('HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nin');
  });
  server.listen(0, '::');
  await once(server, 'listening');
  t.teardown(() => new Promise((resolve) => server.close(resolve)));
  return { port: (server.address() as AddressInfo).port, connections: () => connections };
}

/** A resolver that answers what it is told, in turn; the last answer stays. */
function scriptedResolver(...answers: string[][]): ResolveAll & { asked: string[] } {
  const asked: string[] = [];
  const resolve: ResolveAll = (hostname, callback) => {
    const addresses = answers[Math.min(asked.length, answers.length - 1)] ?? [];
    asked.push(hostname);
    setImmediate(() =>
      callback(
        null,
        addresses.map((address) => ({ address, family: isIP(address) })),
      ),
    );
  };
  return Object.assign(resolve, { asked });
}

async function ask(
  t: Test,
  url: string,
  options: { internalHost?: string | null; proxy?: ProxySetting; resolveAll?: ResolveAll } = {},
): Promise<string> {
  const { internalHost = null, proxy = 'off', resolveAll } = options;
  const dispatcher = openGuardedDispatcher({ internalHost, proxy, resolveAll });
  t.teardown(() => dispatcher.destroy());
  try {
    const reply = await request(url, { dispatcher, signal: AbortSignal.timeout(5000) });
    return await reply.body.text();
  } catch (error) {
    return error instanceof GatewayError ? `refused: ${error.message}` : `failed: ${(error as Error).name}`;
  }
}

t.test('address classes: a table of public, internal and forbidden addresses', async (t) => {
  const table: Record<string, string[]> = {
    public: [
      '93.184.215.14',
      '1.1.1.1',
      '2606:4700::1111',
      '2a00:1450:4001::200e',
      '::ffff:1.1.1.1',
      '64:ff9b::101:101',
    ],
    internal: [
      '127.0.0.1',
      '127.255.255.254',
      '10.0.0.1',
      '172.16.0.1',
      '172.31.255.255',
      '192.168.1.1',
      '100.64.0.1',
      '::1',
      'fc00::1',
      'fd12:3456::1',
      '::ffff:127.0.0.1',
      '::ffff:10.0.0.1',
      '64:ff9b::a00:1',
      '64:ff9b::7f00:1',
    ],
    forbidden: [
      '169.254.169.254',
      '169.254.170.2',
      '::ffff:169.254.169.254',
      '::ffff:a9fe:a9fe',
      '64:ff9b::a9fe:a9fe',
      '64:ff9b:1::a9fe:a9fe',
      '2002:a9fe:a9fe::1',
      '2002:7f00:1::1',
      '2002:101:101::1',
      '2001:0:4136:e378:8000:63bf:3fff:fdd2',
      '::169.254.169.254',
      '::127.0.0.1',
      '::ffff:0:169.254.169.254',
      '100.100.100.200',
      '::ffff:100.100.100.200',
      '64:ff9b::6464:64c8',
      '168.63.129.16',
      'fd00:ec2::254',
      'fd20:ce::254',
      'fe80::1',
      'fe80::1%eth0',
      '::1%lo',
      'febf::1',
      'fec0::1',
      'ff02::1',
      '224.0.0.1',
      '255.255.255.255',
      '0.0.0.0',
      '0.1.2.3',
      '::',
      '192.0.0.192',
      '192.0.2.1',
      '198.18.0.1',
      '198.51.100.1',
      '203.0.113.1',
      '240.0.0.1',
      '2001:db8::1',
      '3fff::1',
      '100::1',
      '4000::1',
      '5f00::1',
      '2001:2::1',
      'not an address',
      '',
    ],
  };
  for (const [reach, addresses] of Object.entries(table)) {
    for (const address of addresses) t.equal(classifyAddress(address), reach, address);
  }
});

t.test('address classes: an embedded address is never classed better than itself', async (t) => {
  const octet = fc.integer({ min: 0, max: 255 });
  fc.assert(
    fc.property(fc.tuple(octet, octet, octet, octet), ([a, b, c, d]) => {
      const plain = classifyAddress([a, b, c, d].join('.'));
      const hex = [(a << 8) | b, (c << 8) | d].map((word) => word.toString(16)).join(':');
      return (
        classifyAddress(`::ffff:${hex}`) === plain &&
        classifyAddress(`64:ff9b::${hex}`) === plain &&
        classifyAddress(`2002:${hex}::1`) === 'forbidden' &&
        classifyAddress(`::${hex}`) !== 'public'
      );
    }),
    { numRuns: 2000 },
  );
  t.pass();
});

/** Every spelling of this machine, of its network and of metadata services that a URL can hold. */
const inside = [
  '127.0.0.1',
  '127.0.0.1.',
  '2130706433',
  '0x7f000001',
  '0x7F.0.0.1',
  '0177.0.0.1',
  '0177.0.0.01',
  '017700000001',
  '127.1',
  '127.0.1',
  '127.0x0.0.1',
  '%31%32%37.0.0.1',
  '１２７.0.0.1',
  '127。0。0。1',
  '0',
  '0.0.0.0',
  '[::1]',
  '[0:0:0:0:0:0:0:1]',
  '[::]',
  '[::ffff:127.0.0.1]',
  '[::ffff:7f00:1]',
  '[0:0:0:0:0:ffff:127.0.0.1]',
  '[::127.0.0.1]',
  '[64:ff9b::127.0.0.1]',
  '[2002:7f00:1::]',
  '10.0.0.1',
  '192.168.0.1',
  '172.16.0.1',
  '100.64.0.1',
  '[fd00::1]',
];
const metadata = [
  '169.254.169.254',
  '169.254.169.254.',
  '2852039166',
  '0xa9fea9fe',
  '0xA9.0xFE.0xA9.0xFE',
  '0251.0376.0251.0376',
  '169.16689662',
  '[::ffff:169.254.169.254]',
  '[::ffff:a9fe:a9fe]',
  '[64:ff9b::169.254.169.254]',
  '[2002:a9fe:a9fe::]',
  '[::169.254.169.254]',
  '[fe80::1]',
  '[fd00:ec2::254]',
  '100.100.100.200',
  '168.63.129.16',
  '169.254.170.2',
];

t.test('a literal internal address is refused in every spelling, and no connection is opened', async (t) => {
  const { port, connections } = await listenBare(t);
  for (const host of [...inside, ...metadata]) {
    t.match(await ask(t, `http://${host}:${port}/`), /^refused: .* is at an address/, host);
  }
  for (const host of ['[fe80::1%25eth0]', '[::1%25lo]', '[fe80::1%eth0]']) {
    t.notOk(URL.canParse(`http://${host}:${port}/`), `${host}: a zone makes it no address of a URL at all`);
  }
  t.equal(connections(), 0);
  t.equal(await ask(t, `http://127.0.0.1:${port}/`, { internalHost: '127.0.0.1' }), 'in', 'the server does listen');
});

t.test('internal: true allows the feed’s own host, no other host and no metadata address', async (t) => {
  const { port, connections } = await listenBare(t);
  t.equal(await ask(t, `http://127.0.0.1:${port}/`, { internalHost: '127.0.0.1' }), 'in');
  t.equal(await ask(t, `http://[::1]:${port}/`, { internalHost: '[::1]' }), 'in');
  const resolveAll = scriptedResolver(['127.0.0.1']);
  t.equal(await ask(t, `http://intel.corp.test:${port}/`, { internalHost: 'intel.corp.test', resolveAll }), 'in');
  const before = connections();
  t.match(await ask(t, `http://127.0.0.2:${port}/`, { internalHost: '127.0.0.1' }), /^refused/);
  t.match(await ask(t, `http://www.corp.test:${port}/`, { internalHost: 'intel.corp.test', resolveAll }), /^refused/);
  for (const host of metadata) {
    const { hostname } = new URL(`http://${host}/`);
    t.match(await ask(t, `http://${host}:${port}/`, { internalHost: hostname }), /no feed is read from/, host);
    const address = hostname.replace(/^\[(.*)\]$/, '$1');
    const named = { internalHost: 'intel.corp.test', resolveAll: scriptedResolver([address]) };
    t.match(await ask(t, `http://intel.corp.test:${port}/`, named), /no feed is read from/, `a name for ${host}`);
  }
  t.equal(connections(), before);
});

t.test('a name is refused when any of its addresses is not public', async (t) => {
  const { port, connections } = await listenBare(t);
  const bad = ['127.0.0.1', '10.1.2.3', '::1', 'fd00::1', 'fe80::1', '::ffff:127.0.0.1', '169.254.169.254'];
  for (const address of bad) {
    for (const answer of [
      [address],
      ['93.184.215.14', address],
      [address, '93.184.215.14'],
      ['2606:4700::1', address],
    ]) {
      const resolveAll = scriptedResolver(answer);
      t.match(await ask(t, `http://feed.test:${port}/`, { resolveAll }), /^refused: feed\.test/, answer.join(' + '));
      t.same(resolveAll.asked, ['feed.test']);
    }
  }
  for (const name of ['localhost', 'localhost.', 'LOCALHOST']) {
    // Some resolvers don't know the name with its dot.
    t.match(await ask(t, `http://${name}:${port}/`), /^(?:refused|failed)/, `${name}, as this system resolves it`);
  }
  t.match(await ask(t, `http://nothing.test:${port}/`, { resolveAll: scriptedResolver([]) }), /^failed/, 'no address');
  t.equal(connections(), 0);
});

t.test('DNS rebinding: a connection gets the addresses that were checked and no others', async (t) => {
  const { port, connections } = await listenBare(t);
  // Whoever checks one lookup and connects by another ends at the second answer.
  const resolveAll = scriptedResolver(['127.0.0.1'], ['169.254.169.254']);
  const dispatcher = openGuardedDispatcher({ internalHost: 'rebind.test', proxy: 'off', resolveAll });
  t.teardown(() => dispatcher.destroy());
  const url = `http://rebind.test:${port}/`;
  const first = await request(url, { dispatcher, signal: AbortSignal.timeout(5000) });
  t.equal(await first.body.text(), 'in');
  t.same(resolveAll.asked, ['rebind.test'], 'one lookup for one connection');
  await t.rejects(request(url, { dispatcher, signal: AbortSignal.timeout(5000) }), /no feed is read from/);
  t.equal(resolveAll.asked.length, 2, 'a new connection is checked anew');
  t.equal(connections(), 1);
});

t.test('redirects stay on the site, at the port, and never go back to http', async (t) => {
  const table: [string, string, string | null][] = [
    ['https://feed.example.com/a', '/b', 'https://feed.example.com/b'],
    ['https://feed.example.com/a', 'https://www.example.com/b', 'https://www.example.com/b'],
    ['http://feed.example.com/', 'https://feed.example.com/', 'https://feed.example.com/'],
    ['http://feed.example.com/', 'https://example.com/', 'https://example.com/'],
    ['https://feed.example.com/', 'http://feed.example.com/', null],
    ['https://feed.example.com/', 'https://feed.example.com:8443/', null],
    ['http://feed.example.com:8080/', 'https://feed.example.com/', null],
    ['https://feed.example.com/', 'https://example.org/', null],
    ['https://feed.example.com/', 'https://example.com.evil.org/', null],
    ['https://feed.example.com/', '//evil.org/', null],
    ['https://feed.example.com/', 'https://user:secret@feed.example.com/', null],
    ['https://feed.example.com/', 'ftp://feed.example.com/', null],
    ['https://feed.example.com/', 'file:///etc/passwd', null],
    ['https://feed.example.com/', 'data:text/plain,x', null],
    ['https://feed.example.com/', 'http://', null],
    ['https://a.github.io/', 'https://b.github.io/', null],
    ['https://a.co.uk/', 'https://b.co.uk/', null],
    ['https://feed.example.com/', 'https://127.0.0.1/', null],
    ['http://127.0.0.1/', 'http://127.0.0.2/', null],
    ['http://10.0.0.1/', 'http://169.254.169.254/latest/meta-data/', null],
    ['http://2130706433/', 'http://0x7f.1/b', 'http://127.0.0.1/b'],
    ['http://[::1]/', 'http://[::ffff:127.0.0.1]/', null],
    ['http://intranet/', 'http://wiki/', null],
  ];
  for (const [from, location, to] of table) {
    const follow = (): string => followRedirect(new URL(from), location).href;
    if (to === null) t.throws(follow, { code: 'upstream-malformed' }, `${from} -> ${location}`);
    else t.equal(follow(), to, `${from} -> ${location}`);
  }
});

t.test('a key is sent to its own host or one of hosts, and not without TLS when the request had it', async (t) => {
  const may = (meant: string, actual: string, hosts?: string[]): boolean =>
    mayCarryKey(new URL(meant), new URL(actual), hosts);
  t.ok(may('https://a.example/x', 'https://a.example/y'));
  t.ok(may('http://a.example/', 'https://a.example/'), 'up to TLS');
  t.notOk(may('https://a.example/', 'http://a.example/'), 'never down from it');
  t.notOk(may('https://a.example/', 'https://www.a.example/'));
  t.ok(may('https://a.example/', 'https://www.a.example/', ['a.example', 'www.a.example']));
  t.notOk(may('https://a.example/', 'https://a.example:8443/'));
  t.notOk(may('https://a.example/', 'https://a.example.evil.org/'));
});

t.test('a redirect reaches no internal address, wherever on the site it leads', async (t) => {
  const { port, connections } = await listenBare(t);
  let location = '';
  const keys: (string | undefined)[] = [];
  const server = createHttpServer((message, reply) => {
    keys.push(message.headers.authorization);
    // As bytes: some of them are no ASCII.
    reply.writeHead(302, { location: Buffer.from(location).toString('latin1'), connection: 'close' }).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => void server.close());
  const own = (server.address() as AddressInfo).port;
  const names: Record<string, string> = {
    'feed.site.test': '127.0.0.1',
    'inside.site.test': '127.0.0.1',
    'metadata.site.test': '169.254.169.254',
    'mapped.site.test': '::ffff:127.0.0.1',
  };
  const resolveAll: ResolveAll = (hostname, callback) => {
    const address = names[hostname] ?? '';
    setImmediate(() => callback(null, [{ address, family: isIP(address) }]));
  };
  const gateway = await openGateway(
    t,
    t.testdir(),
    `
feeds: { list: { format: stix, url: "http://feed.site.test:${own}/list", key: { env: KEY }, internal: true, every: 1h } }
pools: { main: { feeds: [list] } }
collections: { all: { pool: main } }
`,
    { clock: scriptedClock(START, { auto: true }), env: { KEY: 'canary' }, resolveAll },
  );
  const places = [...Object.keys(names).slice(1), ...inside, ...metadata].map((host) => `http://${host}:${own}/`);
  for (const place of [
    ...places,
    `http://feed.site.test:${port}/`,
    `//inside.site.test:${own}`,
    'file:///etc/passwd',
  ]) {
    location = place;
    const { outcome, error } = await gateway.side.poll('list');
    t.equal(outcome, 'failed', place);
    t.match(error?.message, /at an address|another site|another port|no plain http/, place);
  }
  t.equal(connections(), 0);
  t.ok(
    keys.length >= places.length && keys.every((key) => key === 'Bearer canary'),
    'every request was the feed’s own',
  );
});

/** A forward proxy that counts what it is asked for. */
async function startProxy(t: Test) {
  const asked: { target: string; authorization: string | undefined }[] = [];
  const note = (target: string, message: IncomingMessage) =>
    asked.push({ target, authorization: message.headers['proxy-authorization'] });
  const server = createHttpServer((message, reply) => {
    note(message.url ?? '', message);
    const { port, pathname } = new URL(message.url ?? '');
    httpRequest({ host: '127.0.0.1', port, path: pathname }, (answer) => answer.pipe(reply)).end();
  });
  server.on('connect', (message, socket, head) => {
    note(message.url ?? '', message);
    const upstream = connect(Number(message.url?.split(':').at(-1)), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      upstream.write(head);
      upstream.pipe(socket).pipe(upstream);
    });
    for (const each of [upstream, socket]) each.on('error', () => undefined);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return { asked, address: `127.0.0.1:${(server.address() as AddressInfo).port}` };
}

t.test('names are looked up by the proxy; literal addresses are still checked here', async (t) => {
  const { port, connections } = await listenBare(t);
  const { asked, address } = await startProxy(t);
  const resolveAll = scriptedResolver(['10.0.0.1']);
  const proxy = new Secret(`http://user:pass%20word@${address}`);
  t.equal(await ask(t, `http://feed.test:${port}/`, { proxy, resolveAll }), 'in');
  t.match(asked, [{ authorization: `Basic ${Buffer.from('user:pass word').toString('base64')}` }]);
  t.match(asked[0]?.target, /feed\.test/);
  t.same(resolveAll.asked, [], 'nothing is looked up here');
  for (const host of ['127.0.0.1', '[::1]', '169.254.169.254', '[::ffff:a9fe:a9fe]']) {
    t.match(await ask(t, `http://${host}:${port}/`, { proxy }), /^refused/, host);
  }
  t.equal(asked.length, 1);
  t.equal(connections(), 1);
});

t.test('a body that is cut is never taken for a whole one, by any protocol, with and without proxy', async (t) => {
  const certificates = makeCertificates(t, t.testdir());
  if (certificates === null) return;
  const server = createSecureServer(
    { key: certificates.read('server.key'), cert: certificates.read('server.crt'), allowHTTP1: true },
    (message, reply) => {
      reply.setHeader('x-spoken', message.httpVersion);
      if (message.url === '/whole') return void reply.end('whole');
      reply.write('half of ');
      // As proxies cut a stream whose origin went away: by CANCEL in HTTP/2.
      setImmediate(() => (message.httpVersion === '2.0' ? reply.stream.close(8) : message.socket.destroy()));
    },
  );
  server.on('sessionError', () => undefined);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const { address } = await startProxy(t);
  const before = process.env['HTTPS_PROXY'];
  process.env['HTTPS_PROXY'] = `http://${address}`;
  t.teardown(() => {
    if (before === undefined) delete process.env['HTTPS_PROXY'];
    else process.env['HTTPS_PROXY'] = before;
  });
  for (const proxy of ['off', new Secret(`http://${address}`), 'environment'] as const) {
    const tls = { ca: new Secret(certificates.read('ca.crt')) };
    const resolveAll = scriptedResolver(['127.0.0.1']);
    const dispatcher = openGuardedDispatcher({ internalHost: 'localhost', proxy, resolveAll, tls });
    t.teardown(() => dispatcher.destroy());
    const get = (path: string) => request(`https://localhost:${port}${path}`, { dispatcher });
    const way = typeof proxy === 'string' ? proxy : 'a proxy';
    const whole = await get('/whole');
    t.strictSame([await whole.body.text(), whole.headers['x-spoken']], ['whole', '1.1'], way);
    const cut = await get('/cut');
    await t.rejects(cut.body.text(), `${way}: a cut body`);
  }
});

t.test(
  'the proxy of the environment is used only when configured, and hosts in NO_PROXY are checked here',
  async (t) => {
    const { port, connections } = await listenBare(t);
    const { asked, address } = await startProxy(t);
    const names = ['http_proxy', 'HTTP_PROXY', 'https_proxy', 'HTTPS_PROXY', 'no_proxy', 'NO_PROXY'];
    const before = names.map((name) => process.env[name]);
    t.teardown(() => {
      names.forEach((name, i) => {
        if (before[i] === undefined) delete process.env[name];
        else process.env[name] = before[i];
      });
    });
    for (const name of names) delete process.env[name];
    process.env['HTTP_PROXY'] = `http://${address}`;
    process.env['NO_PROXY'] = 'direct.test';
    const resolveAll = scriptedResolver(['127.0.0.1']);
    t.match(
      await ask(t, `http://feed.test:${port}/`, { resolveAll }),
      /^refused/,
      'off: no proxy, whatever stands there',
    );
    t.equal(asked.length, 0);
    t.equal(await ask(t, `http://feed.test:${port}/`, { proxy: 'environment', resolveAll }), 'in');
    t.equal(asked.length, 1);
    t.match(
      await ask(t, `http://direct.test:${port}/`, { proxy: 'environment', resolveAll }),
      /^refused: direct\.test/,
    );
    t.match(await ask(t, `http://127.0.0.1:${port}/`, { proxy: 'environment', resolveAll }), /^refused/);
    const own = { proxy: 'environment' as const, resolveAll, internalHost: 'direct.test' };
    t.equal(await ask(t, `http://direct.test:${port}/`, own), 'in', 'NO_PROXY and internal: true: connected from here');
    t.equal(asked.length, 1);
    t.equal(connections(), 2);
  },
);
