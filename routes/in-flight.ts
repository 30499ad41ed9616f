import type { ServerResponse } from 'node:http';
import { type Clock, MICROS_PER_MS, type Micros, type Millis } from '../src/model/clock.ts';
import { GatewayError } from '../src/model/error.ts';
import { eventLoop } from '../src/model/turns.ts';
import { unavailable } from './readiness.ts';

/** Admission by memory: the bytes that answers under way keep until their readers take them, in all and for each client. */
export interface InFlight {
  /** Throws `unavailable` (503) when the bound for all is reached, `rate-limited` (429) when this client's share is. */
  admit(client: string): void;
  /** The same, for work that takes turns; throws `unavailable` also when too many pieces wait. Resolves with the first turn. */
  admitInTurn(client: string): Promise<void>;
  /**
   * Counts bytes until the answer is sent or its connection is closed. Bytes that several answers share (`shared` is the same object)
   * are counted once. A connection that is closed already holds nothing: its reader left while the request waited for its turn.
   */
  reserve(response: ServerResponse, client: string, bytes: number, shared?: object): Reservation;
  counters(): { bytes: number; answers: number };
}

export interface Reservation {
  /** The reader has taken a part: its time limit begins anew. */
  progress(): void;
}

/** A client may keep one of this many parts of all bytes. */
const SHARES = 4;
/** Pieces of work that may wait for a turn before new requests are refused: at some milliseconds each, half a second. */
export const MAX_WAITING = 100;
/** A reader must take an answer in this time plus the time that its bytes take at the least rate; else its connection is closed. */
const PATIENCE_MS: Millis = 60_000;
const LEAST_BYTES_PER_MS = 16;
/** Between two checks for answers whose time is over. */
const CHECK_MS: Millis = 10_000;
/** Retry-After of a client that has reached its share, in seconds. */
const RETRY_AFTER = 5;

interface Answer extends Reservation {
  response: ServerResponse;
  deadline: Micros;
}

export function countInFlight(clock: Clock, maxBytes: number, signal: AbortSignal): InFlight {
  const all = createCounter();
  const byClient = new Map<string, Counter>();
  const answers = new Set<Answer>();
  let isChecking = false;

  const closeOverdue = async (): Promise<void> => {
    isChecking = true;
    try {
      while (answers.size > 0) {
        await clock.sleep(CHECK_MS, signal);
        for (const { response, deadline } of answers) if (deadline <= clock.now()) response.destroy();
      }
    } finally {
      isChecking = false;
    }
  };

  const admit = (client: string): void => {
    if (all.bytes >= maxBytes) throw unavailable('Too much is being sent already; try again soon.');
    if ((byClient.get(client)?.bytes ?? 0) < maxBytes / SHARES) return;
    const message = 'This client has too many answers under way that it has not read.';
    throw new GatewayError('rate-limited', message, { retryAfter: RETRY_AFTER });
  };

  return {
    admit,
    async admitInTurn(client) {
      admit(client);
      if (eventLoop.waiting >= MAX_WAITING)
        throw unavailable('Too many answers are being made already; try again soon.');
      await eventLoop.next();
      // Requests whose turn came before have reserved their bytes by now.
      admit(client);
    },
    reserve(response, client, bytes, shared = {}) {
      // Neither `finish` nor `close` comes any more, so what is counted now would be counted for ever.
      if (response.destroyed) return { progress: () => undefined };
      const own = byClient.get(client) ?? createCounter();
      byClient.set(client, own);
      all.add(shared, bytes);
      own.add(shared, bytes);
      const allowed: Micros = (PATIENCE_MS + bytes / LEAST_BYTES_PER_MS) * MICROS_PER_MS;
      const answer: Answer = {
        response,
        deadline: clock.now() + allowed,
        progress() {
          answer.deadline = clock.now() + allowed;
        },
      };
      answers.add(answer);
      const release = (): void => {
        if (!answers.delete(answer)) return;
        all.remove(shared);
        own.remove(shared);
        if (own.bytes === 0 && byClient.get(client) === own) byClient.delete(client);
      };
      response.once('finish', release).once('close', release);
      // It rejects only when the application closes, which closes all connections itself.
      if (!isChecking) closeOverdue().catch(() => undefined);
      return answer;
    },
    counters: () => ({ bytes: all.bytes, answers: answers.size }),
  };
}

interface Counter {
  readonly bytes: number;
  add(object: object, bytes: number): void;
  remove(object: object): void;
}

/** Counts the bytes of objects, each once however often it was added. */
function createCounter(): Counter {
  const objects = new Map<object, { references: number; bytes: number }>();
  let total = 0;
  return {
    get bytes() {
      return total;
    },
    add(object, bytes) {
      const known = objects.get(object);
      if (known !== undefined) known.references += 1;
      else {
        objects.set(object, { references: 1, bytes });
        total += bytes;
      }
    },
    remove(object) {
      const known = objects.get(object);
      if (known === undefined) return;
      known.references -= 1;
      if (known.references > 0) return;
      objects.delete(object);
      total -= known.bytes;
    },
  };
}
