import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';

/**
 * Real Elasticsearch nodes for tests: Elastic's own server from Maven Central, kept in `.cache/`, one node on loopback per call.
 * Nothing of it is part of the project (AGPLv3, SSPL and Elastic License 2.0).
 */
export const elasticVersions = { '8.19.21': { jdk: 17 }, '9.5.3': { jdk: 21 } } as const;
export type ElasticVersion = keyof typeof elasticVersions;

export interface ElasticNode {
  url: string;
  /** JSON in, JSON out; NDJSON when the body is text. */
  ask(method: string, path: string, body?: object | string): Promise<{ status: number; body: any }>;
  /** SIGKILL: as a power cut, but for the disk. */
  kill(): Promise<void>;
  /** On the same data, at the same address. */
  restart(): Promise<void>;
}

const cache = fileURLToPath(new URL('../../.cache/', import.meta.url));
const START_MS = 240_000;
const GROUP = 'org.elasticsearch.distribution.integ-test-zip';
/** The user nobody: Elasticsearch refuses to run as root. */
const NOBODY = 65534;

/**
 * A node of this version that ends with the test; or in one line why this machine has none. Throws instead of giving a reason
 * where `CI` is set and what it takes can be installed.
 */
export async function startElastic(t: Test, version: ElasticVersion): Promise<ElasticNode | { missing: string }> {
  const java = findJdk(elasticVersions[version].jdk);
  if (java === null) return { missing: `no JDK ${elasticVersions[version].jdk} or newer for Elasticsearch ${version}` };
  const zip = await download(version);
  if ('missing' in zip) {
    if (process.env['CI']) throw new Error(`CI must run Elasticsearch ${version}: ${zip.missing}`);
    return zip;
  }
  const home = mkdtempSync(join(tmpdir(), 'sluice-es-'));
  t.teardown(() => rmSync(home, { recursive: true, force: true }));
  const unzipped = spawnSync(join(java, 'bin', 'jar'), ['-xf', zip.path], { cwd: home, encoding: 'utf8' });
  if (unzipped.status !== 0) throw new Error(`The archive can't be unpacked: ${unzipped.stderr}`);
  const directory = join(home, `elasticsearch-${version}`);
  prepare(home, directory);

  let port = 0;
  let child: ChildProcess | null = null;
  const start = async (): Promise<void> => {
    writeConfig(directory, port);
    child = spawnNode(directory, java);
    port = await portOf(child, START_MS);
  };
  const kill = async (): Promise<void> => {
    const running = child;
    child = null;
    if (running === null || running.exitCode !== null) return;
    const gone = new Promise((resolve) => running.once('exit', resolve));
    // The launcher and the server it starts are one group.
    process.kill(-(running.pid as number), 'SIGKILL');
    await gone;
  };
  t.teardown(kill);
  await start();
  return {
    get url() {
      return `http://127.0.0.1:${port}`;
    },
    ask: (method, path, body) => ask(`http://127.0.0.1:${port}${path}`, method, body),
    kill,
    restart: async () => {
      rmSync(join(directory, 'data', 'node.lock'), { force: true });
      await start();
    },
  };
}

