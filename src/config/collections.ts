import type {
  CollectionDefinition,
  ContributedDefinition,
  JournalDefinition,
  JournalPolicy,
  LabelPolicy,
  Profile,
} from '../model/definition.ts';
import { profiles } from '../model/definition.ts';
import { parseDuration } from '../model/duration.ts';
import { isUnmatchedType } from '../model/elastic.ts';
import type { Tlp } from '../model/tlp.ts';
import type { Config } from './config.ts';
import { defineContributed } from './contributed.ts';
import { didYouMean } from './messages.ts';
import { type Mark, pathText, type Report, type Step } from './problem.ts';
import { policyKeys } from './schema/pool.ts';
import type { CollectionSection, ConfigFile } from './schema.ts';
import { suppressionOf } from './suppression.ts';

export interface ResolveContext {
  report: Report;
  warn: Report;
  /** The position of a value, or of its section where the file does not have the value. */
  placeOf(path: readonly Step[]): Mark;
  /** True when no problem under this path was reported, so its value can be used. */
  isSound(path: Step[]): boolean;
  collectionIdOf(name: string): string;
}

type Resolved = Pick<Config, 'pools' | 'journals' | 'contributed' | 'collections'>;

/** Elastic's integration first reads the last 30 days of a collection, so tombstones have to stay as long. */
const ELASTIC_KEEP = parseDuration('30d') ?? 0;

/** The pools, journals and collections of the file. Reports problems between them. */
export function resolveCollections(file: ConfigFile, feeds: ReadonlySet<string>, context: ResolveContext): Resolved {
  const known = Object.keys(file.pools ?? {});
  const sound = Object.entries(file.pools ?? {}).filter(([name]) => context.isSound(['pools', name]));
  const pools = sound.map(([name, pool]) => ({ name, feeds: [...pool.feeds] }));
  const journals: JournalDefinition[] = sound.map(([name, pool]) => ({
    name: `pool:${name}`,
    pool: name,
    profile: pool.profile as Profile,
    policy: {
      tlp: pool.tlp,
      minConfidence: 0,
      minSources: 1,
      types: null,
      tlpVersion: 2,
      objects: 'indicators',
      expandCidr: pool.expand_cidr ?? null,
      ...suppressionOf(['pools', name], pool, {}, context),
      ...(pool.suppress_feeds === undefined ? {} : { suppressFeeds: [...pool.suppress_feeds] }),
    },
    keep: pool.keep,
    keepVersions: 'last',
  }));
  // The feeds of an invalid pool are checked all the same.
  const listing = Object.entries(file.pools ?? {}).filter(
    ([name, pool]) => pool?.feeds !== undefined && context.isSound(['pools', name, 'feeds']),
  );
  checkPools(
    listing.map(([name, pool]) => ({ name, feeds: pool.feeds, suppressing: namesIn(pool.suppress_feeds) })),
    feeds,
    context,
  );

  const contributed: ContributedDefinition[] = [];
  const collections: CollectionDefinition[] = [];
  for (const [name, section] of Object.entries(file.collections ?? {})) {
    if (!context.isSound(['collections', name])) continue;
    if (section.contributed === true) {
      const journal = defineContributed(name, section, (key, message) => {
        const path = ['collections', name, key];
        context.report(context.placeOf(path), path, message);
      });
      contributed.push(journal);
      collections.push({ ...defineCollection(name, section, journal, context), contributed: true });
      continue;
    }
    const pooled = findPool(name, section, journals, known, context);
    if (pooled === null) continue;
    const hasPolicy = policyKeys.some((key) => section[key] !== undefined);
    const own = hasPolicy ? ownJournal(name, section, pooled, context) : null;
    if (own !== null) journals.push(own);
    checkSources(name, section, pools.find((pool) => pool.name === section.pool)?.feeds ?? [], feeds, context);
    const { policy, ...journal } = own ?? pooled;
    const types = own === null && section.types !== undefined ? [...section.types] : null;
    collections.push({ ...defineCollection(name, section, { ...journal, ...policy }, context), types });
  }
  for (const journal of journals) checkJournal(journal, context);
  checkCollections(collections, journals, context);
  return { pools, journals, contributed, collections };
}

