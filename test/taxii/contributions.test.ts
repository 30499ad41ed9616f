import fc from 'fast-check';
import t from 'tap';
import { openContributing, ROOT, TAXII } from '../helpers/contributing.ts';
import { stixIndicator } from '../helpers/indicator.ts';
import { uuidOf } from '../helpers/store.ts';

const OBJECTS = '/collections/drop/objects/';
const yaml = `
data: ./data
feeds: { none: { format: text, path: ./none } }
pools: { main: { feeds: [none] } }
collections:
  all: { pool: main }
  drop: { contributed: true }
`;

const ip = (n: number) => `[ipv4-addr:value = '198.51.100.${n}']`;
const TLP1_AMBER = 'marking-definition--f88d31f6-486f-44da-b317-01333bde0b82';
const TLP1_RED = 'marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed';
const MODIFIED = ['2026-01-01T00:00:00.000Z', '2026-01-02T00:00:00.000Z', '2026-01-03T00:00:00.000Z'] as const;
const version = (n: 0 | 1 | 2, more: object = {}) => ({
  ...stixIndicator(1, ip(1)),
  created: MODIFIED[0],
  modified: MODIFIED[n],
  ...more,
});

t.test('what is posted is kept as it came, and answered by a status that can be asked for again', async (t) => {
  const { ask, post, keys } = await openContributing(t, { yaml });
  const note = { type: 'ipv4-addr', spec_version: '2.1', id: `ipv4-addr--${uuidOf('ip')}`, value: '198.51.100.7' };
  const indicator = { ...stixIndicator(1, ip(1)), x_house_number: 7 };
  const status = await post([indicator, note]);
  t.match(status, {
    id: /^[0-9a-f]{8}-[0-9a-f]{4}-4/,
    status: 'complete',
    request_timestamp: /\.\d{6}Z$/,
    total_count: 2,
    success_count: 2,
    failure_count: 0,
    pending_count: 0,
    successes: [{ id: indicator.id, version: indicator.modified }, { id: note.id }],
  });
  t.notOk('failures' in status, 'no list is empty');
  const read = (await ask('GET', `${OBJECTS}?match[type]=indicator,ipv4-addr`)).json();
  t.strictSame(read.objects, [indicator, note], 'with all its properties');
  const again = await ask('GET', `/status/${status.id}/`);
  t.equal(again.headers['content-type'], TAXII);
  t.strictSame(again.json(), status);
  t.equal((await ask('GET', `/status/${status.id}/`, { key: keys.writer })).statusCode, 404, 'it is nobody else’s');
  t.equal((await ask('GET', `/status/${uuidOf('other')}/`)).statusCode, 404);
});

t.test('an object that is there already is a success and changes nothing (cti-taxii-server#149)', async (t) => {
  const { ask, post } = await openContributing(t, { yaml });
  const sco = { type: 'domain-name', spec_version: '2.1', id: `domain-name--${uuidOf('d')}`, value: 'evil.example' };
  const objects = [version(0), sco];
  await post(objects);
  const before = (await ask('GET', `/collections/drop/manifest/`)).json();
  const status = await post([...objects, ...objects, { ...version(0), name: 'other words for the same version' }]);
  t.match(status, { total_count: 5, success_count: 5, failure_count: 0 });
  t.strictSame((await ask('GET', `/collections/drop/manifest/`)).json(), before);
  t.match(await post([{ ...sco, value: 'other.example' }]), { success_count: 1 });
  const [last] = (await ask('GET', `${OBJECTS}?match[id]=${sco.id}`)).json().objects;
  t.equal(last.value, 'other.example', 'another content of an observable is another version');
});