function findJdk(least: number): string | null {
  const installed = existsSync('/usr/lib/jvm')
    ? readdirSync('/usr/lib/jvm').map((name) => join('/usr/lib/jvm', name))
    : [];
  const homes = [process.env['JAVA_HOME'], ...installed].filter((home): home is string => home !== undefined);
  const fitting = homes.flatMap((home) => {
    const release = join(home, 'release');
    if (!existsSync(join(home, 'bin', 'jar')) || !existsSync(release)) return [];
    const major = Number(/JAVA_VERSION="(\d+)/.exec(readFileSync(release, 'utf8'))?.[1] ?? 0);
    return major >= least ? [{ home, major }] : [];
  });
  return fitting.sort((a, b) => a.major - b.major)[0]?.home ?? null;
}

async function download(version: ElasticVersion): Promise<{ path: string } | { missing: string }> {
  const path = join(cache, `elasticsearch-${version}.zip`);
  if (existsSync(path)) return { path };
  mkdirSync(cache, { recursive: true });
  const draft = mkdtempSync(join(cache, 'maven-'));
  const goal = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy';
  const artifact = `-Dartifact=${GROUP}:elasticsearch:${version}:zip`;
  const args = ['-q', '-B', goal, artifact, '-Dtransitive=false', `-DoutputDirectory=${draft}`];
  const done = spawnSync('mvn', args, { cwd: draft, encoding: 'utf8', timeout: 600_000 });
  const got = join(draft, `elasticsearch-${version}.zip`);
  if (done.error === undefined && done.status === 0 && existsSync(got)) renameSync(got, path);
  rmSync(draft, { recursive: true, force: true });
  if (existsSync(path)) return { path };
  if (done.error !== undefined) return { missing: 'no Maven (mvn) to fetch Elasticsearch with' };
  return { missing: `Maven could not fetch Elasticsearch ${version}: ${`${done.stdout}${done.stderr}`.slice(0, 300)}` };
}

function prepare(home: string, directory: string): void {
  const isRoot = process.getuid?.() === 0;
  const walk = (path: string, isBin: boolean): void => {
    if (isRoot) chownSync(path, NOBODY, NOBODY);
    for (const entry of existsSync(path) ? readdirSync(path, { withFileTypes: true }) : []) {
      const inner = join(path, entry.name);
      if (entry.isDirectory()) walk(inner, entry.name === 'bin');
      else {
        if (isBin) chmodSync(inner, 0o755);
        if (isRoot) chownSync(inner, NOBODY, NOBODY);
      }
    }
  };
  mkdirSync(join(directory, 'data'), { recursive: true });
  walk(home, false);
}

function writeConfig(directory: string, port: number): void {
  const lines = [
    'cluster.name: sluice-test',
    'discovery.type: single-node',
    'http.host: 127.0.0.1',
    'transport.host: 127.0.0.1',
    `http.port: ${port}`,
    'transport.port: 0',
    'xpack.security.enabled: false',
    'cluster.routing.allocation.disk.threshold_enabled: false',
  ];
  writeFileSync(join(directory, 'config', 'elasticsearch.yml'), `${lines.join('\n')}\n`);
}

function spawnNode(directory: string, java: string): ChildProcess {
  const program = join(directory, 'bin', 'elasticsearch');
  const isRoot = process.getuid?.() === 0;
  const command = isRoot
    ? ['setpriv', '--reuid', String(NOBODY), '--regid', String(NOBODY), '--clear-groups', program]
    : [program];
  return spawn(command[0] as string, command.slice(1), {
    cwd: directory,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env['PATH'] ?? '',
      HOME: directory,
      ES_JAVA_HOME: java,
      ES_JAVA_OPTS: '-Xms512m -Xmx512m',
      CLI_JAVA_OPTS: '-Xmx64m',
    },
  });
}

/** The address it says it listens at, once it does. */
function portOf(child: ChildProcess, most: number): Promise<number> {
  return new Promise((resolve, reject) => {
    let text = '';
    const timer = setTimeout(() => fail('did not start in time'), most);
    const fail = (why: string): void => {
      clearTimeout(timer);
      reject(new Error(`Elasticsearch ${why}: ${text.slice(-2000)}`));
    };
    const read = (chunk: Buffer): void => {
      text = (text + chunk.toString()).slice(-20_000);
      const port = /HttpServerTransport.*publish_address \{127\.0\.0\.1:(\d+)\}/.exec(text)?.[1];
      if (port === undefined) return;
      clearTimeout(timer);
      resolve(Number(port));
    };
    child.stdout?.on('data', read);
    child.stderr?.on('data', read);
    child.once('error', (error) => fail(error.message));
    child.once('exit', (code) => fail(`ended with ${code}`));
  });
}

async function ask(url: string, method: string, body?: object | string): Promise<{ status: number; body: any }> {
  const type = typeof body === 'string' ? 'application/x-ndjson' : 'application/json';
  const reply = await fetch(url, {
    method,
    ...(body === undefined
      ? {}
      : { headers: { 'content-type': type }, body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await reply.text();
  return { status: reply.status, body: text === '' ? null : JSON.parse(text) };
}
