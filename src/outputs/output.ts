import type { Entry } from '../model/entry.ts';
import type { JsonObject } from '../model/json.ts';
import type { TlpVersion } from '../stix/marking.ts';

/**
 * How indicators leave the house as one document. Entries come in slices that are read only as the document is taken, so a
 * slow reader holds neither memory nor the store; a document of any length is written in the memory of one slice.
 */
export interface OutputPage {
  /** Slices of live entries; an empty slice is as good as none. */
  slices: AsyncIterable<readonly Entry[]>;
  /** `created_by_ref` of what is rendered to STIX. */
  identityId: string;
  /** The version of TLP whose markings it refers to; absent: 2. */
  tlpVersion?: TlpVersion | undefined;
  /** What is said about the page as a whole, by formats that have room for it: `meta`, `links`. */
  about: JsonObject;
}

export interface Output {
  /** As `format=` names it. */
  name: string;
  /** The Content-Type it is sent with. */
  mediaType: string;
  /** Other types an Accept may name it by; lower case, without parameters. */
  aliases: readonly string[];
  /** Pieces of the document in order. What a format has no words for (objects that are no indicators) it leaves out. */
  write(page: OutputPage): AsyncIterable<string>;
}