t.test('the definitions of TLP that posts carry along are successes (cti-taxii-server#150)', async (t) => {
  const { ask, post } = await openContributing(t, { yaml });
  const own = (await ask('GET', OBJECTS)).json().objects;
  t.ok(
    own.some(({ id }: { id: string }) => id === TLP1_AMBER),
    'those of TLP 1 stand there as well',
  );
  const red = { ...own.find(({ id }: { id: string }) => id === TLP1_AMBER), id: TLP1_RED, definition: { tlp: 'red' } };
  const status = await post([...own, red]);
  t.match(status, { success_count: own.length + 1, failure_count: 0 });
  t.strictSame((await ask('GET', OBJECTS)).json().objects, own, 'and change nothing, ours the identity included');
});

t.test('each object that is refused has its reason, and counts are numbers (opencti#11433)', async (t) => {
  const { ask, post } = await openContributing(t, { yaml });
  const { type: _, ...typeless } = stixIndicator(2, ip(2));
  const { pattern: __, ...patternless } = stixIndicator(3, ip(3));
  const status = await post([
    stixIndicator(1, ip(1)),
    typeless,
    patternless,
    'text',
    null,
    {},
    { ...stixIndicator(4, ip(4)), object_marking_refs: [TLP1_RED] },
    { ...stixIndicator(5, ip(5)), labels: ['tlp:red'] },
    { ...stixIndicator(6, ip(6)), object_marking_refs: [`marking-definition--${uuidOf('unknown')}`] },
  ]);
  t.match(status, { total_count: 9, success_count: 1, failure_count: 8, pending_count: 0 });
  t.strictSame(
    status.failures.map(({ id, message }: any) => [id, message]),
    [
      [typeless.id, 'no valid type'],
      [patternless.id, status.failures[1].message],
      ['objects[3]', 'It is no JSON object.'],
      ['objects[4]', 'It is no JSON object.'],
      ['objects[5]', 'no valid type'],
      [stixIndicator(4, ip(4)).id, 'It is marked TLP:RED, and this collection takes up to TLP:AMBER.'],
      [stixIndicator(5, ip(5)).id, 'It is marked TLP:RED, and this collection takes up to TLP:AMBER.'],
      [
        stixIndicator(6, ip(6)).id,
        `Its marking marking-definition--${uuidOf('unknown')} is not known here: add its definition first.`,
      ],
    ],
  );
  t.match(status.failures[1].message, /pattern/);
  for (const { version } of status.failures) t.match(version, /^\d{4}-.*Z$/, 'a version is required');
  t.equal((await ask('GET', `${OBJECTS}?match[type]=indicator`)).json().objects.length, 1);
});

t.test('a marking of a publisher’s own is known by its definition, sent along or before', async (t) => {
  const { post } = await openContributing(t, { yaml });
  const definition = (name: string, more: object) => ({
    type: 'marking-definition',
    spec_version: '2.1',
    id: `marking-definition--${uuidOf(name)}`,
    created: MODIFIED[0],
    ...more,
  });
  const licence = definition('licence', { definition_type: 'statement', definition: { statement: 'CC0' } });
  const secret = definition('secret', { name: 'TLP:RED', definition_type: 'tlp', definition: { tlp: 'red' } });
  const marked = (n: number, id: string) => ({ ...stixIndicator(n, ip(n)), object_marking_refs: [id] });
  t.match(await post([marked(1, licence.id), licence, secret]), { success_count: 3 });
  t.match(await post([marked(2, licence.id), marked(3, secret.id)]), {
    success_count: 1,
    failures: [{ message: 'It is marked TLP:RED, and this collection takes up to TLP:AMBER.' }],
  });
  const milder = { ...secret, name: 'TLP:GREEN', definition: { tlp: 'green' } };
  t.match(await post([milder, marked(4, secret.id)]), { failure_count: 1 }, 'what was said first of it stays');
});

