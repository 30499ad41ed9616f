import { isJsonObject } from '../../model/json.ts';

/**
 * Which events were read, in which version: the cursor of a feed of events. Newer timestamps alone would not do, since events are
 * often published long after they were written. The newest MOST_KNOWN are remembered, some 140 kB; any older one counts as read.
 */
const MOST_KNOWN = 5000;
/** Events that could not be read, and are tried again. */
const MOST_MISSED = 500;
/** Bytes of an event: four of its timestamp, then its uuid. Their hex digits, in order of time, are its key. */
const TIME_BYTES = 4;
const KEY_BYTES = TIME_BYTES + 16;
const HEX = /^[0-9a-f]{32}$/;

/** An event in a version. */
export interface EventVersion {
  /** In lower case. */
  uuid: string;
  /** Unix seconds; 0 where none is known. */
  timestamp: number;
}

export class KnownEvents {
  readonly #timestamps = new Map<string, number>();
  readonly #missed = new Set<string>();
  /** The key of the newest event that was forgotten because there are too many. */
  #floor = '';
  readonly #of: string;
  /** It goes on from a pull before. */
  readonly isResumed: boolean;

  /** `of` stands for what is read, and how: a cursor of something else is not used. */
  constructor(cursor: string | null, of: string) {
    this.#of = of;
    this.isResumed = cursor !== null && this.#restore(cursor);
  }

  #restore(cursor: string): boolean {
    try {
      const stored: unknown = JSON.parse(cursor);
      if (!isJsonObject(stored) || stored['of'] !== this.#of) return false;
      const { known, missed, floor } = stored;
      if (typeof known !== 'string' || typeof floor !== 'string' || !Array.isArray(missed)) return false;
      const bytes = Buffer.from(known, 'base64');
      for (let at = 0; at + KEY_BYTES <= bytes.length; at += KEY_BYTES) {
        this.#timestamps.set(dashed(bytes.toString('hex', at + TIME_BYTES, at + KEY_BYTES)), bytes.readUInt32BE(at));
      }
      for (const uuid of missed) this.#missed.add(String(uuid));
      this.#floor = floor;
      return true;
    } catch {
      return false;
    }
  }

  get size(): number {
    return this.#timestamps.size;
  }

  /** Could it not be read by a pull before? */
  isMissed(uuid: string): boolean {
    return this.#missed.has(uuid);
  }

  get hasMissed(): boolean {
    return this.#missed.size > 0;
  }

  /** Was the event read in this version? */
  isRead(event: EventVersion): boolean {
    if (this.#missed.has(event.uuid)) return false;
    const known = this.#timestamps.get(event.uuid);
    return known === undefined ? keyOf(event) <= this.#floor : known === event.timestamp;
  }

  add({ uuid, timestamp }: EventVersion): void {
    this.#missed.delete(uuid);
    this.#timestamps.set(uuid, timestamp);
  }

  /** It could not be read. */
  miss(uuid: string): void {
    if (this.#missed.size < MOST_MISSED) this.#missed.add(uuid);
  }

  /** Those that were read and are not among `listed`. What was only missed, and is not listed any more, is forgotten. */
  goneFrom(listed: ReadonlySet<string>): string[] {
    for (const uuid of this.#missed) if (!listed.has(uuid)) this.#missed.delete(uuid);
    return [...this.#timestamps.keys()].filter((uuid) => !listed.has(uuid));
  }

  forget(uuid: string): void {
    this.#timestamps.delete(uuid);
    this.#missed.delete(uuid);
  }

  cursor(): string {
    let keys = [...this.#timestamps].map(([uuid, timestamp]) => keyOf({ uuid, timestamp }));
    if (keys.length > MOST_KNOWN) {
      keys.sort();
      for (const key of keys.slice(0, -MOST_KNOWN)) {
        this.#timestamps.delete(dashed(key.slice(2 * TIME_BYTES)));
        if (key > this.#floor) this.#floor = key;
      }
      keys = keys.slice(-MOST_KNOWN);
    }
    const known = Buffer.from(keys.join(''), 'hex').toString('base64');
    return JSON.stringify({ of: this.#of, floor: this.#floor, missed: [...this.#missed], known });
  }
}

function keyOf({ uuid, timestamp }: EventVersion): string {
  return timestamp.toString(16).padStart(2 * TIME_BYTES, '0') + uuid.replaceAll('-', '');
}

function dashed(hex: string): string {
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

const MAX_TIMESTAMP = 0xffff_ffff;

/** The uuid of an event in lower case; null for what is none. */
export function eventUuid(text: unknown): string | null {
  if (typeof text !== 'string' || text.length !== 36) return null;
  const hex = text.toLowerCase().replaceAll('-', '');
  return HEX.test(hex) && dashed(hex) === text.toLowerCase() ? dashed(hex) : null;
}

/** Seconds as they may stand in a cursor. */
export function eventTime(seconds: number | null): number {
  return seconds === null || seconds > MAX_TIMESTAMP ? 0 : seconds;
}
