import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { ecsDestination } from '../../src/ecs/data-stream.ts';
import { type ScriptedClock, scriptedClock } from './clock.ts';
import type { ElasticsearchNode } from './elasticsearch.ts';
import { openGateway, readAll, type TestGateway } from './gateway.ts';
import { stixIndicator } from './indicator.ts';
import { START } from './store.ts';

export const HASH = '5f1d8c0b7a3e49b2a1c6d4e8f09b7c3d2e1f4a5b6c7d8e9f0a1b2c3d4e5f6071';
export const URL_VALUE = 'https://dl.evil.example.com:8443/a%20b/run.exe?id=1#top';
/** One of each kind that analysts look for. */
export const few = [
  stixIndicator(1, "[ipv4-addr:value = '198.51.100.7']"),
  stixIndicator(2, "[ipv4-addr:value = '198.51.100.8']"),
  stixIndicator(3, `[file:hashes.'SHA-256' = '${HASH}']`),
  stixIndicator(4, "[domain-name:value = 'login.evil.co.uk']"),
  stixIndicator(5, `[url:value = '${URL_VALUE}']`),
  stixIndicator(6, "[ipv4-addr:value = '203.0.113.0/24']"),
];
export const addresses = (count: number) =>
  Array.from({ length: count }, (_, n) =>
    stixIndicator(1000 + n, `[ipv4-addr:value = '100.${(n >> 16) & 255}.${(n >> 8) & 255}.${n & 255}']`),
  );

/** A sink on the node as the file words it. */
export const sinkOf = (name: string, rest: string): string =>
  `  ${name}: { type: elasticsearch, node: "NODE", ${rest} }\n`;

export interface Pushing extends TestGateway {
  dir: string;
  clock: ScriptedClock;
  /** What the feed says from now on. */
  write(objects: object[]): Promise<void>;
}

/** A gateway whose one feed is a file, and its sinks (`NODE` in their text is the node's address). */
export async function openPushing(
  t: Test,
  node: Pick<ElasticsearchNode, 'url'>,
  sinks: string,
  options: { dir?: string; clock?: ScriptedClock; env?: Record<string, string> } = {},
): Promise<Pushing> {
  const dir = options.dir ?? t.testdir();
  mkdirSync(join(dir, 'drop'), { recursive: true });
  const clock = options.clock ?? scriptedClock(START, { auto: true });
  const yaml = `
data: ./data
feeds: { drop: { format: stix, path: ./drop, tlp: green, confidence: 80, shrink_guard: "off" } }
pools: { main: { feeds: [drop], profile: elastic-agent } }
collections:
  all: { pool: main, profile: stix }
  agent: { pool: main, title: For the agent }
  ips: { pool: main, types: [ipv4] }
${sinks === '' ? '' : `sinks:\n${sinks.replaceAll('NODE', node.url)}`}
`;
  const gateway = await openGateway(t, dir, yaml, { clock, env: options.env ?? {} });
  const write = async (objects: object[]): Promise<void> => {
    const bundle = { type: 'bundle', id: 'bundle--00000000-0000-4000-8000-000000000000', objects };
    writeFileSync(join(dir, 'drop', 'bundle.json'), JSON.stringify(bundle));
    const { outcome, error } = await gateway.side.poll('drop');
    if (outcome !== 'whole') throw new Error(`${outcome}: ${error?.message}`);
  };
  return { ...gateway, dir, clock, write };
}

/** Names of the indicators that a query finds, sorted. */
export async function searchNames(node: ElasticsearchNode, index: string, query: object): Promise<string[]> {
  await node.ask('POST', `/${index}/_refresh`);
  const { status, body } = await node.ask('POST', `/${index}/_search?size=10000&_source=threat.indicator.name`, {
    query,
  });
  if (status !== 200) throw new Error(JSON.stringify(body));
  return body.hits.hits.map((hit: any) => hit._source.threat.indicator.name).sort();
}

/** Rows of an ES|QL query of the examples; null where the node has no ES|QL. */
export async function rowsOf(node: ElasticsearchNode, example: string): Promise<unknown[][] | null> {
  if (node.version !== '8.19.21') return null;
  const text = readFileSync(new URL(`../../examples/elastic/${example}`, import.meta.url), 'utf8');
  const { status, body } = await node.ask('POST', '/_query', { query: text.replace(/^\/\/.*\n/gm, '') });
  if (status !== 200) throw new Error(JSON.stringify(body));
  return body.values;
}

/** What `latest` holds of a collection. */
export const held = (node: ElasticsearchNode, stream: string, collection: string): Promise<string[]> =>
  searchNames(node, ecsDestination({ target: 'latest', stream }).name, { term: { 'sluice.collection': collection } });

export async function count(node: ElasticsearchNode, index: string): Promise<number> {
  await node.ask('POST', `/${index}/_refresh`);
  return (await node.ask('GET', `/${index}/_count`)).body.count;
}

/** What readers of a collection take for live. */
export async function liveIn(gateway: TestGateway, collection: string): Promise<string[]> {
  const objects = await readAll(gateway, collection);
  return objects
    .filter(({ type, revoked }) => type === 'indicator' && revoked !== true)
    .map(({ pattern }) => /= '(.*)'\]$/.exec(pattern)?.[1] ?? '')
    .sort();
}
