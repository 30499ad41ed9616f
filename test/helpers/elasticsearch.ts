import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { pbkdf2Sync, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmod, chown, cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Test } from 'tap';
import { type ElasticsearchVersion, elasticsearchVersions, install } from './elasticsearch-home.ts';
import { isFast, notFast } from './fast.ts';

/** A node that runs on loopback (elasticsearch-home.ts says what it is made of). */
export interface ElasticsearchNode {
  version: ElasticsearchVersion;
  url: string;
  /** SIGKILL, as a machine that loses power; the data stay. */
  kill(): Promise<void>;
  /**
   * Starts it again on the same port and data. `users`: from now on with security, and these users by name beside the
   * administrator; nodes like these can keep users and roles in files only.
   */
  restart(users?: Record<string, { password: string; role: object }>): Promise<void>;
  /** One request, as the administrator where there is security, answered as parsed JSON together with its status. */
  ask(method: string, path: string, body?: unknown): Promise<{ status: number; body: any }>;
}

export const administrator = { username: 'admin', password: 'test-only-password' };

const run = promisify(execFile);
const START_MS = 180_000;
/** `nobody`: Elasticsearch refuses to run as root. */
const UNPRIVILEGED = 65534;
const isRoot = process.getuid?.() === 0;

/**
 * Where this version and a Java that runs it are, or in one line why this machine has none. With `CI` set only a missing JDK or
 * tool is a reason: everything else throws.
 */
export async function elasticsearchHome(
  version: ElasticsearchVersion,
): Promise<{ home: string; java: string } | { missing: string }> {
  if (isFast) return { missing: notFast };
  const tools = await findTools(version);
  if ('missing' in tools) return tools;
  try {
    return { home: await install(version), java: tools.java };
  } catch (error) {
    if (process.env['CI']) throw new Error(`CI must run Elasticsearch ${version}`, { cause: error });
    return { missing: (error instanceof Error ? error.message.split('\n')[0] : undefined) ?? 'no download' };
  }
}

/** A node that ends with the test; null, after a printed skip, where none can run. */
export async function startElasticsearch(
  t: Pick<Test, 'teardown' | 'pass'>,
  version: ElasticsearchVersion,
): Promise<ElasticsearchNode | null> {
  const ready = await elasticsearchHome(version);
  if ('missing' in ready) {
    t.pass(`skipped: ${ready.missing}`, { skip: ready.missing });
    return null;
  }
  const { home, java } = ready;
  const work = await mkdtemp(join(tmpdir(), 'sluice-es-'));
  const port = await freePort();
  const node = await prepare({ home, java, work, port });
  let child = await node.start();
  const stop = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    // The launcher and the server are one group of their own.
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    await ended;
  };
  t.teardown(async () => {
    await stop();
    await rm(work, { recursive: true, force: true, maxRetries: 5 });
  });
  await node.ready(child);
  return {
    version,
    url: node.url,
    ask: node.ask,
    kill: stop,
    async restart(users) {
      if (users !== undefined) await node.secure(users);
      child = await node.start();
      await node.ready(child);
    },
  };
}

