import type { FeedDefaults, FeedFormat } from '../feeds/feed.ts';
import type { Millis } from '../model/clock.ts';
import type { DecayDefinition, FeedDefinition, ProxySetting, UpstreamDefinition } from '../model/definition.ts';
import { formatDuration, parseDuration } from '../model/duration.ts';
import { GatewayError, messageOf } from '../model/error.ts';
import { compileValuePattern, type FeedFilter } from '../model/feed-filter.ts';
import { Secret } from '../model/secret.ts';
import { isWithin } from '../model/tlp.ts';
import type { Config } from './config.ts';
import {
  allowMissingKey,
  askExtension,
  findExtension,
  idleReasonOf,
  type MissingKey,
  readExtension,
} from './extension.ts';
import type { SchemaNode } from './messages.ts';
import { layOverPreset } from './preset-keys.ts';
import { type Mark, pathText, type Report, type Step } from './problem.ts';
import type { ReadContext } from './read-value.ts';
import { feedSchema, usualLifetime } from './schema/feed.ts';
import type { FeedSection } from './schema.ts';
import { readEntries } from './suppression.ts';
import { type ConfigEntry, type ConfigNode, nodeOf } from './yaml.ts';

/** A well-known feed as data: the format that reads it, and keys of `feeds.NAME` in the file's words. */
export interface FeedPreset {
  format: string;
  options: Record<string, unknown>;
  facts?: { min_every: string };
}

export interface FeedKinds {
  formats: Record<string, FeedFormat>;
  presets: Record<string, FeedPreset>;
}

/** A feed as it was read: its definition, its options and the section as it counts, defaults filled in. */
export interface ReadFeed {
  definition: FeedDefinition;
  options: unknown;
  idle: Config['idleFeeds'][number]['reason'] | null;
  section: Record<string, unknown> & FeedSection;
  /** Reads `section` back into the file's words. */
  schema: SchemaNode;
}

/** Reads `feeds.NAME`. Returns null when something is wrong with it that leaves nothing to define; it is reported. */
export function readFeed(name: string, entry: ConfigEntry, kinds: FeedKinds, outer: ReadContext): ReadFeed | null {
  const path = ['feeds', name];
  const missing: MissingKey = { why: null };
  const context = allowMissingKey(outer, missing);
  const kind = kindOf(entry, path, kinds, context);
  if (kind === null) return null;
  const { format, node } = kind;
  const { keyAt } = entry;
  const proxyPath = [...path, 'proxy'];
  const checkOwnProxy = (section: FeedSection | undefined, { places, report }: ReadContext): void =>
    checkProxy(section?.proxy, places.get(pathText(proxyPath)) ?? keyAt, proxyPath, report);
  const schemas = { common: feedSchema, own: format.options };
  const read = readExtension<FeedSection>(schemas, node, path, context, checkOwnProxy);
  if (read === null) return null;

  const { section, options, schema } = read;
  const ask = (isComplete: boolean): FeedDefaults => {
    const defaults = format.defaults(options);
    if (isComplete) format.account(options);
    return defaults;
  };
  const defaults = askExtension({ own: format.options, options, missing, ask }, path, keyAt, context);
  if (defaults === null) return null;
  const definition = {
    ...defineFeed(name, format.name, section, defaults, kind.aliases),
    ...ownLists(path, section, keyAt, context),
  };
  if (!checkInterval(definition, section, { ...kind, ...defaults }, keyAt, context)) return null;
  if (!checkDecay(definition, keyAt, context)) return null;
  if (!checkFilter(section.filter, path, keyAt, context)) return null;
  checkMarking(definition, keyAt, context);
  const idle = idleReasonOf(section, missing, path, keyAt, context);
  return { definition, options, idle, section: { ...section, ...effective(definition) }, schema };
}

/** The feed's own lists, in canonical form. Entries that can't be read are reported. */
function ownLists(
  path: Step[],
  { suppress, admit }: FeedSection,
  keyAt: Mark,
  { places, report }: ReadContext,
): Pick<FeedDefinition, 'suppress' | 'admit'> {
  const placeOf = (at: readonly Step[]): Mark => places.get(pathText(at)) ?? keyAt;
  const read = (key: string, entries: readonly string[]) => readEntries([...path, key], entries, { report, placeOf });
  return {
    ...(suppress?.length ? { suppress: read('suppress', suppress) } : {}),
    ...(admit?.length ? { admit: read('admit', admit) } : {}),
  };
}

