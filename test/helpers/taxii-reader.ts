import type { Micros } from '../../src/model/clock.ts';
import { parseTimestamp } from '../../src/model/timestamp.ts';
import { ElasticIndex } from './elastic.ts';
import type { StixPage, TestGateway } from './gateway.ts';

/** Ids and patterns of what a reader takes for valid: not revoked, and not past its end. */
export function liveAmong(objects: Iterable<Record<string, any>>, now: Micros): string[] {
  return [...objects]
    .filter(({ type, revoked, valid_until: end }) => {
      return type === 'indicator' && revoked !== true && (end === undefined || (parseTimestamp(end) ?? 0) > now);
    })
    .map(({ id, pattern }) => `${id} ${pattern}`)
    .sort();
}

/** Who reads a collection from time to time, a few objects a page. */
export class CollectionReader {
  readonly collection: string;
  readonly index = new ElasticIndex();
  readonly #followsNext: boolean;
  /** By id, as the last version says it. */
  readonly #held = new Map<string, Record<string, any>>();
  #cursor: string | null = null;

  /** `followsNext`: within a walk; else it asks again by the date of the last object that it has. */
  constructor(collection: string, followsNext: boolean) {
    [this.collection, this.#followsNext] = [collection, followsNext];
  }

  /** `now`: by the reader's own clock, which is not set back with the gateway's. */
  async read({ app, key }: Pick<TestGateway, 'app' | 'key'>, now: Micros): Promise<void> {
    let place = this.#cursor === null ? '' : `&added_after=${this.#cursor}`;
    for (let isMore = true; isMore; ) {
      const url = `/api/taxii2/api/collections/${this.collection}/objects/?limit=3${place}`;
      const reply = await app.inject({ url, headers: { authorization: `Bearer ${key}` } });
      if (reply.statusCode !== 200) throw new Error(`${reply.statusCode} ${reply.body}`);
      const { objects = [], more, next } = reply.json<StixPage>();
      for (const object of objects) this.#held.set(object['id'], object);
      this.index.ingest(objects, now);
      const last = reply.headers['x-taxii-date-added-last'];
      if (typeof last === 'string') this.#cursor = last;
      place = this.#followsNext ? `&next=${next}` : `&added_after=${this.#cursor}`;
      isMore = more;
    }
    this.index.transform(now);
  }

  live(now: Micros): string[] {
    return liveAmong(this.#held.values(), now);
  }
}