/** The journal of the pool that a collection names; null, and reported, where there is none. */
function findPool(
  name: string,
  { pool }: CollectionSection,
  journals: readonly JournalDefinition[],
  known: readonly string[],
  { report, placeOf }: ResolveContext,
): JournalDefinition | null {
  const found = journals.find((journal) => journal.name === `pool:${pool}`);
  if (found !== undefined) return found;
  const path = ['collections', name, 'pool'];
  if (pool === undefined) report(placeOf(path), path.slice(0, 2), 'needs a pool, or contributed: true');
  // An invalid pool is reported already.
  else if (!known.includes(pool)) report(placeOf(path), path, `names no pool${didYouMean(pool, [...known])}`);
  return null;
}

function ownJournal(
  name: string,
  section: CollectionSection,
  pool: JournalDefinition,
  context: ResolveContext,
): JournalDefinition {
  return {
    name: `collection:${name}`,
    pool: pool.pool,
    profile: (section.profile as Profile | undefined) ?? pool.profile,
    policy: {
      tlp: section.tlp ?? pool.policy.tlp,
      minConfidence: section.min_confidence ?? 0,
      ...sourcesOf(section.sources),
      ...(section.labels === undefined ? {} : { labels: lowerCase(section.labels) }),
      ...(section.max_age === undefined ? {} : { maxAge: section.max_age }),
      types: section.types === undefined ? null : [...section.types],
      tlpVersion: (section.tlp_version as 1 | 2 | undefined) ?? 2,
      objects: section.objects ?? 'indicators',
      expandCidr: pool.policy.expandCidr,
      ...suppressionOf(['collections', name], section, pool.policy, context),
      ...(pool.policy.suppressFeeds === undefined ? {} : { suppressFeeds: pool.policy.suppressFeeds }),
    },
    keep: section.keep ?? pool.keep,
    keepVersions: section.keep_versions ?? 'last',
  };
}

function sourcesOf(sources: CollectionSection['sources'] = 1): Pick<JournalPolicy, 'minSources' | 'sourcesOf'> {
  return typeof sources === 'number' ? { minSources: sources } : { minSources: sources.least, sourcesOf: sources.of };
}

function lowerCase({ any, none }: LabelPolicy): LabelPolicy {
  const lower = (labels: readonly string[]): string[] => labels.map((label) => label.toLowerCase());
  return { ...(any === undefined ? {} : { any: lower(any) }), ...(none === undefined ? {} : { none: lower(none) }) };
}

function defineCollection(
  name: string,
  section: CollectionSection,
  journal: { name: string; tlp: Tlp; tlpVersion?: 1 | 2 },
  context: ResolveContext,
): CollectionDefinition {
  const { page_size, max_page } = section;
  if (page_size !== undefined && max_page !== undefined && page_size > max_page) {
    const path = ['collections', name, 'page_size'];
    context.report(context.placeOf(path), path, `must not be more than max_page (${max_page})`);
  }
  return {
    id: section.id ?? context.collectionIdOf(name),
    alias: name,
    title: section.title ?? name,
    description: section.description ?? null,
    journal: journal.name,
    types: null,
    tlp: journal.tlp,
    ...(journal.tlpVersion === undefined ? {} : { tlpVersion: journal.tlpVersion }),
    strict: section.strict,
    ...(page_size === undefined ? {} : { pageSize: page_size }),
    ...(max_page === undefined ? {} : { maxPage: max_page }),
  };
}

/** The names of a list that may not be sound. */
function namesIn(list: unknown): string[] {
  return Array.isArray(list) ? list.filter((name) => typeof name === 'string') : [];
}

function checkPools(
  pools: readonly { name: string; feeds: readonly string[]; suppressing: readonly string[] }[],
  feeds: ReadonlySet<string>,
  context: ResolveContext,
): void {
  const used = new Set(pools.flatMap((pool) => [...pool.feeds, ...pool.suppressing]));
  for (const pool of pools) {
    pool.feeds.forEach((feed, i) => {
      const path = ['pools', pool.name, 'feeds', i];
      if (!feeds.has(feed)) context.report(context.placeOf(path), path, `names no feed${didYouMean(feed, [...feeds])}`);
    });
    pool.suppressing.forEach((feed, i) => {
      const path = ['pools', pool.name, 'suppress_feeds', i];
      const isSaid = pool.feeds.includes(feed);
      if (isSaid)
        context.report(context.placeOf(path), path, 'is in feeds as well: what it says is either served or kept out');
      else if (!feeds.has(feed))
        context.report(context.placeOf(path), path, `names no feed${didYouMean(feed, [...feeds])}`);
    });
  }
  for (const feed of feeds) {
    if (used.has(feed)) continue;
    context.warn(
      context.placeOf(['feeds', feed]),
      ['feeds', feed],
      'is in no pool: it is polled, and nobody can read it',
    );
  }
}

