import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import type { Observable, ObservableType } from '../../model/observable.ts';
import { builtIn } from './built-in.ts';
import { compileLists } from './compile.ts';
import index from './data/index.json' with { type: 'json' };
import type { WarningList } from './list.ts';
import type { ListName } from './modes.ts';
import type { Hit } from './networks.ts';

/** A list as it is described, without its entries. */
export interface Described extends Omit<WarningList, 'entries'> {
  /** MISP's version, mostly the day; null: our own. */
  version: number | null;
  size: number;
  /** Another one where its entries or what they match changed. */
  hash: string;
}

/** All lists: our own, then those that are shipped as data (`warning-lists/update.ts` takes them). */
export const lists: readonly Described[] = [
  ...builtIn.map((list) => ({ ...list, version: null, size: list.entries.length, hash: JSON.stringify(list) })),
  ...Object.entries(index.lists).map(([name, { title, type, types, version, entries, hash }]) => ({
    name,
    title,
    type: type as WarningList['type'],
    types: types as ObservableType[],
    version,
    size: entries,
    hash: `${hash} ${types}`,
    ...(name.startsWith('public-dns-') ? { urls: true } : {}),
  })),
];

/** Places of the lists in `lists`, by name. */
export const placeOf = new Map(lists.map(({ name }, place) => [name as ListName, place]));

let search: ((observable: Observable) => readonly Hit[]) | null = null;

/** The lists that name an observable. The first call reads and compiles them, for all of this process. */
export function findListed(observable: Observable): readonly Hit[] {
  search ??= compileLists(lists.map((list) => ({ ...list, entries: entriesOf(list.name) })));
  return search(observable);
}

export function entriesOf(name: string): readonly string[] {
  const own = builtIn.find((list) => list.name === name);
  if (own !== undefined) return own.entries;
  return gunzipSync(readFileSync(new URL(`./data/${name}.gz`, import.meta.url)))
    .toString()
    .split('\n');
}
