import type { TObject } from 'typebox';
import type { Micros } from '../model/clock.ts';
import type { Entry } from '../model/entry.ts';
import type { JsonObject } from '../model/json.ts';
import type { ObservableType } from '../model/observable.ts';
import type { Tlp } from '../model/tlp.ts';
import type { TlpVersion } from '../stix/marking.ts';

/**
 * The contract of an output: a format in which entries of a collection are written as one document. Lists, REST and file sinks take their
 * formats from registry.ts. Every format passes test/contracts/output.contract.ts. One that writes a line per value is made by
 * `lineOutput` (lines.ts).
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
  /** Of its files, without the dot. */
  extension: string;
  /** The format's own options; unknown ones are refused. Each is a boolean, an integer or a word of a list. */
  options: TObject;
  /** Can it express objects that are no indicators (relationships, identities, markings)? Else it skips them. */
  expressesObjects: boolean;
  /**
   * Documents can be appended to each other, and say which entries are withdrawn. File sinks write such formats, and append each version
   * of an entry.
   */
  isAppendable: boolean;
  /** Nobody pages through its documents: where no page is asked for, they hold everything. Absent: no. */
  isWhole?: boolean;
  /** A line per value (lines.ts): what lists may do with lines, they do with these. Absent: no. */
  lines?: LineRules;
  /** What its readers take, and what they make of it, in one line for the docs. */
  readers?: string;
  /** What its document can hold, and how the entries must be arranged. Absent members: as the client asks. */
  needs?(options: Options): Partial<Selection>;
  /** Writes the document in pieces. A slice is read when the one before it is written. */
  write(request: OutputRequest<Options>): AsyncIterable<string>;
}

/** Of a format with a line per value. */
export interface LineRules {
  /** How a comment begins; null: its readers know none. */
  comment: string | null;
  /** Its document replaces all that its readers had of it, so that pages would replace each other. Absent: it doesn't. */
  isUndivided?: boolean;
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
  /** What the client asks for, within what the format can hold. */
  selection: Selection;
  options: Options;
  /**
   * The entries. They are read as the document is sent, so a document of any length takes the memory of one slice, and a slow reader keeps
   * no snapshot of the store open. Slices may be empty.
   */
  slices: AsyncIterable<readonly Entry[]>;
  /** When the entries were asked for. */
  at: Micros;
  /** `created_by_ref` of what is rendered to STIX. */
  identityId: string;
  /** Members about the document as a whole, for formats with room for them: `meta`, `links`. */
  about: JsonObject;
  /** The credits that the feeds behind the collection ask for, for formats with comments. Absent: none. */
  credits?: readonly string[];
  /** What is counted while it is written. */
  tally: Tally;
  /** Of all lines, those of the page that is asked for; for formats with `lines`. Absent: all. */
  page?: { skip: number; take: number };
  /** The line of a document that has no other; for formats with `lines`. Absent: none. */
  emptyLine?: string;
}

/** Counts of a document. */
export interface Tally {
  /** Lines, or entries of a format without `lines`, that it could hold: those of other pages and beyond the maximum among them. */
  total: number;
  /** Networks that are wider than was asked for. */
  tooWide: number;
  /** Entries whose value can't be written in the format. */
  notWritable: number;
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