t.test('versions are kept, whatever the order in which they come', async (t) => {
  const { ask, post } = await openContributing(t, { yaml });
  await post([version(1), version(0), version(2)]);
  const { id } = version(0);
  const versions = async (query = '') => (await ask('GET', `${OBJECTS}${id}/versions/${query}`)).json().versions;
  const last = async () => (await ask('GET', `${OBJECTS}${id}/`)).json().objects[0].modified;
  t.strictSame((await versions()).sort(), [...MODIFIED]);
  t.equal(await last(), MODIFIED[2]);
  const first = (await ask('GET', `${OBJECTS}${id}/?match[version]=first`)).json();
  t.equal(first.objects[0].modified, MODIFIED[0]);
});

t.test('where the last version alone is kept, an earlier one is a success that changes nothing', async (t) => {
  const { ask, post } = await openContributing(t, {
    yaml: yaml.replace('contributed: true', 'contributed: true, keep_versions: last'),
  });
  await post([version(1)]);
  t.match(await post([version(0)]), { successes: [{ message: 'A later version is there, which stays.' }] });
  await post([version(2)]);
  const { objects } = (await ask('GET', `${OBJECTS}?match[type]=indicator&match[version]=all`)).json();
  t.strictSame(objects, [version(2)]);
});

t.test('a removed object is gone, one version of it or all', async (t) => {
  const { ask, post } = await openContributing(t, { yaml });
  await post([version(0), version(1), version(2), stixIndicator(9, ip(9))]);
  const path = `${OBJECTS}${version(0).id}/`;
  const head = (await ask('GET', OBJECTS)).headers['x-taxii-date-added-last'];
  const removed = await ask('DELETE', `${path}?match[version]=${MODIFIED[2]}`);
  t.equal(removed.statusCode, 200);
  t.equal((await ask('GET', path)).json().objects[0].modified, MODIFIED[1], 'the version before it is the last now');
  const news = (await ask('GET', `${OBJECTS}?added_after=${head}`)).json();
  t.strictSame(news.objects, [version(1)], 'and readers who are past its date hear of it');
  t.strictSame((await ask('GET', `${path}versions/`)).json().versions, [MODIFIED[0], MODIFIED[1]]);
  t.equal((await ask('DELETE', `${path}?match[version]=${MODIFIED[2]}`)).statusCode, 404, 'it is gone already');
  t.equal((await ask('DELETE', `${path}?match[spec_version]=2.0`)).statusCode, 404, 'nothing is of that version');
  t.equal((await ask('DELETE', `${path}?match[version]=first`)).statusCode, 200);
  t.strictSame((await ask('GET', `${path}versions/`)).json().versions, [MODIFIED[1]]);
  await post([version(0), version(2)]);
  t.equal((await ask('DELETE', path)).statusCode, 200, 'without a filter: all');
  t.equal((await ask('GET', path)).statusCode, 404);
  t.equal((await ask('GET', `${OBJECTS}?match[type]=indicator&match[version]=all`)).json().objects.length, 1);
  t.equal((await ask('DELETE', path)).statusCode, 404);
  t.match(await post([version(1)]), { success_count: 1 }, 'it may come back');
  t.equal((await ask('DELETE', `${OBJECTS}${TLP1_AMBER}/`)).statusCode, 404, 'what stands in every journal stays');
  t.equal((await ask('DELETE', `${path}?match[version]=yesterday`)).statusCode, 400);
});

