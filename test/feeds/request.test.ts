import t, { type Test } from 'tap';
import { Agent } from 'undici';
import { json } from '../../src/feeds/json.ts';
import { concealIn } from '../../src/feeds/source/conceal.ts';
import { checkSource, type SourceOptions, sourceAccount } from '../../src/feeds/source.ts';
import { stix } from '../../src/feeds/stix.ts';
import { MICROS_PER_SECOND } from '../../src/model/clock.ts';
import { GatewayError } from '../../src/model/error.ts';
import { Secret } from '../../src/model/secret.ts';
import { redact } from '../../src/upstream/redact.ts';
import { userAgentOf } from '../../src/writer/backend.ts';
import { scriptedClock } from '../helpers/clock.ts';
import { openFeedBench, pull } from '../helpers/feed.ts';
import { type Answer, type Request, serve } from '../helpers/scripted-server.ts';
import { START, uuidOf } from '../helpers/store.ts';

const bundle = JSON.stringify({ type: 'bundle', objects: [{ type: 'x-a', id: `x-a--${uuidOf('1')}` }] });

const give: Answer = (_, response) => void response.end(bundle);
const fail =
  (status: number): Answer =>
  (_, response) => {
    response.writeHead(status);
    response.end('no');
  };

async function pulled(t: Test, options: SourceOptions) {
  checkSource(options);
  const bench = await openFeedBench(t, stix, options);
  return pull(stix, bench.context());
}

t.test('headers, a body and secrets in them are sent as the options say', async (t) => {
  const { url, requests } = await serve(t, give);
  const secrets = { ID: new Secret('a"b/c'), TOKEN: new Secret('t&k en') };
  const cases: [SourceOptions, { method: string; url: string; body: string; type: string | undefined }][] = [
    [
      { url: `${url}/a`, headers: { 'X-Two': 'plain' } },
      { method: 'GET', url: '/a', body: '', type: undefined },
    ],
    [
      { url: `${url}/{secret:ID}?t={secret:TOKEN}`, secrets },
      { method: 'GET', url: '/a%22b%2Fc?t=t%26k%20en', body: '', type: undefined },
    ],
    [
      { url: `${url}/a`, body: { query: 'x', deep: [{ id: '{secret:ID}{secret:TOKEN}' }] }, secrets },
      { method: 'POST', url: '/a', body: '{"query":"x","deep":[{"id":"a\\"b/ct&k en"}]}', type: 'application/json' },
    ],
    [
      { url: `${url}/a`, body: 'q={secret:ID}&t={secret:TOKEN}', secrets },
      { method: 'POST', url: '/a', body: 'q=a%22b%2Fc&t=t%26k%20en', type: 'application/x-www-form-urlencoded' },
    ],
    [
      { url: `${url}/a`, body: '{"q":"{secret:ID}{secret:TOKEN}"}', secrets },
      { method: 'POST', url: '/a', body: '{"q":"a\\"b/ct&k en"}', type: 'application/json' },
    ],
    [
      { url: `${url}/a`, body: '{secret:ID}{secret:TOKEN}', content_type: 'text/plain', secrets },
      { method: 'POST', url: '/a', body: 'a"b/ct&k en', type: 'text/plain' },
    ],
    [
      { url: `${url}/a`, method: 'POST' },
      { method: 'POST', url: '/a', body: '', type: 'application/x-www-form-urlencoded' },
    ],
  ];
  for (const [options, expected] of cases) {
    const { error, items } = await pulled(t, options);
    t.equal(error, null);
    t.equal(items.length, 1);
    const { message, body } = requests.at(-1) as Request;
    const sent = { method: message.method, url: message.url, body, type: message.headers['content-type'] };
    t.strictSame(sent, expected);
  }
  t.equal(requests[0]?.message.headers['x-two'], 'plain');
  const agents = {
    headers: { Authorization: 'Token {secret:ID}', 'User-Agent': 'phishtank/me' },
    secrets: { ID: new Secret('s') },
  };
  await pulled(t, { url: `${url}/a`, ...agents });
  t.match(requests.at(-1)?.message.headers, { authorization: 'Token s', 'user-agent': 'phishtank/me' });
});

