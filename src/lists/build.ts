import { createHash, type Hash, hash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { MICROS_PER_SECOND, type Micros } from '../model/clock.ts';
import type { CollectionDefinition, ListDefinition } from '../model/definition.ts';
import type { Entry } from '../model/entry.ts';
import { eventLoop } from '../model/turns.ts';
import type { Output, OutputRequest, Selection, Tally } from '../outputs/output.ts';
import { within } from '../outputs/selection.ts';
import { type DocumentLeftOut, leftOutOf, newTally } from '../outputs/tally.ts';
import type { Reader } from '../store/store.ts';
import { readList } from './read.ts';

/** A page of a list as it is asked for, and all that decides what it says besides the journal. */
export interface ListRequest {
  list: ListDefinition;
  /** From 1. */
  page: number;
  collection: CollectionDefinition;
  output: Output;
  /** The credits that feeds behind the collection ask for. */
  credits: readonly string[];
}

/** A page of a list in a file, ready to be sent. */
export interface Build {
  /** Of the file, without and with gzip, in the directory of builds. */
  file: string;
  bytes: number;
  gzipBytes: number;
  /** Over all that it says but its head, which may hold the time. */
  content: string;
  /** A strong entity tag of the file without a coding, without quotes. */
  tag: string;
  /** When it was first built with this content. */
  changedAt: Micros;
  /** Lines, or entries of other formats, over all pages. */
  total: number;
  leftOut: DocumentLeftOut;
  pages: number;
}

/** The same text for equal requests: their builds are the same. */
export function requestId({ list, page, collection, output, credits }: ListRequest): string {
  const { alias, title, journal, tlp, tlpVersion = 2, types } = collection;
  const all = [output.name, list, page, { alias, title, journal, tlp, tlpVersion, types }, credits];
  return hash('sha256', JSON.stringify(all), 'hex').slice(0, 32);
}

interface Place {
  directory: string;
  identityId: string;
  now: Micros;
}

/**
 * Writes a page of a list into a new file. When it says what `last` says, that stays the build, with its time: nobody is sent again
 * what he has, and no serial rises.
 */
export async function buildList(
  store: Pick<Reader, 'live'>,
  request: ListRequest,
  last: Build | null,
  { directory, identityId, now }: Place,
): Promise<Build> {
  const { list, page, collection, output, credits } = request;
  const id = requestId(request);
  // A time of its own, by the second, for formats that count their versions by it.
  const changedAt = last === null ? now : Math.max(now, last.changedAt + MICROS_PER_SECOND);
  const narrowed = typesOf(list, collection);
  const selection = within(
    { types: narrowed, prefixes: list.aggregate ? 'merged' : 'stated', order: list.order, maximum: list.maxEntries },
    output,
    list.options,
  );
  const tally = newTally();
  const slices = readList(store, { ...list, journal: collection.journal, types: selection.types }, tally);
  const size = list.pageSize ?? Number.POSITIVE_INFINITY;
  const part = { skip: (page - 1) * size || 0, take: size };
  const document: OutputRequest = {
    collection,
    selection,
    options: list.options,
    slices: output.lines === undefined ? partOf(slices, part, selection, tally) : slices,
    at: changedAt,
    identityId,
    about: {},
    credits,
    tally,
    page: part,
    ...(list.emptyLine === null ? {} : { emptyLine: list.emptyLine }),
  };
  const written = join(directory, `${id}.new`);
  const content = createHash('sha256');
  await pipeline(Readable.from(hashed(output, document, content)), createWriteStream(written, { mode: 0o600 }));
  const digest = content.digest('base64url');
  if (last !== null && last.content === digest) return last;
  const file = `${id}-${changedAt}`;
  await pipeline(
    createReadStream(written),
    createGzip({ level: 6 }),
    createWriteStream(`${written}.gz`, { mode: 0o600 }),
  );
  await rename(`${written}.gz`, join(directory, `${file}.gz`));
  await rename(written, join(directory, file));
  return {
    file,
    bytes: (await stat(join(directory, file))).size,
    gzipBytes: (await stat(join(directory, `${file}.gz`))).size,
    content: digest,
    tag: hash('sha256', `${id} ${changedAt} ${digest}`, 'base64url').slice(0, 22),
    changedAt,
    total: tally.total,
    leftOut: leftOutOf(tally, selection),
    pages: Math.max(1, Math.ceil(Math.min(tally.total, selection.maximum ?? tally.total) / size)),
  };
}

function typesOf({ types }: ListDefinition, collection: CollectionDefinition): ListDefinition['types'] {
  if (types === null || collection.types === null) return types ?? collection.types;
  const shown = collection.types;
  return types.filter((type) => shown.includes(type));
}

/** The entries of a page, for formats that don't count lines themselves. */
async function* partOf(
  slices: AsyncIterable<readonly Entry[]>,
  { skip, take }: NonNullable<OutputRequest['page']>,
  { maximum }: Selection,
  tally: Tally,
): AsyncGenerator<readonly Entry[]> {
  const end = Math.min(skip + take, maximum ?? Number.POSITIVE_INFINITY);
  for await (const slice of slices) {
    const before = tally.total;
    tally.total += slice.length;
    if (before < end && tally.total > skip) yield slice.slice(Math.max(0, skip - before), end - before);
  }
}

/** The pieces of the document. What comes before the first slice is read is its head, and isn't hashed. */
async function* hashed(output: Output, document: OutputRequest, content: Hash): AsyncGenerator<string> {
  let isHead = true;
  const slices = async function* () {
    isHead = false;
    yield* document.slices;
  };
  for await (const piece of output.write({ ...document, slices: slices() })) {
    if (!isHead) content.update(piece);
    if (piece !== '') yield piece;
    await eventLoop.next();
  }
}
