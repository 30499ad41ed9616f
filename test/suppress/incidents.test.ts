import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { scriptedClock } from '../helpers/clock.ts';
import { openGateway, readAll } from '../helpers/gateway.ts';
import { START } from '../helpers/store.ts';

/**
 * What feeds were reported to list by mistake, through the whole gateway: Zeek-Intelligence-Feeds issues 5, 7, 11, 12 and 14,
 * Public-Intelligence-Feeds 2, nextdns/metadata 329, Malcolm 528.
 */

const mistakes = [
  '8.8.8.8',
  '1.1.1.1',
  '10.0.0.0/8',
  '192.168.0.10',
  'www.microsoft.com',
  'google.com',
  'amazon.com',
  'raw.githubusercontent.com',
  'https://www.microsoft.com/',
  'd41d8cd98f00b204e9800998ecf8427e',
  'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
];
/** Refused when they are read, whatever the lists do. */
const unreadable = ['0.0.0.0', '0.0.0.0/0', '127.0.0.1', 'co.uk', '300.1.1.1'];
const harmful = [
  'http://hacked-shop.com/wp-content/invoice.php',
  'https://raw.githubusercontent.com/evil/repo/main/a.ps1',
  '198.51.100.7',
  'evil.github.io',
  'evil.example.com',
];

/** All indicator values that TAXII and REST serve when a feed says all of the above, with these lines in its pool. */
async function servedWith(t: Test, pool: string, feed = '') {
  const dir = t.testdir();
  writeFileSync(join(dir, 'list.txt'), [...mistakes, ...unreadable, ...harmful].join('\n'));
  const yaml = `data: ./data
feeds: { one: { format: text, path: ./list.txt, confidence: 80, max_refused: off${feed} } }
pools: { main: { feeds: [one]${pool} } }
collections: { all: { pool: main }, sure: { pool: main, min_confidence: 50 } }
`;
  const gateway = await openGateway(t, dir, yaml, { clock: scriptedClock(START, { auto: true }) });
  await gateway.side.poll('one');
  const headers = { authorization: `Bearer ${gateway.key}` };
  const get = async (url: string) => (await gateway.app.inject({ url, headers })).body;
  const sure = (await readAll(gateway, 'sure')).filter(({ type }) => type === 'indicator');
  return {
    indicators: (await readAll(gateway, 'all')).filter(({ type }) => type === 'indicator'),
    sure: sure.length,
    texts: {
      taxii: JSON.stringify(await readAll(gateway, 'all')),
      json: await get('/api/v1/iocs?collection=all&limit=1000'),
      csv: await get('/api/v1/iocs?collection=all&limit=1000&format=csv'),
      txt: await get('/api/v1/iocs?collection=all&limit=1000&format=txt'),
    },
  };
}

/** As a whole value: the host of a harmful URL is part of it. */
function names(text: string, value: string): boolean {
  const literal = value.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&');
  return new RegExp(`(?:^|["'\\s,])${literal}(?:$|["'\\s,])`, 'm').test(text);
}

t.test('with default settings nothing of it leaves in any output, and what is harmful does', async (t) => {
  const { indicators, texts } = await servedWith(t, '');
  t.equal(indicators.length, harmful.length);
  for (const [output, text] of Object.entries(texts)) {
    for (const value of [...mistakes, ...unreadable]) t.notOk(names(text, value), `${output} without ${value}`);
    for (const value of harmful) t.ok(names(text, value), `${output} with ${value}`);
  }
});

/** A map that gives every list that drops another mode. */
async function allListsAs(mode: string): Promise<string> {
  const { defaultModes } = await import('../../src/suppress/warning-lists/modes.ts');
  const dropping = Object.entries(defaultModes).filter(([, usual]) => usual === 'drop');
  return `, warning_lists: { ${dropping.map(([name]) => `${name}: ${mode}`).join(', ')} }`;
}

t.test('tagged, all of it is served with the label and the confidence of its feed', async (t) => {
  const { indicators, sure, texts } = await servedWith(t, await allListsAs('tag'));
  t.equal(indicators.length, mistakes.length + harmful.length);
  t.equal(sure, indicators.length);
  const labelled = indicators.filter(({ labels }) => labels.some((label: string) => label.startsWith('warning-list:')));
  t.equal(labelled.length, mistakes.length);
  t.ok(indicators.every(({ confidence }) => confidence === 80));
  for (const value of mistakes) t.ok(names(texts.txt, value), value);
});

t.test('lowered, it is served with low confidence, which min_confidence looks at', async (t) => {
  const { indicators, sure } = await servedWith(t, await allListsAs('lower'));
  t.equal(indicators.length, mistakes.length + harmful.length);
  t.equal(indicators.filter(({ confidence }) => confidence === 29).length, mistakes.length);
  t.equal(sure, harmful.length);
});

t.test('off, all of it is served as the feed says it', async (t) => {
  const { indicators } = await servedWith(t, ', warning_lists: off');
  t.equal(indicators.length, mistakes.length + harmful.length);
  t.notOk(JSON.stringify(indicators).includes('warning-list'));
});

t.test('what is admitted is served, and an own asset is not, though it is admitted', async (t) => {
  const { indicators } = await servedWith(t, ', admit: [10.0.0.0/8, google.com, 8.8.8.8], suppress: [8.8.8.8]');
  const patterns = indicators.map(({ pattern }) => pattern).join();
  t.match(patterns, /'10\.0\.0\.0\/8'/);
  t.match(patterns, /'google\.com'/);
  t.notMatch(patterns, /'8\.8\.8\.8'/);
  t.equal(indicators.length, harmful.length + 2);
});
