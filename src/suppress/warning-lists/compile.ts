import { RE2JS } from 're2js';
import { hostOf } from '../../model/host.ts';
import type { Observable, ObservableType } from '../../model/observable.ts';
import type { WarningList } from './list.ts';
import { compileNames } from './names.ts';
import { compileNetworks, type Hit, NO_HITS } from './networks.ts';

/** A URL without path, query and fragment. It stands for its host. */
const BARE_URL = /^[a-z][a-z0-9+.-]*:\/\/[^/?#]*\/?$/;

/**
 * Compiles lists into one search, and returns it. A value is looked up once in all lists, so what it costs hardly depends on how many
 * they are. An observable is named by a list for its type. A URL that stands for its host is taken for that; of other URLs, which may
 * be one bad page of a good host, only addresses as hosts are looked at, by lists with `urls`.
 */
export function compileLists(lists: readonly WarningList[]): (observable: Observable) => readonly Hit[] {
  const findNetwork = compileNetworks(lists);
  const { findExact, findHost } = compileNames(lists);
  const parts = partsOf(lists);
  const isFor = lists.map(({ types }) => new Set<ObservableType>(types));

  const find = ({ type, value }: Observable): readonly Hit[] => {
    if (type === 'ipv4' || type === 'ipv6') return findNetwork(value);
    return type === 'domain' ? findHost(value) : findExact(value);
  };
  const findPart = ({ type, value }: Observable): readonly Hit[] => {
    const found = parts.get(type)?.filter(({ matches }) => matches(value)) ?? NO_HITS;
    return found.length === 0 ? NO_HITS : found.map(({ list, entry }) => ({ list, entry }));
  };
  const taken = (hits: readonly Hit[], type: ObservableType): readonly Hit[] =>
    hits.length === 0 ? NO_HITS : hits.filter(({ list }) => isFor[list]?.has(type));
  const findBehind = (url: Observable): readonly Hit[] => {
    const host = hostObservable(url);
    if (host === null) return NO_HITS;
    const isBare = BARE_URL.test(url.value);
    if (!isBare && host.type === 'domain') return NO_HITS;
    return taken(find(host), host.type).filter(({ list }) => isBare || lists[list]?.urls);
  };
  return (observable) => {
    const { type } = observable;
    const itself = taken(find(observable), type);
    const part = findPart(observable);
    const host = type === 'url' ? findBehind(observable) : NO_HITS;
    if (part.length === 0 && host.length === 0) return itself;
    return [...itself, ...part, ...host];
  };
}

function hostObservable(url: Observable): Observable | null {
  const host = hostOf(url);
  if (host === null) return null;
  if (host.kind === 'name') return { type: 'domain', value: host.name };
  return { type: host.network.includes(':') ? 'ipv6' : 'ipv4', value: host.network };
}

interface Part extends Hit {
  matches(value: string): boolean;
}

/** `substring` and `regex` lists, which are short: each entry is tried, on values of the types that its list is for. */
function partsOf(lists: readonly WarningList[]): ReadonlyMap<ObservableType, readonly Part[]> {
  const byType = new Map<ObservableType, Part[]>();
  lists.forEach(({ type, types, entries }, list) => {
    if (type !== 'substring' && type !== 'regex') return;
    const parts = entries.map((entry) => ({
      list,
      entry,
      matches: type === 'regex' ? regex(entry) : substring(entry),
    }));
    for (const each of types) byType.set(each, [...(byType.get(each) ?? []), ...parts]);
  });
  return byType;
}

function substring(entry: string): Part['matches'] {
  return (value) => value.includes(entry);
}

/** RE2: linear time, whatever the expression. */
function regex(entry: string): Part['matches'] {
  const expression = RE2JS.compile(entry);
  return (value) => expression.test(value);
}