/** The feeds that a collection counts as its sources are its pool's, and as many as it asks for. */
function checkSources(
  name: string,
  { pool, sources }: CollectionSection,
  pooled: readonly string[],
  feeds: ReadonlySet<string>,
  { report, placeOf }: ResolveContext,
): void {
  if (sources === undefined || typeof sources === 'number') return;
  const path = ['collections', name, 'sources'];
  sources.of.forEach((feed, i) => {
    if (pooled.includes(feed)) return;
    const at = [...path, 'of', i];
    const why = feeds.has(feed) ? `is not in the pool ${pool}` : `names no feed${didYouMean(feed, pooled)}`;
    report(placeOf(at), at, why);
  });
  if (sources.least <= sources.of.length) return;
  const at = [...path, 'least'];
  report(placeOf(at), at, `is more than the feeds in of (${sources.of.length}): nothing could ever be served`);
}

function checkJournal(journal: JournalDefinition, context: ResolveContext): void {
  if (journal.profile !== 'elastic-agent') return;
  const [kind = '', name = ''] = journal.name.split(':');
  const path = [`${kind}s`, name];
  const say = (tell: Report, key: string, message: string): void =>
    tell(context.placeOf([...path, key]), [...path, key], message);
  if (journal.keep < ELASTIC_KEEP) {
    say(context.warn, 'keep', 'is under 30d: an Elastic Agent that was away for longer keeps what was withdrawn');
  }
  if (journal.policy.objects === 'all')
    say(context.report, 'objects', 'all needs profile: stix; Elastic drops what is no indicator');
  if (journal.keepVersions === 'all') {
    say(context.report, 'keep_versions', 'all needs profile: stix; elastic-agent only ever serves the last version');
  }
}

function checkCollections(
  collections: CollectionDefinition[],
  journals: JournalDefinition[],
  context: ResolveContext,
): void {
  const byId = new Map<string, string>();
  for (const { alias, id, types, journal: journalName } of collections) {
    const other = byId.get(id);
    if (other !== undefined) {
      const path = ['collections', alias, 'id'];
      context.report(context.placeOf(path), path, `is also the id of the collection ${other}`);
    }
    byId.set(id, alias);
    const journal = journals.find(({ name }) => name === journalName);
    const narrowed = types ?? journal?.policy.types ?? null;
    if (journal?.profile !== 'elastic-agent' || narrowed === null) continue;
    if (!narrowed.every(isUnmatchedType)) continue;
    const path = ['collections', alias, 'types'];
    context.warn(
      context.placeOf(path),
      path,
      `stays empty: ${narrowed.join(' and ')} cannot be read by Elastic and ${profiles[1]} leaves it out; set profile: ${profiles[0]}`,
    );
  }
  if (collections.length === 0)
    context.warn(context.placeOf(['collections']), ['collections'], 'is empty: nothing is served');
}

/** Paths of the gateway itself. API roots may lie below the first two and not below the others. */
const discoveries = ['/taxii2/', '/api/taxii2/'];
const takenRoots = ['/api/v1/', '/assets/', '/docs/', '/healthz/', '/lists/', '/readyz/', '/metrics/'];

/** Reports API roots that would hide another route, and those inside another root. */
export function checkApiRoots(roots: readonly string[], context: ResolveContext): void {
  for (const root of roots) {
    const path = ['taxii', 'api_roots', root];
    const say = (message: string): void => context.report(context.placeOf(path), path, message);
    if (discoveries.includes(root) || takenRoots.some((taken) => root.startsWith(taken)))
      say('is an address of the gateway itself: choose another path');
    const outer = roots.find((other) => other !== root && root.startsWith(other));
    if (outer !== undefined) say(`lies inside the API root ${pathText([outer])}`);
    if (/\/\.{1,2}\//.test(root)) say('must not have . or .. as a part');
  }
}