t.test('a value that holds a placeholder is not looked at again', async (t) => {
  const { url, requests } = await serve(t, give);
  const secrets = { A: new Secret('{secret:B}'), B: new Secret('b') };
  await pulled(t, { url: `${url}/a`, headers: { 'x-a': '{secret:A}', 'x-b': '{secret:B}{since}' }, secrets });
  t.match(requests[0]?.message.headers, { 'x-a': '{secret:B}', 'x-b': 'b{since}' });
});

t.test('options of a request that contradict each other are refused', async (t) => {
  const key = new Secret('k');
  const url = 'https://feeds.example/a.json';
  const oauth2 = {
    token_url: 'https://id.example/token',
    client_id: 'me',
    client_secret: key,
    client_authentication: 'body' as const,
  };
  const cases: [SourceOptions, RegExp][] = [
    [{ path: 'a', headers: { a: 'b' } }, /headers goes with url/],
    [{ path: 'a', secrets: { A: key } }, /secrets goes with url/],
    [{ url, method: 'GET', body: 'x' }, /body goes with method POST/],
    [{ url, content_type: 'text/plain' }, /content_type goes with a body/],
    [{ url: `${url}?{secret:A}` }, /\{secret:A\} is used, and secrets has no A/],
    [{ url, body: { a: ['{secret:A}'] }, secrets: { B: key } }, /secrets has no A/],
    [{ url, secrets: { A: key } }, /secrets\.A is used nowhere/],
    [{ url, headers: { a: '{key}' }, key }, /\{key\} stands in url only/],
    [{ url, headers: { Host: 'x' } }, /headers\.Host is set by the gateway/],
    [{ url, headers: { 'Accept-Encoding': 'x' } }, /is set by the gateway/],
    [{ url, headers: { 'X-Key': 'x' }, header: 'x-key', key }, /what header names/],
    [{ url, headers: { Authorization: 'Bearer abc' } }, /is a secret/],
    [{ url, headers: { authorization: '{secret:A}' }, secrets: { A: key }, key }, /goes without key and oauth2/],
    [{ url, key, oauth2 }, /oauth2 goes without key/],
    [
      { url: `${url}?{secret:A}`, secrets: { A: key }, fallback_urls: ['https://copy.example/{secret:A}'] },
      /gives copy\.example a secret/,
    ],
    [{ url, body: '{secret:A}', secrets: { A: key }, fallback_urls: ['https://copy.example/'] }, /body holds a secret/],
  ];
  for (const [options, message] of cases) {
    t.throws(() => checkSource(options), { code: 'config-invalid', message }, JSON.stringify(options));
  }
  const unsendable = { url, headers: { a: '{secret:A}' }, secrets: { A: new Secret('schlüssel') } };
  t.throws(() => sourceAccount(unsendable), { code: 'config-invalid', message: /no header carries/ });
});

t.test('a copy is asked where the address can not be read, without the key, and a note says so', async (t) => {
  const key = new Secret('topsecret-key');
  for (const status of [403, 404, 503]) {
    const main = await serve(t, fail(status));
    const copy = await serve(t, give);
    const options: SourceOptions = {
      url: `${main.url}/a`,
      key,
      headers: { 'x-plain': 'yes', 'x-secret': '{secret:A}' },
      secrets: { A: new Secret('othersecret') },
      fallback_urls: [`${main.url}/b`, `${copy.url}/c`],
    };
    const { error, items, batches } = await pulled(t, options);
    t.equal(error, null);
    t.equal(items.length, 1);
    t.match(batches.at(-1)?.note, new RegExp(`${status}|allow`));
    t.match(batches.at(-1)?.note, `The copy at ${new URL(copy.url).host} was read in its place.`);
    t.match(main.requests.at(-1)?.message.headers, {
      authorization: 'Bearer topsecret-key',
      'x-secret': 'othersecret',
    });
    t.match(copy.requests[0]?.message.headers, { authorization: undefined, 'x-secret': undefined, 'x-plain': 'yes' });
  }
});

