import { dirname, resolve } from 'node:path';
import type { Output } from '../outputs/output.ts';
import type { SinkKind } from '../sinks/sink.ts';
import type { StoreEngine } from '../store/engine.ts';
import { checkApiRoots, type ResolveContext, resolveCollections } from './collections.ts';
import type { Config } from './config.ts';
import { checkFeedCollections } from './contributed.ts';
import { checkProxy, type FeedKinds, proxyOf, type ReadFeed, readFeed, upstreamOf } from './feeds.ts';
import { checkListen, isLoopback, parseListen } from './listen.ts';
import { readList, resolveLists } from './lists.ts';
import { effectiveYaml } from './print.ts';
import {
  type ConfigProblem,
  configInvalid,
  type Mark,
  pathText,
  type Report,
  type Step,
  sortProblems,
} from './problem.ts';
import { type ReadContext, readValue } from './read-value.ts';
import { type ConfigFile, DEFAULT_DATA, fileSchema } from './schema.ts';
import { readSink, resolveSinks, threatFeedsOf } from './sinks.ts';
import { readStore } from './store.ts';
import { type ConfigEntry, type ConfigNode, readDocument } from './yaml.ts';

export interface LoadOptions extends FeedKinds {
  /** Of the file that `text` came from; relative paths in it start at its directory. */
  path: string;
  env: Record<string, string | undefined>;
  /** Storage engines that may be named. */
  stores: Record<string, StoreEngine>;
  /** Kinds of sinks there are. */
  sinks: Record<string, SinkKind>;
  /** Formats of lists there are. */
  outputs: Record<string, Output>;
  /** Gives a collection its id when the file gives none (stix/id.ts). */
  collectionIdOf(name: string): string;
  /** From the command line: a directory relative to the current one, and HOST:PORT. */
  overrides?: { data?: string | undefined; listen?: string | undefined };
}

export interface LoadedConfig {
  config: Config;
  /** Sorted by where they stand. */
  warnings: ConfigProblem[];
  /** The whole configuration as YAML that could be loaded again: defaults filled in, secrets as references. */
  effective: string;
}

/**
 * Reads, checks and resolves the configuration file. Throws GatewayError `config-invalid` that names every problem at once
 * with its line and column (`problemsOf` in problem.ts); no message quotes a value that may be a secret.
 */
