import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LRUCache } from 'lru-cache';
import type { Clock, Micros, Millis } from '../model/clock.ts';
import { createSemaphore } from '../model/semaphore.ts';
import { type Flights, shareFlight } from '../model/single-flight.ts';
import type { PageValidity, Reader } from '../store/store.ts';
import { type Build, buildList, type ListRequest, requestId } from './build.ts';

/** Builds of lists, kept in files: a list that is read again costs as much as a file. */
export interface Builds {
  /**
   * Returns the page of the list as its journal stands now. What takes longer than a moment is answered from the last good build, and so
   * is what fails; the new one is there for the next reader. Throws what building throws where there is no build yet.
   */
  read(request: ListRequest): Promise<Build>;
  /** The path of a build's file. It stays until its list has changed twice. */
  pathOf(build: Build, isCompressed: boolean): string;
}

export interface BuildsOptions {
  store: Pick<Reader, 'snapshot' | 'validity' | 'state'>;
  clock: Clock;
  directory: string;
  identityId: string;
  onError(error: unknown): void;
}

/** Builds that are kept; whoever asks for others by their addresses makes the oldest leave. */
const MAX_BUILDS = 500;
const MAX_BYTES = 2 * 1024 * 1024 * 1024;
/** Lists that are built at a time. */
const MAX_BUILDING = 2;
/** A reader waits so long for a new build where there is an old one. */
const PATIENCE_MS: Millis = 2000;
/** A build is made again after so many times as long as it took: building takes a tenth of a processor at most. */
const REST = 10;

interface Kept {
  build: Build;
  /** Null: of an earlier process, so its journal has to be looked at. */
  validity: PageValidity | null;
  /** The store's state when it was last found valid. */
  validAt: number | null;
  /** When it was made, and until when it is the answer whatever happens. */
  madeAt: Micros;
  restsUntil: Micros;
  /** The build before, which somebody may be reading. */
  before: Build | null;
}

/** Opens the builds of a directory, which nothing else uses: whatever else is in it is removed. */
export function openBuilds({ store, clock, directory, identityId, onError }: BuildsOptions): Builds {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const remove = async (build: Build | null): Promise<void> => {
    if (build === null) return;
    for (const name of [build.file, `${build.file}.gz`]) await rm(join(directory, name), { force: true });
  };
  const kept = new LRUCache<string, Kept>({
    max: MAX_BUILDS,
    maxSize: MAX_BYTES,
    maxEntrySize: MAX_BYTES,
    sizeCalculation: ({ build }) => 1 + build.bytes + build.gzipBytes,
    dispose: ({ build, before }, id, reason) => {
      if (reason === 'set') return;
      Promise.all([remove(build), remove(before), rm(join(directory, `${id}.json`), { force: true })]).catch(onError);
    },
  });
  for (const [id, build] of knownIn(directory))
    kept.set(id, { build, validity: null, validAt: null, madeAt: 0, restsUntil: 0, before: null });
  const flights: Flights<Kept> = new Map();
  const permits = createSemaphore(MAX_BUILDING);

  const isValid = async ({ collection }: ListRequest, known: Kept): Promise<boolean> => {
    const state = store.state();
    if (state !== null && known.validAt === state) return true;
    if (known.validity === null) return false;
    const now = await store.validity(collection.journal, 0, null);
    const isSame = now.changes === known.validity.changes && now.head === known.validity.head;
    if (isSame) known.validAt = state;
    return isSame;
  };

  const make = async (id: string, request: ListRequest): Promise<Kept> => {
    const known = kept.peek(id) ?? null;
    const startedAt = clock.now();
    const snapshot = await store.snapshot();
    try {
      const validity = await snapshot.validity(request.collection.journal, 0, null);
      const place = { directory, identityId, now: startedAt };
      const build = await buildList(snapshot, request, known?.build ?? null, place);
      const isNew = build !== known?.build;
      if (isNew) {
        await writeFile(join(directory, `${id}.json`), JSON.stringify(build), { mode: 0o600 });
        await remove(known?.before ?? null);
      }
      const restsUntil = startedAt + (1 + REST) * Math.max(0, clock.now() - startedAt);
      const before = isNew ? (known?.build ?? null) : (known?.before ?? null);
      const made: Kept = { build, validity, validAt: null, madeAt: startedAt, restsUntil, before };
      kept.set(id, made);
      return made;
    } finally {
      await snapshot.close();
    }
  };

  return {
    async read(request) {
      const id = requestId(request);
      const known = kept.get(id);
      const now = clock.now();
      // A clock that was set back doesn't make it rest longer.
      if (known !== undefined && known.madeAt <= now && now < known.restsUntil) return known.build;
      if (known !== undefined && (await isValid(request, known))) return known.build;
      const making = shareFlight(flights, id, () => permits.run(() => make(id, request)));
      if (known === undefined) return (await making).value.build;
      const patience = new AbortController();
      const made = making.then(
        ({ value }) => value.build,
        (error: unknown) => {
          onError(error);
          return known.build;
        },
      );
      const late = clock.sleep(PATIENCE_MS, patience.signal).then(
        () => known.build,
        () => known.build,
      );
      try {
        return await Promise.race([made, late]);
      } finally {
        patience.abort();
      }
    },
    pathOf: ({ file }, isCompressed) => join(directory, isCompressed ? `${file}.gz` : file),
  };
}

/** The builds that an earlier process left, by their ids. Whatever else is there is removed. */
function knownIn(directory: string): [string, Build][] {
  const names = readdirSync(directory);
  const known = names.flatMap((name): [string, Build][] => {
    if (!name.endsWith('.json')) return [];
    const build = readBuild(join(directory, name));
    const isWhole = build !== null && names.includes(build.file) && names.includes(`${build.file}.gz`);
    return isWhole ? [[name.slice(0, -5), build]] : [];
  });
  const wanted = new Set(known.flatMap(([id, { file }]) => [`${id}.json`, file, `${file}.gz`]));
  for (const name of names) if (!wanted.has(name)) rmSync(join(directory, name), { recursive: true, force: true });
  return known;
}

/** Null for a file that a crash left half written. */
function readBuild(path: string): Build | null {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return null;
  }
}