t.test(
  'no copy is asked where the address answers something else, and its failure is told when none answers',
  async (t) => {
    const copy = await serve(t, give);
    for (const status of [401, 429]) {
      const main = await serve(t, fail(status));
      const { error } = await pulled(t, { url: main.url, fallback_urls: [copy.url] });
      t.ok(error instanceof GatewayError);
    }
    t.equal(copy.requests.length, 0);
    const [main, other] = [await serve(t, fail(404)), await serve(t, fail(500))];
    const { error } = await pulled(t, { url: main.url, fallback_urls: [other.url] });
    t.match(error, { code: 'upstream-failed', message: / answered 404/ });
  },
);

t.test('a copy is not asked with the validators of the address, and leaves none', async (t) => {
  let isDown = false;
  const main = await serve(t, (_, response) => {
    response.writeHead(isDown ? 404 : 200, { etag: '"one"' });
    response.end(bundle);
  });
  const copy = await serve(t, (_, response) => {
    response.writeHead(200, { etag: '"two"' });
    response.end(bundle);
  });
  const bench = await openFeedBench(t, stix, { url: main.url, fallback_urls: [copy.url] });
  const first = bench.context();
  await pull(stix, first);
  const known = first.fetcher?.validators();
  t.match(known, { etag: '"one"' });
  isDown = true;
  const second = bench.context({}, known);
  t.equal((await pull(stix, second)).items.length, 1, 'the same body from a copy is read');
  t.equal(copy.requests[0]?.message.headers['if-none-match'], undefined);
  t.strictSame(second.fetcher?.validators(), { etag: null, lastModified: null, bodyHash: null });
});

t.test('an upstream that is down for days does not keep its copy from being asked', async (t) => {
  const main = await serve(t, fail(504));
  const copy = await serve(t, give);
  const bench = await openFeedBench(t, stix, { url: main.url, fallback_urls: [copy.url] });
  for (let n = 0; n < 10; n += 1) {
    const { error, items } = await pull(stix, bench.context());
    t.equal(error, null);
    t.equal(items.length, 1);
  }
  t.ok(main.requests.length < 30, 'the circuit breaker spares it all the same');
});

const SECRET = 's3cr=t "key"/&';

t.test('what an upstream repeats of a secret is in no error, note or rejection', async (t) => {
  const secrets = { A: new Secret(SECRET) };
  const spellings = [
    SECRET,
    encodeURIComponent(SECRET),
    JSON.stringify(SECRET).slice(1, -1),
    btoa(SECRET),
    SECRET.toUpperCase(),
  ];
  for (const text of spellings) {
    const answers: Answer[] = [
      (_, response) => void response.end(`<html>${text}`),
      (_, response) => void response.end(`{"error": ${JSON.stringify(text)}}`),
      (_, response) => {
        response.writeHead(400, { 'content-type': 'text/plain' });
        response.end(text);
      },
      (_, response) => {
        response.writeHead(302, { location: `http://127.0.0.2/${encodeURIComponent(text)}` });
        response.end();
      },
    ];
    for (const answer of answers) {
      const { url } = await serve(t, answer);
      const options = { url: `${url}/{secret:A}`, headers: { 'x-a': 'k' }, secrets };
      const bench = await openFeedBench(t, stix, options);
      const context = bench.context();
      const { error } = await pull(stix, context);
      t.ok(error instanceof GatewayError);
      const { message, excerpt = '', details = {} } = error as GatewayError;
      const shown = [message, excerpt, JSON.stringify(details)].join(' ');
      t.notOk(
        redact(shown, context.fetcher?.secrets() ?? [])
          .toLowerCase()
          .includes(text.toLowerCase()),
        shown,
      );
    }
  }
});

