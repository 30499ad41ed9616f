import type { Json } from '../model/json.ts';
import { type ObservableType, observableTypes } from '../model/observable.ts';
import type { EcsContext } from './data-stream.ts';
import type { ParsedEntry } from './parsed-entry.ts';

/**
 * A field of ECS documents (fields.ts). Documents and index mappings are made from the same rows.
 * - `fixed`: the value for every entry of a context; `of`: the value for an entry. Undefined leaves the field out.
 * - `only`: the observable types that have the field; absent: all.
 * - `clause`: where the field is defined, and its meaning.
 */
export type EcsRow = {
  field: string;
  type: EcsType;
  clause: string;
  /** A second index of the same field for full-text search, `FIELD.text`, where ECS has one. */
  text?: 'match_only_text';
  only?: readonly ObservableType[];
} & ({ fixed(context: EcsContext): Json | undefined } | { of(parsed: ParsedEntry): Json | undefined });

/** Mapping types of Elasticsearch. */
export type EcsType =
  | 'boolean'
  | 'constant_keyword'
  | 'date'
  | 'flattened'
  | 'integer'
  | 'ip'
  | 'ip_range'
  | 'keyword'
  | 'long'
  | 'wildcard';

/** Types that STIX has a pattern for. */
export const patterned = observableTypes.filter((type) => type !== 'cve');
export const hashes = ['md5', 'sha1', 'sha256', 'sha512'] as const;
export const hosts = ['domain', 'url'] as const;
export const addresses = ['ipv4', 'ipv6'] as const;