/**
 * Checks the interval against the format's own minimum, which is firm, and against the publisher's, which `override_minimum` overrides.
 * Returns false for what is reported.
 */
function checkInterval(
  { name, every }: FeedDefinition,
  { override_minimum: reason }: FeedSection,
  { minEvery = 0, publisherMinimum }: { minEvery?: Millis; publisherMinimum: Millis },
  keyAt: Mark,
  { places, report, warn }: ReadContext,
): boolean {
  const path = ['feeds', name, 'every'];
  const at = places.get(pathText(path)) ?? keyAt;
  if (every < minEvery) {
    report(at, path, `this feed may not be polled more often than every ${minEvery / 1000} s`);
    return false;
  }
  if (every >= publisherMinimum) return true;
  const least = formatDuration(publisherMinimum);
  if (reason !== undefined) {
    warn(at, path, `is shorter than the ${least} that its publisher asks for, because: ${reason}`);
    return true;
  }
  report(at, path, `its publisher asks for at least ${least}; to go below it say why in override_minimum`);
  return false;
}

/** A marking that lets readers pass on what its publisher does not is a mistake, or the operator knows better. */
function checkMarking({ name, tlp, redistribution }: FeedDefinition, keyAt: Mark, { places, warn }: ReadContext): void {
  if (redistribution !== 'no' || !isWithin(tlp, 'green')) return;
  const path = ['feeds', name, 'tlp'];
  const message = `tells readers that they may pass its rows on, and redistribution says that they may not: amber or amber+strict do not`;
  warn(places.get(pathText(path)) ?? keyAt, path, message);
}

/** What the schema can't say of patterns. Returns false for a problem, which is reported. */
function checkFilter(filter: FeedFilter | undefined, path: Step[], keyAt: Mark, context: ReadContext): boolean {
  for (const key of ['values', 'not_values'] as const) {
    for (const [i, pattern] of (filter?.[key] ?? []).entries()) {
      const at = [...path, 'filter', key, i];
      try {
        compileValuePattern(pattern);
      } catch (error) {
        context.report(context.places.get(pathText(at)) ?? keyAt, at, messageOf(error));
        return false;
      }
    }
  }
  return true;
}

/** The format of a feed, its keys laid over those of its preset, and the preset's names for the publisher. */
function kindOf(entry: ConfigEntry, path: Step[], kinds: FeedKinds, context: ReadContext) {
  const { node, keyAt } = entry;
  if (node.kind === 'broken') return null;
  if (node.kind !== 'map' && !(node.kind === 'scalar' && node.value === null)) {
    context.report(node.at, path, 'must be a mapping of keys to values');
    return null;
  }
  const entries = node.kind === 'map' ? node.entries : new Map<string, ConfigEntry>();
  const [preset, format] = [entries.get('preset'), entries.get('format')];
  if ((preset === undefined) === (format === undefined)) {
    context.report(keyAt, path, 'needs either preset or format');
    return null;
  }
  const given =
    preset === undefined ? findExtension(format?.node, kinds.formats) : findExtension(preset?.node, kinds.presets);
  const key = preset === undefined ? 'format' : 'preset';
  if (typeof given === 'string') {
    context.report((preset ?? format)?.node.at ?? keyAt, [...path, key], given);
    return null;
  }
  if ('read' in given) return { format: given, node, aliases: [], publisherMinimum: 0 };
  const known = kinds.formats[given.format];
  if (known === undefined) throw new GatewayError('internal', `A preset names the unknown format ${given.format}.`);
  const base = nodeOf(given.options, preset?.node.at ?? keyAt) as Extract<ConfigNode, { kind: 'map' }>;
  const aliases = [scalarOf(preset), given.options['title']].filter((each) => typeof each === 'string');
  const publisherMinimum = parseDuration(given.facts?.min_every ?? '0s') ?? 0;
  return {
    format: known,
    node: { ...node, entries: layOverPreset(base.entries, entries) },
    aliases,
    publisherMinimum,
  };
}

function scalarOf(entry: ConfigEntry | undefined): unknown {
  return entry?.node.kind === 'scalar' ? entry.node.value : null;
}