async function prepare({ home, java, work, port }: { home: string; java: string; work: string; port: number }) {
  const url = `http://127.0.0.1:${port}`;
  const config = join(work, 'config');
  const runHome = await reachableHome(home, work);
  await cp(join(home, 'config'), config, { recursive: true });
  const settings = [
    'discovery.type: single-node',
    'cluster.name: sluice-test',
    'network.host: 127.0.0.1',
    `http.port: ${port}`,
    'transport.port: 0',
    `path.data: ${join(work, 'data')}`,
    `path.logs: ${join(work, 'logs')}`,
    'cluster.routing.allocation.disk.threshold_enabled: false',
    'xpack.security.autoconfiguration.enabled: false',
  ];
  const configure = (isSecure: boolean): Promise<void> =>
    writeFile(join(config, 'elasticsearch.yml'), [...settings, `xpack.security.enabled: ${isSecure}`, ''].join('\n'));
  await configure(false);
  const env = {
    PATH: process.env['PATH'] ?? '',
    ES_JAVA_HOME: java,
    ES_PATH_CONF: config,
    ES_TMPDIR: join(work, 'tmp'),
    ES_JAVA_OPTS: '-Xms512m -Xmx512m -Dcom.sun.management.jmxremote=false',
    LIBFFI_TMPDIR: join(work, 'tmp'),
  };
  for (const part of ['tmp', 'data', 'logs']) await mkdir(join(work, part));
  if (isRoot) await giveAway(work);
  const headers: Record<string, string> = { 'content-type': 'application/json' };

  const secure = async (users: Record<string, { password: string; role: object }>): Promise<void> => {
    await configure(true);
    const { username, password } = administrator;
    headers['authorization'] = `Basic ${btoa(`${username}:${password}`)}`;
    const named = Object.entries(users);
    const roles = named.map(([name, { role }]) => `${name}: ${JSON.stringify(role)}`);
    const hashes = named.map(([name, user]) => `${name}:${hashOf(user.password)}`);
    const holders = named.map(([name]) => `${name}:${name}`);
    const files: [string, string[]][] = [
      ['roles.yml', roles],
      ['users', [`${username}:${hashOf(password)}`, ...hashes]],
      ['users_roles', [`superuser:${username}`, ...holders]],
    ];
    for (const [name, lines] of files) await writeFile(join(config, name), `${lines.join('\n')}\n`);
    if (isRoot) await giveAway(work);
  };

  const ask = async (method: string, path: string, body?: unknown): Promise<{ status: number; body: any }> => {
    const text = body === undefined || typeof body === 'string' ? body : JSON.stringify(body);
    const reply = await fetch(url + path, { method, headers, ...(text === undefined ? {} : { body: text }) });
    const answer = await reply.text();
    return { status: reply.status, body: answer.startsWith('{') ? JSON.parse(answer) : answer };
  };
  return {
    url,
    ask,
    secure,
    async start(): Promise<ChildProcess> {
      const command = [join(runHome, 'bin', 'elasticsearch')];
      const drop = ['setpriv', '--reuid', `${UNPRIVILEGED}`, '--regid', `${UNPRIVILEGED}`, '--clear-groups'];
      const [file, ...args] = isRoot ? [...drop, ...command] : command;
      return spawn(file as string, args, { env, cwd: work, stdio: 'ignore', detached: true });
    },
    async ready(child: ChildProcess): Promise<void> {
      const until = Date.now() + START_MS;
      while (Date.now() < until && child.exitCode === null) {
        const health = await ask('GET', '/_cluster/health?wait_for_status=yellow&timeout=5s').catch(() => null);
        if (health?.status === 200) return;
        await new Promise((resolve) => setTimeout(resolve, 250));
      }
      const log = await readFile(join(work, 'logs', 'sluice-test.log'), 'utf8').catch(() => 'no log');
      throw new Error(`Elasticsearch did not start: ${log.slice(-3000)}`);
    },
  };
}

/** A password as Elasticsearch keeps it: PBKDF2 with SHA-512, told by its prefix; its own tool takes a JVM for each. */
function hashOf(password: string): string {
  const salt = randomBytes(32);
  const key = pbkdf2Sync(password, salt, 1000, 32, 'sha512');
  return `{PBKDF2}1000$${salt.toString('base64')}$${key.toString('base64')}`;
}

/** The unprivileged user may not see a home under a private directory: it then gets a copy. */
async function reachableHome(home: string, work: string): Promise<string> {
  if (!isRoot) return home;
  const probe = ['--reuid', `${UNPRIVILEGED}`, '--regid', `${UNPRIVILEGED}`, '--clear-groups', 'test', '-r'];
  const seen = await run('setpriv', [...probe, join(home, 'bin', 'elasticsearch')]).catch(() => null);
  if (seen !== null) return home;
  const copy = join(work, 'home');
  await cp(home, copy, { recursive: true });
  return copy;
}

async function giveAway(directory: string): Promise<void> {
  await chown(directory, UNPRIVILEGED, UNPRIVILEGED);
  await chmod(directory, 0o755);
  for (const entry of await readdir(directory, { withFileTypes: true, recursive: true })) {
    await chown(join(entry.parentPath, entry.name), UNPRIVILEGED, UNPRIVILEGED);
  }
}

async function findTools(version: ElasticsearchVersion): Promise<{ java: string } | { missing: string }> {
  const least = elasticsearchVersions[version];
  if (process.platform === 'win32') return { missing: 'Elasticsearch is not started on Windows' };
  const java = await findJava(least);
  if (java === null) return { missing: `Elasticsearch ${version} needs a JDK of ${least} or newer` };
  const tools = isRoot ? ['mvn', 'unzip', 'setpriv'] : ['mvn', 'unzip'];
  for (const tool of tools) {
    if ((await run('which', [tool]).catch(() => null)) === null) {
      return { missing: `Elasticsearch ${version} needs ${tool}` };
    }
  }
  return { java };
}

/** The home of the newest JDK that is at least this old, by its `release` file. */
async function findJava(least: number): Promise<string | null> {
  const places = [process.env['JAVA_HOME'], process.env['ES_JAVA_HOME']].filter((home) => home !== undefined);
  for (const base of ['/usr/lib/jvm', '/opt/hostedtoolcache/Java_Temurin-Hotspot_jdk', '/opt/java']) {
    for (const name of await readdir(base).catch(() => [])) places.push(join(base, name), join(base, name, 'x64'));
  }
  const found: { home: string; version: number }[] = [];
  for (const home of places) {
    const release = await readFile(join(home, 'release'), 'utf8').catch(() => '');
    const version = Number(/JAVA_VERSION="(\d+)/.exec(release)?.[1] ?? 0);
    if (version >= least) found.push({ home, version });
  }
  return found.sort((a, b) => b.version - a.version)[0]?.home ?? null;
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as { port: number };
  probe.close();
  await once(probe, 'close');
  return port;
}
