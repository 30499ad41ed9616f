import t from 'tap';
import { openContributing } from '../helpers/contributing.ts';

t.test(
  'an indicator in one line becomes a STIX object, and another version only when it says something else',
  async (t) => {
    const gateway = await openContributing(t);
    const { app, keys, ask } = gateway;
    const add = (iocs: unknown, key = keys.both, collection = 'drop') =>
      app.inject({
        method: 'POST',
        url: '/api/v1/iocs',
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
        payload: JSON.stringify({ collection, iocs }),
      });
    const row = {
      ioc: 'hxxp://evil[.]example/x',
      confidence: 70,
      tlp: 'green',
      labels: ['phishing'],
      description: 'Seen in a mail.',
      valid_until: '2099-01-01T00:00:00Z',
    };
    const first = await add(row);
    t.equal(first.statusCode, 200, first.body);
    const [{ id }] = first.json().data;
    t.strictSame(first.json(), {
      meta: { total: 1, added: 1, updated: 0, unchanged: 0, refused: 0 },
      data: [{ ioc: row.ioc, outcome: 'added', type: 'url', value: 'http://evil.example/x', id }],
    });
    const object = async () => (await ask('GET', `/collections/drop/objects/${id}/`)).json().objects[0];
    const before = await object();
    t.match(before, {
      type: 'indicator',
      name: 'http://evil.example/x',
      pattern: "[url:value = 'http://evil.example/x']",
      confidence: 70,
      labels: ['phishing'],
      description: 'Seen in a mail.',
      valid_until: '2099-01-01T00:00:00.000Z',
      object_marking_refs: ['marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb'],
    });
    t.match((await add({ ...row, ioc: 'http://EVIL.example/x' })).json(), { data: [{ outcome: 'unchanged', id }] });
    t.strictSame(await object(), before);
    const { valid_until: _, ...shorter } = row;
    t.match(
      (
        await add([
          { ...shorter, confidence: 90 },
          { ...shorter, confidence: 90 },
          { ...shorter, confidence: 10 },
        ])
      ).json(),
      {
        meta: { updated: 2, unchanged: 1 },
        data: [
          { outcome: 'updated', id },
          { outcome: 'unchanged', id },
          { outcome: 'updated', id },
        ],
      },
    );
    const after = await object();
    t.match(after, { confidence: 10, created: before.created, valid_from: before.valid_from });
    t.notOk('valid_until' in after, 'what is left out is not kept');
    const versions = (await ask('GET', `/collections/drop/objects/${id}/versions/`)).json().versions;
    t.equal(new Set(versions).size, 3);
  },
);

t.test('each row that is refused has its reason, and the others are added', async (t) => {
  const { app, keys, ask } = await openContributing(t);
  const rows = [
    { ioc: '198.51.100.7', type: 'ipv4' },
    { ioc: 'CVE-2026-1234' },
    { ioc: '127.0.0.1' },
    { ioc: 'nothing of a kind' },
    { ioc: 'evil.example.org', confidence: 'a lot' },
    { ioc: 'evil.example.org', tlp: 'red' },
    { ioc: 'evil.example.org', valid_until: '2020-01-01T00:00:00Z' },
    { ioc: 'evil.example.org', valid_till: '2099-01-01T00:00:00Z' },
    { ioc: 7 },
    {},
    'evil.example',
    null,
  ];
  const reply = await app.inject({
    method: 'POST',
    url: '/api/v1/iocs',
    headers: { authorization: `Bearer ${keys.both}`, 'content-type': 'application/json' },
    payload: JSON.stringify({ collection: 'drop', iocs: rows }),
  });
  const { meta, data } = reply.json();
  t.strictSame(meta, { total: 12, added: 2, updated: 0, unchanged: 0, refused: 10 });
  t.strictSame(data.map(({ outcome }: any) => outcome).slice(0, 2), ['added', 'added']);
  for (const { outcome, reason } of data.slice(2)) t.ok(outcome === 'refused' && reason.length > 0, reason);
  t.match(data[4].reason, /confidence/);
  t.equal(data[5].reason, 'It is marked TLP:RED, and this collection takes up to TLP:AMBER.');
  t.match(data[7].reason, /^valid_till is no member here/);
  const { objects } = (await ask('GET', '/collections/drop/objects/?match[type]=vulnerability')).json();
  t.match(objects, [{ name: 'CVE-2026-1234', external_references: [{ source_name: 'cve' }] }]);
});

t.test('who may not write is refused, and bodies of another form', async (t) => {
  const { app, keys } = await openContributing(t);
  const send = async (payload: unknown, key = keys.writer, type = 'application/json') =>
    (
      await app.inject({
        method: 'POST',
        url: '/api/v1/iocs',
        headers: { authorization: `Bearer ${key}`, 'content-type': type },
        payload: JSON.stringify(payload),
      })
    ).statusCode;
  const good = { collection: 'drop', iocs: [{ ioc: 'evil.example.org' }] };
  t.equal(await send(good), 200, 'who may only write may');
  t.equal(await send(good, keys.reader), 403);
  t.equal(await send(good, keys.stranger), 404);
  t.equal(await send({ ...good, collection: 'other' }), 404);
  t.equal(await send({ iocs: [] }), 400);
  t.equal(await send({ ...good, iocs: [] }), 400);
  t.equal(await send({ ...good, iocs: Array(1001).fill({ ioc: 'evil.example.org' }) }), 400);
  t.equal(await send({ ...good, more: 1 }), 400);
  t.equal(await send(good, keys.writer, 'text/plain'), 415);
});