t.test('reading and writing are rights apart', async (t) => {
  const { ask, post, keys } = await openContributing(t, { yaml });
  const body = { objects: [version(0)] };
  const object = `${OBJECTS}${version(0).id}/`;
  const statuses = async (key: string) => [
    (await ask('POST', OBJECTS, { key, body })).statusCode,
    (await ask('GET', OBJECTS, { key })).statusCode,
    (await ask('GET', '/collections/drop/manifest/', { key })).statusCode,
    (await ask('GET', object, { key })).statusCode,
    (await ask('GET', `${object}versions/`, { key })).statusCode,
    (await ask('GET', '/collections/drop/', { key })).statusCode,
    (await ask('DELETE', object, { key })).statusCode,
  ];
  await post([version(0)]);
  t.strictSame(await statuses(keys.reader), [403, 200, 200, 200, 200, 200, 403]);
  t.strictSame(await statuses(keys.writer), [202, 403, 403, 403, 403, 200, 403]);
  t.strictSame(await statuses(keys.stranger), [404, 404, 404, 404, 404, 404, 404]);
  t.strictSame(await statuses(keys.both), [202, 200, 200, 200, 200, 200, 200]);
  const rights = async (key: string) =>
    ((await ask('GET', '/collections/', { key })).json().collections ?? []).map(
      ({ alias, can_read, can_write }: any) => [alias, can_read, can_write],
    );
  t.strictSame(await rights(keys.both), [
    ['all', true, false],
    ['drop', true, true],
  ]);
  t.strictSame(await rights(keys.writer), [['drop', false, true]]);
  t.strictSame(await rights(keys.stranger), []);
  t.match((await ask('GET', '/collections/drop/', { key: keys.writer })).json(), { can_read: false, can_write: true });
  t.equal((await ask('POST', '/collections/all/objects/', { body })).statusCode, 403, 'of a pool nothing is written');
  t.equal((await ask('POST', '/collections/none/objects/', { body })).statusCode, 404);
});

t.test('bodies that are no envelope are refused whole', async (t) => {
  const { ask, app, keys } = await openContributing(t, { yaml });
  const sent = (body: unknown, headers: Record<string, string> = {}) => ask('POST', OBJECTS, { body, headers });
  for (const type of [
    'application/json',
    'text/plain',
    'application/taxii+json;version=2.0',
    'application/stix+json',
  ]) {
    const reply = await sent('{"objects":[]}', { 'content-type': type });
    t.equal(reply.statusCode, 415, type);
    t.match(reply.json(), { http_status: '415', title: 'Unsupported Media Type' });
  }
  const good = JSON.stringify({ objects: [version(0)] });
  for (const type of [
    'application/taxii+json',
    'Application/TAXII+JSON; version="2.1"',
    'application/taxii+json ;version=2.1',
  ])
    t.equal((await sent(good, { 'content-type': type })).statusCode, 202, type);
  t.equal((await sent(good, { 'content-encoding': 'gzip' })).statusCode, 415);
  t.equal((await sent(good, { accept: 'application/taxii+json;version=9.9' })).statusCode, 406);
  const unkeyed = await app.inject({
    method: 'POST',
    url: ROOT + OBJECTS,
    payload: good,
    headers: { 'content-type': TAXII },
  });
  t.equal(unkeyed.statusCode, 401);
  const bodies = {
    nothing: '',
    blank: '  ',
    'no JSON': '{"objects": [',
    'a cut object': '{"objects": [{"type": "indicator"',
    'no list': '{"objects": {}}',
    'no objects': '{"more": false}',
    'an empty list': '{"objects": []}',
    'a list': `[${JSON.stringify(version(0))}]`,
    'a word': 'true',
    'two envelopes': good + good,
    'something behind it': `${good}x`,
    latin1: Buffer.from(good.replace('"created"', '"n\u00e4me":1,"created"'), 'latin1'),
    'a list deeper': JSON.stringify({ data: { objects: [version(0)] } }),
    'too many objects': JSON.stringify({ objects: Array(10_001).fill(1) }),
  };
  const before = (await ask('GET', '/collections/drop/manifest/')).json();
  for (const [name, body] of Object.entries(bodies)) {
    const reply = await sent(body);
    t.equal(reply.statusCode, 422, `${name}: ${reply.body}`);
    t.match(reply.json(), { error_code: 'unprocessable', description: /^The body is no envelope/ }, name);
  }
  t.strictSame((await ask('GET', '/collections/drop/manifest/')).json(), before, 'nothing of them was added');
  t.equal((await sent(good, { authorization: `Bearer ${keys.reader}`, 'content-type': 'text/plain' })).statusCode, 403);
  const bundle = { type: 'bundle', id: `bundle--${uuidOf('b')}`, objects: [stixIndicator(5, ip(5))] };
  t.equal((await sent(bundle)).statusCode, 202, 'a bundle is read as an envelope');
});

