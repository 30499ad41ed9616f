import { X509Certificate } from 'node:crypto';
import dns from 'node:dns';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { Secret } from '../../src/model/secret.ts';
import { sinkKinds } from '../../src/sinks/registry.ts';
import { collection, entryOf, openSink } from '../contracts/sink.contract.ts';
import { makeCertificates } from '../helpers/certificates.ts';
import { startElasticServer } from '../helpers/elastic-server.ts';

/** Who a sink says it is, and whom it trusts with that. */
const never = new AbortController().signal;
const key = new Secret('canary-key');

function push(t: Test, options: object, signal = never): Promise<unknown> {
  const common = { target: 'latest', stream: 'indicator', namespace: 'default', ioc_expiration_duration: 86_400_000 };
  const rest = { flush_bytes: 100_000, concurrency: 1, timeout: 5000, ...options };
  sinkKinds.elasticsearch.check({ ...common, ...rest } as never);
  const sink = openSink(sinkKinds.elasticsearch, { ...common, ...rest }, '.');
  t.teardown(() => sink.close());
  return sink.push(collection, [entryOf(1)], signal);
}

const written = { written: 1, refused: [], later: [] };

t.test('API key, user with password, or nobody', async (t) => {
  const server = await startElasticServer(t);
  const told: [object, string | undefined][] = [
    [{ api_key: key }, 'ApiKey canary-key'],
    [{ username: 'sluice', password: new Secret('pass:word') }, `Basic ${btoa('sluice:pass:word')}`],
    [{}, undefined],
  ];
  for (const [options, header] of told) {
    server.documents.clear();
    t.match(await push(t, { node: server.url, ...options }), written);
    t.equal(server.requests.at(-1)?.headers.authorization, header);
    t.match(server.requests.at(-1)?.headers['user-agent'], /^Sluice\//);
  }
});

t.test('an authority of one’s own: by its certificate, by its fingerprint, and no other', async (t) => {
  const made = makeCertificates(t, t.testdir());
  if (made === null) return;
  const tls = { cert: `${made.read('server.crt')}${made.read('ca.crt')}`, key: made.read('server.key') };
  const server = await startElasticServer(t, tls);
  const ca = made.read('ca.crt');
  const fingerprint = new X509Certificate(ca).fingerprint256;
  const trusting: [string, object][] = [
    ['ca', { ca: new Secret(ca) }],
    ['ca_fingerprint', { ca_fingerprint: fingerprint }],
    [
      'ca_fingerprint as openssl prints it in small letters',
      { ca_fingerprint: fingerprint.replaceAll(':', '').toLowerCase() },
    ],
  ];
  for (const [name, options] of trusting) {
    server.documents.clear();
    t.match(await push(t, { node: server.url, api_key: key, ...options }), written, name);
  }
  const before = server.requests.length;
  const other = makeCertificates(t, join(made.dir, 'other'));
  const stolen = { cert: `${other?.read('server.crt')}${ca}`, key: other?.read('server.key') ?? '' };
  const forger = await startElasticServer(t, stolen);
  const doubting: [string, object][] = [
    ['no authority', {}],
    ['another authority', { ca: new Secret(other?.read('ca.crt') ?? '') }],
    ['another fingerprint', { ca_fingerprint: 'ab'.repeat(32) }],
    [
      'who shows our authority’s certificate beside one that it never signed',
      { node: forger.url, ca_fingerprint: fingerprint },
    ],
  ];
  for (const [name, options] of doubting) {
    const error: any = await push(t, { node: server.url, api_key: key, ...options }).catch((thrown) => thrown);
    t.match(error.code, /^sink-/, name);
    t.match(error.message, /certificate/, 'and says why');
    t.notMatch(`${error.message} ${JSON.stringify(error)}`, /canary/);
  }
  t.equal(server.requests.length + forger.requests.length, before, 'a stranger is told nothing, the key least of all');
});

t.test('a cloud id leads to its deployment, packed', async (t) => {
  const made = makeCertificates(t, t.testdir());
  if (made === null) return;
  const server = await startElasticServer(t, { cert: made.read('server.crt'), key: made.read('server.key') });
  const { port } = new URL(server.url);
  const { lookup } = dns;
  const asked: string[] = [];
  // The name is the deployment's; the way to it ends at this machine.
  dns.lookup = ((host: string, options: object, done: (...args: unknown[]) => void) => {
    asked.push(host);
    return (lookup as any)('127.0.0.1', options, done);
  }) as never;
  t.teardown(() => {
    dns.lookup = lookup;
  });
  const cloud_id = `sluice:${btoa(`eu.example:${port}$es1$kb1`)}`;
  const error: any = await push(t, { cloud_id, api_key: key, ca: new Secret(made.read('ca.crt')) }).catch((e) => e);
  t.same(asked, ['es1.eu.example']);
  t.equal(error.code, 'sink-unavailable', 'whose certificate has another name');
  t.equal(server.requests.length, 0);
});

t.test('requests are packed where that was asked for', async (t) => {
  const server = await startElasticServer(t);
  for (const [compression, encoding] of [
    [undefined, undefined],
    [false, undefined],
    [true, 'gzip'],
  ] as const) {
    server.documents.clear();
    t.match(await push(t, { node: server.url, ...(compression === undefined ? {} : { compression }) }), written);
    t.equal(server.requests.at(-1)?.headers['content-encoding'], encoding, String(compression));
  }
});

t.test('a node that never shakes hands holds up neither a push nor a stop for long', async (t) => {
  const mute = createServer(() => undefined).listen(0, '127.0.0.1');
  await once(mute, 'listening');
  const sockets: Socket[] = [];
  mute.on('connection', (socket) => sockets.push(socket));
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    mute.close();
  });
  const { port } = mute.address() as AddressInfo;
  const options = { node: `https://127.0.0.1:${port}`, ca_fingerprint: 'ab'.repeat(32) };
  await t.rejects(push(t, { ...options, timeout: 100 }), { code: 'sink-unavailable', message: /timeout/ });
  const stop = new AbortController();
  const pushing = push(t, { ...options, timeout: 60_000 }, stop.signal);
  stop.abort(new Error('stopping'));
  await t.rejects(pushing, { message: 'stopping' });
});
