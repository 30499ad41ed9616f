import type { Observable, ObservableType } from './observable.ts';

/** A value that somebody asks about, and what may be known of it. */
export interface Asked {
  /** As it was asked. */
  ioc: string;
  /** By the given type, else by its form; null: it shows no type. */
  observable: Observable | null;
  /** Why it is read as nothing; null: it is. */
  unreadable: string | null;
  /** All readings: a certificate's fingerprint looks like a file's hash. */
  exact: Observable[];
  /** The networks that hold it, narrowest first. */
  networks: Observable[];
}

/** normalise/asked.ts, handed to whoever answers. */
export type ReadAsked = (ioc: string, claim: ObservableType | null) => Asked;
