import type { TObject } from 'typebox';
import type { Clock } from '../model/clock.ts';
import type { CommitSignal } from './contract/commit-signal.ts';
import type { Reader, Writer } from './store.ts';

/** A way of keeping what the storage contract (store.ts) says. */
export interface StoreEngine<Options = any> {
  name: string;
  /** One line for the docs. */
  title: string;
  /** Its own keys of `store` in the configuration. */
  options: TObject;
  /** Readers in one thread see what a writer in another commits. Only such an engine can be served from. */
  isSharedByThreads: boolean;
  /** Returns the store that the options describe. Opens and makes nothing. */
  at(options: Options, directories: StoreDirectories): Store;
}

/** Absolute paths of the configuration, for engines that keep files. */
export interface StoreDirectories {
  /** Relative paths in options start here. */
  base: string;
  /** The data directory. */
  data: string;
}

/** One store, open or not. */
export interface Store {
  /** Where it is, for a person; without secrets. */
  readonly location: string;
  /** Has a writer ever opened it? */
  exists(): Promise<boolean>;
  /**
   * Takes the lock that only one process can have. It ends with the process, however that ends. Throws `data-locked` when another
   * has it, `store-failed` where there can be none.
   */
  lock(): Promise<StoreLock>;
  /**
   * Creates or migrates the store, and runs its commits through `signal`. Throws `data-locked` when another process has it open,
   * `store-damaged`, and `store-failed` for one that a newer version wrote.
   */
  openWriter(clock: Clock, signal?: CommitSignal): Promise<Writer>;
  /** Opens what a writer made; never changes it. `signal` must be that of the writer. Throws as `openWriter`. */
  openReader(signal?: CommitSignal): Promise<Reader>;
  /**
   * Reads all that is kept and returns a line that says what is wrong with it; null when nothing is, or when aborted. May take
   * seconds and never blocks the event loop.
   */
  check(abort: AbortSignal): Promise<string | null>;
}

export interface StoreLock {
  release(): void;
}
