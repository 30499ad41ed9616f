import { GatewayError } from '../../model/error.ts';
import { isJsonObject, type JsonObject } from '../../model/json.ts';
import { collectionOf, type Options } from './options.ts';
import { isMissing, type Server } from './server.ts';

/**
 * Finds the addresses of the collections that the configuration names: by discovery, API root and collections (TAXII 2.1 sections
 * 4.1, 4.2, 5.1). Addresses in the answers are followed to the same server only.
 */

const MOST_ROOTS = 16;
const MOST_COLLECTIONS = 10_000;
/** Most collections that a message lists. */
const MOST_TITLES = 20;

interface Collection {
  id: string;
  alias: string | null;
  title: string;
  mayRead: boolean;
  url: URL;
}

/**
 * Returns addresses by the names in the configuration, or for a name the error that it has none, so that other collections can
 * be read all the same. Throws `upstream-*` when nothing can be found at all.
 */
export async function findCollections(server: Server, options: Options): Promise<Map<string, string | GatewayError>> {
  const direct = collectionOf(new URL(options.url));
  if (direct !== null) return new Map([[direct.name, direct.url.href]]);
  const roots = await findRoots(server, options);
  const wanted = options.collections;
  const found = new Map<string, string | GatewayError>();
  const known: Collection[] = [];
  for (const root of roots) {
    known.push(...(await listCollections(server, root)));
    for (const name of wanted ?? []) {
      const address = found.has(name) ? null : choose(name, known, server, options);
      if (address !== null) found.set(name, address);
    }
    if (wanted !== undefined && found.size === wanted.length) return found;
  }
  if (wanted === undefined) return new Map([only(known, server)]);
  for (const name of wanted.filter((name) => !found.has(name))) {
    const message = `${hostOf(options)} has no collection ${server.quote(name)}; it has ${listTitles(known, server)}.`;
    found.set(name, new GatewayError('upstream-failed', message, { details: { status: '404' } }));
  }
  return found;
}

/** The error for a missing collection that `url` names, with the collections that the server lists beside it. */
export async function withOtherCollections(
  server: Server,
  { url }: Options,
  missing: GatewayError,
): Promise<GatewayError> {
  const direct = collectionOf(new URL(url));
  if (direct === null) return missing;
  const known = await listCollections(server, new URL('../../', direct.url)).catch(() => []);
  if (known.length === 0) return missing;
  const message = `${direct.url.host} has no collection ${server.quote(direct.name)}; it has ${listTitles(known, server)}.`;
  return new GatewayError('upstream-failed', message, { details: { status: '404' } });
}

/** The names that the configuration asks for, as a bookmark has them; null where it names none. */
export function wantedNames({ url, collections }: Options): string[] | null {
  const direct = collectionOf(new URL(url));
  return direct === null ? (collections ?? null) : [direct.name];
}

/** Looks a name and its aliases up by id, alias or title; ids and aliases win over titles. Null: the server has none. */
function choose(
  name: string,
  known: Collection[],
  server: Server,
  { aliases = {} }: Options,
): string | GatewayError | null {
  for (const candidate of [name, ...(aliases[name] ?? [])]) {
    const same = (text: string | null): boolean => text?.trim().toLowerCase() === candidate.trim().toLowerCase();
    const exact = known.find(({ id, alias }) => same(id) || same(alias));
    if (exact !== undefined) return addressIfReadable(exact, server);
    const titled = known.filter(({ title }) => same(title));
    if (titled.length > 1) {
      const ids = titled.slice(0, MOST_TITLES).map(({ id }) => server.quote(id));
      const message = `${titled.length} collections are called ${server.quote(candidate)}: name one by its id, of ${ids.join(', ')}.`;
      return new GatewayError('upstream-failed', message, { details: { status: '404' } });
    }
    if (titled[0] !== undefined) return addressIfReadable(titled[0], server);
  }
  return null;
}

function addressIfReadable({ mayRead, title, id, url }: Collection, server: Server): string | GatewayError {
  if (mayRead) return url.href;
  const message = `Collection ${server.quote(title || id)} may not be read with this key: the server says can_read false.`;
  return new GatewayError('upstream-forbidden', message);
}

function only(known: Collection[], server: Server): [string, string] {
  const open = known.filter(({ mayRead }) => mayRead);
  const [collection] = open;
  if (collection !== undefined && open.length === 1) return [collection.id, collection.url.href];
  const message =
    collection === undefined
      ? `There is no collection that may be read; of those that are told: ${listTitles(known, server)}.`
      : `There are ${open.length} collections: name those that are meant in collections, of ${listTitles(open, server)}.`;
  throw new GatewayError('upstream-failed', message);
}

function listTitles(known: Collection[], server: Server): string {
  if (known.length === 0) return 'none';
  const shown = known.slice(0, MOST_TITLES).map(({ title, id }) => {
    const quoted = server.quote(id);
    return title === '' || title === id ? quoted : `${server.quote(title)} (${quoted})`;
  });
  const others = known.length - shown.length;
  return shown.join(', ') + (others > 0 ? ` and ${others} more` : '');
}