t.test('what an upstream repeats of a secret reaches no row, wherever its answer is cut', async (t) => {
  const secrets = [new Secret(SECRET), new Secret('abcdefgh'), new Secret('short')];
  const base64 = Buffer.from(SECRET).toString('base64');
  const text = `[ "${encodeURIComponent(SECRET)}", ${JSON.stringify(SECRET)}, "${base64}", "abcdefg", "abcdefghabcdefghi", "short" ]`;
  for (let size = 1; size < text.length; size += 3) {
    const body = (async function* () {
      for (let at = 0; at < text.length; at += size) {
        yield Buffer.from(text.slice(at, at + size));
        yield new Uint8Array();
      }
    })();
    const chunks: Uint8Array[] = [];
    for await (const chunk of concealIn(body, secrets)) chunks.push(chunk);
    const [encoded, plain, inBase64, ...others] = JSON.parse(Buffer.concat(chunks).toString());
    t.strictSame(others, ['abcdefg', `${'*'.repeat(16)}i`, 'short']);
    // The padding of Base64 says nothing of what it encodes, and may come in the next chunk.
    t.match([encoded, plain, inBase64], [/^\*+$/, /^\*+$/, /^\*+=*$/]);
    t.ok(
      chunks.some(({ length }) => length === 0),
      'pauses are passed on',
    );
  }
  const { url } = await serve(t, ({ message }, response) => {
    response.end(
      JSON.stringify([{ value: 'a.example', description: `see ${message.url} and ${message.headers.authorization}` }]),
    );
  });
  const options = {
    url: `${url}/{secret:A}`,
    key: new Secret('topsecret-key'),
    secrets: { A: new Secret('pathsecret') },
  };
  const bench = await openFeedBench(t, json, { ...options, fields: { value: 'value', description: 'description' } });
  const { items } = await pull(json, bench.context());
  t.match(JSON.stringify(items), 'see /********** and Bearer *************');
});

t.test('a secret is redacted in every spelling, and where a text was cut in it', async (t) => {
  const secrets = [new Secret(SECRET), new Secret(''), new Secret('abcdefghijklmnop')];
  const form = new URLSearchParams({ a: SECRET }).toString().slice(2);
  for (const text of [
    SECRET,
    encodeURIComponent(SECRET),
    form,
    btoa(SECRET),
    'S3CR=T "KEY"/&amp;',
    's3cr=t &quot;key&quot;/&amp;',
  ]) {
    t.equal(redact(`x ${text} y`, secrets), 'x [redacted] y', text);
  }
  t.equal(redact('abcd', [new Secret('bc'), new Secret('abcd')]), '[redacted]', 'the longer one first');
  t.equal(redact('it begins abcdefghij', secrets), 'it begins [redacted]');
  t.equal(redact('it begins abcdef', secrets), 'it begins abcdef');
});

t.test('what holds a secret does not follow a redirect to another host', async (t) => {
  const seen: string[] = [];
  const { url } = await serve(t, ({ message, body }, response) => {
    seen.push(JSON.stringify([message.headers, body]));
    const { host = '', 'x-plain': plain } = message.headers;
    if (host.startsWith('other.')) return void response.end(bundle);
    if (plain === 'yes') response.writeHead(307, { location: `http://other.feed.test:${new URL(url).port}/` });
    response.end(bundle);
  });
  const here = { address: '127.0.0.1', family: 4 };
  const dispatcher = new Agent({
    connect: { lookup: (_, { all }, callback) => (all ? callback(null, [here]) : callback(null, here.address, 4)) },
  });
  t.teardown(() => dispatcher.destroy());
  const secrets = { A: new Secret('headersecret') };
  const address = `http://own.feed.test:${new URL(url).port}/`;
  const read = async (options: SourceOptions) => {
    const bench = await openFeedBench(t, stix, options, { dispatcher });
    return (await pull(stix, bench.context())).error;
  };
  const headers = { 'x-plain': 'yes', 'x-a': '{secret:A}' };
  t.equal(await read({ url: address, headers, secrets }), null);
  t.equal(seen.length, 2);
  t.match(seen[0], 'headersecret');
  t.notMatch(seen[1], 'headersecret', 'the header stays behind');
  t.equal(await read({ url: address, headers, secrets, hosts: ['other.feed.test'] }), null);
  t.match(seen[3], 'headersecret', 'unless the host is named');
  const error = await read({ url: address, headers: { 'x-plain': 'yes' }, body: '{secret:A}', secrets });
  t.match(error, { code: 'upstream-unauthorized', message: /other\.feed\.test.* is not given the key/ });
  t.equal(seen.length, 5, 'the body is not sent on');
});