t.test('whatever is sent: each object is a success or a failure, and no body is an error of ours', async (t) => {
  const { ask } = await openContributing(t, { yaml });
  const good = fc.nat({ max: 200 }).map((n) => stixIndicator(n, ip(n)));
  const member = fc.tuple(fc.constantFrom(...Object.keys(version(0)), '__proto__', 'x_own', 'labels'), fc.jsonValue());
  const odd = fc.tuple(good, member).map(([object, [name, value]]) => {
    const copy = { ...object };
    Object.defineProperty(copy, name, { value, enumerable: true, configurable: true, writable: true });
    return copy;
  });
  const objects = fc.array(fc.oneof(good, odd, fc.jsonValue()), { minLength: 1, maxLength: 20 });
  await fc.assert(
    fc.asyncProperty(objects, async (objects) => {
      const reply = await ask('POST', OBJECTS, { body: { objects } });
      const { total_count, success_count, failure_count, successes = [], failures = [] } = reply.json();
      return (
        reply.statusCode === 202 &&
        total_count === objects.length &&
        success_count === successes.length &&
        failure_count === failures.length &&
        success_count + failure_count === total_count &&
        failures.every(({ id, version, message }: any) => id !== '' && version !== '' && message !== '')
      );
    }),
    { numRuns: 100 },
  );
  const text = Buffer.from(JSON.stringify({ objects: [version(0), version(1)] }));
  const damaged = fc.tuple(fc.nat({ max: text.length - 1 }), fc.nat({ max: 255 }), fc.boolean());
  await fc.assert(
    fc.asyncProperty(damaged, async ([at, byte, isCut]) => {
      const body = Buffer.from(isCut ? text.subarray(0, at) : text);
      if (!isCut) body[at] = byte;
      return [202, 422].includes((await ask('POST', OBJECTS, { body })).statusCode);
    }),
    { numRuns: 200 },
  );
  const { objects: kept } = (await ask('GET', `${OBJECTS}?match[type]=indicator`)).json();
  t.ok(kept.length > 5, 'some were taken');
});

t.test('a body as large as announced is taken, a larger one is 413', async (t) => {
  const { ask } = await openContributing(t, { yaml });
  const { max_content_length: most } = (await ask('GET', '/')).json();
  const described = (n: number) => ({ ...stixIndicator(n, ip(n)), description: 'x'.repeat(900_000) });
  const text = JSON.stringify({ objects: Array.from({ length: 11 }, (_, n) => described(n)) });
  const sized = (bytes: number): string => text + ' '.repeat(bytes - text.length);
  t.equal((await ask('POST', OBJECTS, { body: sized(most) })).json().success_count, 11);
  const refused = await ask('POST', OBJECTS, { body: sized(most + 1) });
  t.equal(refused.statusCode, 413);
  t.match(refused.json(), { http_status: '413', title: 'Payload Too Large' });
  const oversized = { objects: [{ ...stixIndicator(99, ip(9)), description: 'x'.repeat(1_000_000) }, described(98)] };
  t.match((await ask('POST', OBJECTS, { body: oversized })).json(), {
    success_count: 1,
    failures: [{ message: /^\d+ characters, more than 1000000$/ }],
  });
});

t.test('what was acknowledged survives a restart, and so does its status', async (t) => {
  const dir = t.testdir();
  const first = await openContributing(t, { yaml, dir });
  const status = await first.post([version(0), stixIndicator(2, ip(2))]);
  await first.close();
  const { ask } = await openContributing(t, { yaml, dir, keys: first.keys });
  t.strictSame((await ask('GET', `/status/${status.id}/`)).json(), status);
  t.equal((await ask('GET', `${OBJECTS}?match[type]=indicator`)).json().objects.length, 2);
  t.equal((await ask('POST', OBJECTS, { body: { objects: [version(1)] } })).statusCode, 202);
});
