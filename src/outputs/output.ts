import type { TObject } from 'typebox';
import type { Micros } from '../model/clock.ts';
import type { Entry } from '../model/entry.ts';
import type { JsonObject } from '../model/json.ts';
import type { ObservableType } from '../model/observable.ts';
import type { Tlp } from '../model/tlp.ts';
import type { TlpVersion } from '../stix/marking.ts';

/**
 * The contract of an output: a format in which entries of a collection leave Sluice as one document. REST and file sinks take their
 * formats from registry.ts. test/contracts/output.contract.ts is the proof that each format runs.
 */
export interface Output<Options = any> {
  /** `format=` in a query, `format:` in the configuration. */
  name: string;
  /** One line for the docs. */
  title: string;
  /** The Content-Type it is sent with. */
  mediaType: string;
  /** Other types that Accept may name it by; lower case, without parameters. */
  aliases: readonly string[];
  /** Of files that hold it, without the dot. */
  extension: string;
  /** The format's own options; unknown ones are refused. Each is a boolean, an integer or a word of a list. */
  options: TObject;
  /** Does it express objects that are no indicators (relationships, identities, markings)? Else it passes over them. */
  expressesObjects: boolean;
  /**
   * A document may be continued by another one, and says which entries are withdrawn. File sinks write such formats: they append each
   * version of an entry.
   */
  isAppendable: boolean;
  /** What its document can hold, and how that has to be arranged. What is absent is as the reader asks. */
  needs?(options: Options): Partial<Selection>;
  /** Pieces of the document in order. A slice is read when the one before it is written. */
  write(request: OutputRequest<Options>): AsyncIterable<string>;
}

/** Which entries of a collection a document holds, and how they are arranged. */
export interface Selection {
  /** Null: every type. `ipv4` and `ipv6` hold addresses and networks. */
  types: readonly ObservableType[] | null;
  /** `stated`: networks as feeds say them. `merged`: the fewest networks that hold the same addresses. */
  prefixes: 'stated' | 'merged';
  /** `journal`: by date_added. `newest`: the same backwards. `strongest`: by confidence, the highest first. */
  order: 'journal' | 'newest' | 'strongest';
  /** Most entries; null: all there are. */
  maximum: number | null;
}

/** What a document is made of. */
export interface OutputRequest<Options = any> {
  collection: OutputCollection;
  /** What was asked for, within what the format needs. */
  selection: Selection;
  options: Options;
  /**
   * The entries. They are read only as the document is taken, so a slow reader holds neither memory nor the store, and a document of
   * any length is written in the memory of one slice. An empty slice is as good as none.
   */
  slices: AsyncIterable<readonly Entry[]>;
  /** When the entries were asked for. */
  at: Micros;
  /** `created_by_ref` of what is rendered to STIX. */
  identityId: string;
  /** What is said about the document as a whole, by formats that have room for it: `meta`, `links`. */
  about: JsonObject;
}

/** Whose entries they are. */
export interface OutputCollection {
  alias: string;
  title: string;
  /** Its ceiling. */
  tlp: Tlp;
  /** The version of TLP whose markings its STIX refers to; absent: 2. */
  tlpVersion?: TlpVersion | undefined;
  /** Whose intelligence it is, as ECS `threat.feed.*` words it; absent: the collection's own title. */
  feed?: { name: string; reference: string | null; description: string | null };
}