function defineFeed(
  name: string,
  format: string,
  section: FeedSection,
  defaults: FeedDefaults,
  aliases: readonly string[],
): FeedDefinition {
  const mode = section.mode ?? defaults.mode;
  return {
    name,
    format,
    mode,
    title: section.title ?? defaults.title ?? name,
    aliases: [...new Set([...aliases, ...(defaults.title === undefined ? [] : [defaults.title])])],
    ...(section.republishes === undefined ? {} : { republishes: section.republishes }),
    every: section.every ?? defaults.every,
    maxCache: section.max_cache,
    ...(section.fresh_within === undefined ? {} : { freshWithin: section.fresh_within }),
    ...(section.attribution === undefined ? {} : { attribution: section.attribution }),
    ...(section.terms === undefined ? {} : { terms: section.terms }),
    ...(section.redistribution === 'unknown' ? {} : { redistribution: section.redistribution }),
    confidence: section.confidence ?? null,
    ...(section.trust === 1 ? {} : { trust: section.trust }),
    tlp: section.tlp,
    lifetime: lifetimeOf(section.lifetime, defaults.lifetime ?? usualLifetimes),
    ...(section.decay === undefined ? {} : { decay: decayOf(section.decay) }),
    outageLimit: section.outage_limit,
    // A delta withdraws nothing by leaving it out.
    shrinkGuard: mode === 'delta' || section.shrink_guard === 'off' ? null : section.shrink_guard,
    emptyAllowed: section.empty_allowed ?? defaults.emptyAllowed,
    ...(section.expect_rows === undefined ? {} : { expectRows: section.expect_rows }),
    ...(section.max_refused === 'off' ? {} : { maxRefused: section.max_refused }),
    reach: { minPrefix: section.min_prefix, reserved: section.reserved === 'accept' },
    ...(section.filter === undefined ? {} : { filter: section.filter }),
  };
}

/** How the feed is reached, with what the file says for all. */
export function upstreamOf(section: FeedSection, proxy: ProxySetting): UpstreamDefinition {
  const { internal, proxy: own, refresh_on_read: refreshOnRead } = section;
  return { internal, proxy: own === undefined ? proxy : proxyOf(own), refreshOnRead };
}

/** What a secret hides is checked too, and told without it. */
export function checkProxy(proxy: unknown, at: Mark, path: readonly Step[], report: Report): void {
  if (!(proxy instanceof Secret)) return;
  const address = proxy.reveal();
  if (/^https?:\/\/[^/?#\s]+\/?$/i.test(address) && URL.canParse(address)) return;
  report(at, path, 'must hold the address of a proxy: http(s)://USER:PASSWORD@HOST:PORT');
}

/** Wrapped even when it holds no password: a proxy's address is shown nowhere, and is handled in one way. */
export function proxyOf(given: string | Secret): ProxySetting {
  return given === 'off' || given === 'environment' || given instanceof Secret ? given : new Secret(given);
}

/** A map lays its types over the defaults; its own `default` is for every type that it does not name. */
function lifetimeOf(
  lifetime: FeedSection['lifetime'],
  defaults: FeedDefinition['lifetime'],
): FeedDefinition['lifetime'] {
  if (typeof lifetime === 'number') return { default: lifetime };
  return lifetime?.['default'] === undefined ? { ...defaults, ...lifetime } : lifetime;
}

function decayOf({ speed, threshold }: NonNullable<FeedSection['decay']>): DecayDefinition {
  return { speed: typeof speed === 'number' ? { default: speed } : speed, threshold };
}

/** What decays needs a lifetime to do it in. Returns false for a problem, which is reported. */
function checkDecay({ name, decay, lifetime }: FeedDefinition, keyAt: Mark, { places, report }: ReadContext): boolean {
  const path = ['feeds', name, 'decay', 'speed'];
  const lacking = Object.keys(decay?.speed ?? {}).find((type) => {
    const own = lifetime[type as keyof typeof lifetime] ?? lifetime.default;
    return type === 'default' ? Object.keys(lifetime).length === 0 : own === undefined;
  });
  if (lacking === undefined) return true;
  const at = places.get(pathText([...path, lacking])) ?? places.get(pathText(path)) ?? keyAt;
  report(at, path, `${lacking === 'default' ? 'the feed' : lacking} has no lifetime to decay in: set lifetime`);
  return false;
}

const usualLifetimes: FeedDefinition['lifetime'] = Object.fromEntries(
  Object.entries(usualLifetime).map(([type, duration]) => [type, parseDuration(duration)]),
);

/** What the section says once the format's defaults are in, in the file's keys. */
function effective(definition: FeedDefinition): Record<string, unknown> {
  return {
    title: definition.title,
    mode: definition.mode,
    every: definition.every,
    lifetime: definition.lifetime,
    shrink_guard: definition.shrinkGuard ?? 'off',
    empty_allowed: definition.emptyAllowed,
  };
}
