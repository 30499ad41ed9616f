import type { Micros } from './clock.ts';
import type { VersionFilter } from './entry-filter.ts';
import type { Json } from './json.ts';
import type { Observable } from './observable.ts';

/** A STIX object that a client added or tried to add. */
export interface ContributedObject {
  /** Its STIX id; where it has none, its place in what was sent. */
  id: string;
  /** As it is served; null where none could be read. */
  version: Micros | null;
  /** Why it was refused, or what was changed in it. Null: it was taken as it came. */
  message: string | null;
}

/** What became of the objects that a client sent at once (TAXII 2.1 section 4.3). */
export interface Contribution {
  /** A UUID of version 4. */
  id: string;
  /** The name of the client; nobody else may ask. */
  client: string;
  at: Micros;
  /** In the collection now, those that were there before included. */
  taken: ContributedObject[];
  refused: ContributedObject[];
}

/** A client's own rights are checked before. */
export interface Contributor {
  client: string;
  /** The alias of a contributed collection. */
  collection: string;
}

/** What became of an indicator that was said in one line. */
export interface ContributedIoc {
  outcome: 'added' | 'updated' | 'unchanged' | 'refused';
  /** What it was read as, and the STIX id of the object; null where it was refused before. */
  observable: Observable | null;
  id: string | null;
  /** Why it was refused. */
  message: string | null;
}

/** Changes of contributed collections. They are committed when these promises resolve. */
export interface Contributions {
  /**
   * Adds the objects of a TAXII envelope, of which a body holds the bytes. Throws `unprocessable` for a body that is no envelope of at
   * least one object; then nothing is added.
   */
  addEnvelope(by: Contributor, body: Uint8Array): Promise<Contribution>;
  /** Adds an indicator for each row, `{ ioc, type, confidence, … }`, and tells what became of each in their order. */
  addIocs(by: Contributor, rows: readonly Json[]): Promise<ContributedIoc[]>;
  /** Removes these versions of an object. Returns how many there were. */
  removeObject(by: Contributor, objectId: string, versions: VersionFilter): Promise<number>;
}