/** The API roots to look in, the default first. `url` may be an API root itself, or an address above or below it. */
async function findRoots(server: Server, options: Options): Promise<URL[]> {
  const base = new URL(options.url);
  // TAXII 2.1 section 8.2.1: the discovery of a server stands at /taxii2/.
  const url = base.pathname === '/' ? new URL('/taxii2/', base) : withSlash(base);
  if (url.pathname.endsWith('/collections/')) return [new URL('../', url)];
  let body: unknown;
  try {
    body = await server.get(url, { name: 'its discovery or API root' });
  } catch (error) {
    // Some servers have collections under an API root that itself answers 404.
    if (!isMissing(error)) throw error;
    return [url];
  }
  if (!isJsonObject(body)) throw notTaxii(url);
  const { default: main, api_roots: others, versions } = body;
  if (main === undefined && others === undefined) {
    if (
      Array.isArray(versions) &&
      !versions.some((version) => /taxii(?:\+json;\s*version=|-)2\.1/.test(String(version)))
    ) {
      throw new GatewayError('upstream-malformed', `The API root at ${url.host} does not offer TAXII 2.1.`);
    }
    if (versions === undefined && body['max_content_length'] === undefined && body['title'] === undefined) {
      throw notTaxii(url);
    }
    return [url];
  }
  const listed = [main, ...(Array.isArray(others) ? others : [])].filter((root) => typeof root === 'string');
  const roots = new Map(listed.slice(0, MOST_ROOTS).flatMap((root) => rootAt(root, url, options)));
  return chooseRoots([...roots.values()], server, options);
}

/**
 * An API root at another host is asked for at the configured host: servers behind a proxy send their inner name, and the key goes
 * nowhere else.
 */
function rootAt(root: string, discovery: URL, { hosts = [] }: Options): [string, URL][] {
  if (!URL.canParse(root, discovery.href)) return [];
  const named = withSlash(new URL(root, discovery));
  const isOurs =
    named.origin === discovery.origin ||
    (hosts.includes(named.hostname) && named.protocol === discovery.protocol && named.port === discovery.port);
  const url = isOurs ? named : new URL(named.pathname, discovery);
  return [[url.href, url]];
}

async function chooseRoots(roots: URL[], server: Server, { api_root: wanted, url }: Options): Promise<URL[]> {
  if (roots.length === 0) {
    throw new GatewayError('upstream-malformed', `The discovery at ${new URL(url).host} names no API root.`);
  }
  if (wanted === undefined) return roots;
  const path = URL.canParse(wanted, url) ? withSlash(new URL(wanted, url)).pathname : null;
  const named = roots.find((root) => root.pathname === path);
  if (named !== undefined) return [named];
  const titles: string[] = [];
  for (const root of roots) {
    const body = await server.get(root, { name: 'an API root' });
    const title = isJsonObject(body) && typeof body['title'] === 'string' ? body['title'] : '';
    if (title.trim().toLowerCase() === wanted.trim().toLowerCase()) return [root];
    titles.push(server.quote(title === '' ? root.pathname : title));
  }
  const message = `${new URL(url).host} has no API root ${server.quote(wanted)}; it has ${titles.join(', ')}.`;
  throw new GatewayError('upstream-failed', message);
}

async function listCollections(server: Server, root: URL): Promise<Collection[]> {
  const url = new URL('collections/', root);
  const body = await server.get(url, { name: 'the collections of its API root' });
  const list = isJsonObject(body) ? (body['collections'] ?? []) : null;
  if (!Array.isArray(list)) throw notTaxii(root);
  return list
    .slice(0, MOST_COLLECTIONS)
    .filter(isJsonObject)
    .flatMap((collection) => readCollection(collection, url));
}

function readCollection({ id, alias, title, can_read: mayRead }: JsonObject, list: URL): Collection[] {
  if (typeof id !== 'string' || id === '' || id === '.' || id === '..') return [];
  return [
    {
      id,
      alias: typeof alias === 'string' ? alias : null,
      title: typeof title === 'string' ? title : '',
      // Some servers leave it out or send null, which means nothing.
      mayRead: mayRead !== false,
      url: new URL(`${encodeURIComponent(id)}/`, list),
    },
  ];
}

function withSlash(url: URL): URL {
  const slashed = new URL(url);
  if (!slashed.pathname.endsWith('/')) slashed.pathname += '/';
  [slashed.search, slashed.hash] = ['', ''];
  return slashed;
}

function hostOf({ url }: Options): string {
  return new URL(url).host;
}

function notTaxii(url: URL): GatewayError {
  return new GatewayError(
    'upstream-malformed',
    `What ${url.host} answers is no TAXII 2.1: is url its discovery or API root?`,
  );
}