export function loadConfig(text: string, options: LoadOptions): LoadedConfig {
  const problems: ConfigProblem[] = [];
  const warnings: ConfigProblem[] = [];
  const report: Report = (at, path, message) => void problems.push({ ...at, path: pathText(path), message });
  const warn: Report = (at, path, message) => void warnings.push({ ...at, path: pathText(path), message });
  const base = dirname(resolve(options.path));

  const root = readDocument(text, report);
  if (root === null) throw configInvalid(options.path, problems);
  const context: ReadContext = {
    env: options.env,
    base,
    report,
    warn,
    absent: (at, path) => report(at, path, 'optional: true is for the keys of feeds only'),
    places: new Map(),
  };
  const file = readValue(fileSchema, root, [], context) as ConfigFile;

  const isSound = (path: Step[]): boolean => {
    const prefix = pathText(path);
    return !problems.some(
      (problem) =>
        problem.path === prefix || (/^[.[]/.test(problem.path.slice(prefix.length)) && problem.path.startsWith(prefix)),
    );
  };
  const checks = {
    report,
    warn,
    isSound,
    placeOf: placeFinder(context.places),
    collectionIdOf: options.collectionIdOf,
  };

  const entries = entriesOf(root, 'feeds');
  const feeds = entries.map(([name, entry]) => readFeed(name, entry, options, context)).filter((feed) => feed !== null);
  const store = readStore(root.kind === 'map' ? root.entries.get('store')?.node : undefined, options.stores, context);
  const listen = resolveListen(file, options.overrides?.listen, checks);
  checkServer(file, checks);
  checkProxy(file?.proxy, checks.placeOf(['proxy']), ['proxy'], report);
  const resolved = resolveCollections(file, new Set(entries.map(([name]) => name)), checks);
  const isRefused = (collection: string) => !isSound(['collections', collection]);
  checkFeedCollections(feeds, options, resolved.contributed, isRefused, (feed, message) => {
    const path = ['feeds', feed, 'collection'];
    report(checks.placeOf(path), path, message);
  });
  const sinks = entriesOf(root, 'sinks')
    .map(([name, entry]) => readSink(name, entry, options.sinks, context))
    .filter((sink) => sink !== null);
  const delivered = resolveSinks(sinks, resolved.collections, threatFeedsOf(file, feeds, options), checks);
  const lists = entriesOf(root, 'lists')
    .map(([name, entry]) => readList(name, entry, options.outputs, context))
    .filter((list) => list !== null);
  const named = resolveLists(lists, resolved.collections, checks);
  if (problems.length > 0 || listen === null || store === null) throw configInvalid(options.path, problems);

  const data = options.overrides?.data === undefined ? resolve(base, file.data) : resolve(options.overrides.data);
  const config = {
    base,
    listen,
    publicUrl: publicUrlOf(file),
    data,
    store: store.choice,
    ...assemble(file, feeds),
    ...resolved,
    ...delivered,
    lists: named,
  };
  const later = { store, feeds, sinks, lists };
  return { config, warnings: sortProblems(warnings), effective: effectiveYaml(file, config, later) };
}

/** The entries of a section whose values are read one by one. */
function entriesOf(root: ConfigNode, name: string): [string, ConfigEntry][] {
  const node = root.kind === 'map' ? root.entries.get(name)?.node : undefined;
  return node?.kind === 'map' ? [...node.entries] : [];
}

/**
 * Where the store is, whatever else is wrong with the file or not there yet, such as a key in the environment; null when the
 * file doesn't say it readably.
 */
export function dataDirectoryOf(text: string, path: string, override: string | undefined): string | null {
  if (override !== undefined) return resolve(override);
  const root = readDocument(text, () => undefined);
  if (root?.kind !== 'map') return null;
  const node = root.entries.get('data')?.node;
  if (node === undefined) return resolve(dirname(resolve(path)), DEFAULT_DATA);
  return node.kind === 'scalar' && typeof node.value === 'string' ? resolve(dirname(resolve(path)), node.value) : null;
}

/** Nearest place that is written down. */
function placeFinder(places: Map<string, Mark>): (path: readonly Step[]) => Mark {
  return (path) => {
    for (let length = path.length; length >= 0; length--) {
      const place = places.get(pathText(path.slice(0, length)));
      if (place !== undefined) return place;
    }
    return { line: 1, column: 1 };
  };
}

/** Where to listen, with the command line's word last; null when that, or the section itself, is wrong. */
function resolveListen(
  file: ConfigFile,
  override: string | undefined,
  checks: ResolveContext,
): Config['listen'] | null {
  const parsed = override === undefined ? { host: null, port: null } : parseListen(override);
  if (parsed === undefined)
    checks.report(COMMAND_LINE, [], '--listen must be HOST:PORT, such as 127.0.0.1:8080 or [::1]:8080');
  if (parsed === undefined || !checks.isSound(['listen'])) return null;
  const { host, port, tls, behind_proxy, max_connections, max_connections_per_address, answer_bytes } = file.listen;
  const listen = {
    host: parsed.host ?? host,
    port: parsed.port ?? port,
    tls: tls === undefined ? null : { cert: tls.cert, key: tls.key, clientCa: tls.client_ca ?? null },
    behindProxy: behind_proxy,
    maxConnections: max_connections,
    maxConnectionsPerAddress: behind_proxy ? null : max_connections_per_address,
    answerBytes: answer_bytes,
  };
  checkListen(listen, parsed.host === null ? null : COMMAND_LINE, checks);
  return listen;
}

const COMMAND_LINE: Mark = { line: 0, column: 0 };

/** Without the slash that people write behind it. */
function publicUrlOf({ public_url }: ConfigFile): string | null {
  return public_url === undefined ? null : public_url.replace(/\/$/, '');
}

function hostOf(origin: string): string {
  return new URL(origin).hostname.replace(/^\[|\]$/g, '');
}

function checkServer(file: ConfigFile, checks: ResolveContext): void {
  const say = (path: Step[], message: string): void => checks.report(checks.placeOf(path), path, message);
  const origin = checks.isSound(['public_url']) ? publicUrlOf(file) : null;
  if (origin !== null && !URL.canParse(origin)) say(['public_url'], 'names no host that can be reached');
  else if (origin?.startsWith('http:') && !isLoopback(hostOf(origin)))
    say(['public_url'], 'must begin with https: keys never cross a network in the clear (TAXII 2.1 section 4.1)');
  if (!checks.isSound(['taxii'])) return;
  const { api_roots, page_size, max_page } = file.taxii;
  checkApiRoots(Object.keys(api_roots), checks);
  if (page_size > max_page) say(['taxii', 'page_size'], `must not be more than max_page (${max_page})`);
}

function assemble(
  file: ConfigFile,
  feeds: readonly ReadFeed[],
): Pick<Config, 'identity' | 'taxii' | 'feeds' | 'idleFeeds' | 'cache' | 'metrics' | 'log'> {
  const { identity, taxii } = file;
  return {
    identity: { name: identity.name, description: identity.description ?? null, contact: identity.contact ?? null },
    taxii: {
      title: taxii.title,
      description: taxii.description ?? null,
      contact: taxii.contact ?? null,
      apiRoots: Object.entries(taxii.api_roots).map(([path, root]) => ({
        path,
        title: root.title,
        description: root.description ?? null,
      })),
      pageSize: taxii.page_size,
      maxPage: taxii.max_page,
    },
    feeds: feeds.flatMap(({ definition, options, idle, section }) =>
      idle === null ? [{ definition, options, upstream: upstreamOf(section, proxyOf(file.proxy)) }] : [],
    ),
    idleFeeds: feeds.flatMap(({ definition, idle }) => (idle === null ? [] : [{ definition, reason: idle }])),
    cache: { bytes: file.cache.bytes },
    metrics: { access: file.metrics.public ? 'anyone' : [...file.metrics.clients] },
    log: { level: file.log.level },
  };
}