t.test('a token of OAuth 2 is fetched once, used until it ends, and fetched anew when it is refused', async (t) => {
  const clock = scriptedClock(START, { auto: true });
  let issued = 0;
  let good = 'token-1';
  const { url, requests } = await serve(t, ({ message }, response) => {
    if (message.url === '/token') {
      issued += 1;
      good = `token-${issued}`;
      response.end(JSON.stringify({ access_token: good, token_type: 'Bearer', expires_in: 3600 }));
      return;
    }
    if (message.headers.authorization !== `Bearer ${good}`) response.writeHead(401);
    response.end(bundle);
  });
  const oauth2 = {
    token_url: `${url}/token`,
    client_id: 'me',
    client_secret: new Secret('cl&ent'),
    scope: 'read',
    audience: 'x y',
  };
  const bench = await openFeedBench(t, stix, { url: `${url}/a`, oauth2 }, { clock });
  const read = async () => (await pull(stix, bench.context())).error;
  t.equal(await read(), null);
  t.equal(
    requests[0]?.body,
    'grant_type=client_credentials&client_id=me&client_secret=cl%26ent&scope=read&audience=x+y',
  );
  t.equal(await read(), null);
  t.equal(issued, 1, 'it is kept');
  good = 'revoked';
  t.equal(await read(), null);
  t.equal(issued, 2, 'a refused one is fetched anew');
  clock.set(clock.now() + 3600 * MICROS_PER_SECOND);
  t.equal(await read(), null);
  t.equal(issued, 3, 'one that ended is not tried');
  t.equal(requests.filter(({ message }) => message.url === '/a').length, 5);
});

t.test('a token that is not accepted right away is fetched no second time, and no error shows it', async (t) => {
  let issued = 0;
  const { url, requests } = await serve(t, ({ message }, response) => {
    if (message.url === '/token') {
      issued += 1;
      response.end(JSON.stringify({ access_token: 'the-token-itself' }));
      return;
    }
    response.end(`<p>${message.headers.authorization}`);
  });
  const oauth2 = {
    token_url: `${url}/token`,
    client_id: 'm:e',
    client_secret: new Secret('s'),
    client_authentication: 'header',
  };
  const bench = await openFeedBench(t, stix, { url: `${url}/a`, oauth2 });
  const context = bench.context();
  const { error } = await pull(stix, context);
  t.equal(issued, 1);
  t.equal(requests[0]?.message.headers.authorization, `Basic ${btoa('m%3Ae:s')}`);
  t.match(error, { code: 'upstream-malformed' });
  const { excerpt = '' } = error as GatewayError;
  t.match(excerpt, '****', 'it came back, and is not shown');
  t.notMatch(redact(excerpt, context.fetcher?.secrets() ?? []), 'the-token');
});

t.test('a server that gives no token is named, without what it said', async (t) => {
  const cases: [Answer, object][] = [
    [fail(401), { code: 'upstream-unauthorized', message: /gives this client no token \(401\)/ }],
    [
      (_, response) => void response.end('{"access_token":'),
      { code: 'upstream-malformed', message: /without a token/, excerpt: undefined },
    ],
    [(_, response) => void response.end('{"access_token":"a b"}'), { code: 'upstream-malformed' }],
    [(_, response) => void response.end('[]'), { code: 'upstream-malformed' }],
  ];
  for (const [answer, expected] of cases) {
    const { url } = await serve(t, answer);
    const oauth2 = { token_url: `${url}/token`, client_id: 'me', client_secret: new Secret('cl1ent-s3cret') };
    const bench = await openFeedBench(t, stix, { url: `${url}/a`, oauth2 });
    t.match((await pull(stix, bench.context())).error, expected);
  }
});

t.test('User-Agent names whom to write to', async (t) => {
  t.match(userAgentOf(null), /^Sluice\/\S+ \(threat-intelligence gateway\)$/);
  t.match(userAgentOf('soc@example.org (Söc)'), /gateway; soc@example\.org Sc\)$/);
});
