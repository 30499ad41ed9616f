import type { ServerResponse } from 'node:http';
import { type Clock, MICROS_PER_MS, type Micros } from '../src/model/clock.ts';
import { GatewayError } from '../src/model/error.ts';
import { eventLoop } from '../src/model/turns.ts';
import { unavailable } from './readiness.ts';

/** What answers under way hold in memory, all of them and each client's, and how long who doesn't read them may keep it. */
export interface InFlight {
  /** Throws `unavailable` (503) when no more may be held, `rate-limited` (429) when this client holds its share. */
  admit(client: string): void;
  /** The same for work that takes turns; throws `unavailable` when too many pieces wait for theirs. Resolves with the first turn. */
  enter(client: string): Promise<void>;
  /** Counts bytes until the answer is sent or its connection is gone. What several answers share is counted once. */
  hold(response: ServerResponse, client: string, bytes: number, shared?: object): Held;
  figures(): { bytes: number; answers: number };
}

export interface Held {
  /** Its reader has taken something: its time begins anew. */
  progress(): void;
}

/** Parts of all that may be held, of which a client may hold one. */
const SHARES = 4;
/** Pieces that may wait for a turn before new requests are sent away: at some milliseconds each, half a second. */
export const MAX_WAITING = 100;
/** Time that a reader has to take what is held for it: so much, and as long as its bytes take at the least rate. */
const PATIENCE_MS = 60_000;
const LEAST_BYTES_PER_MS = 16;
/** Between two looks for those whose time is over. */
const LOOK_MS = 10_000;
/** Seconds after which a client that holds its share may try again. */
const SOON = 5;

interface Answer extends Held {
  response: ServerResponse;
  until: Micros;
}

export function countInFlight(clock: Clock, budget: number, signal: AbortSignal): InFlight {
  const all = createLedger();
  const byClient = new Map<string, Ledger>();
  const answers = new Set<Answer>();
  let isLooking = false;

  const look = async (): Promise<void> => {
    isLooking = true;
    try {
      while (answers.size > 0) {
        await clock.sleep(LOOK_MS, signal);
        for (const { response, until } of answers) if (until <= clock.now()) response.destroy();
      }
    } finally {
      isLooking = false;
    }
  };

  const admit = (client: string): void => {
    if (all.bytes >= budget) throw unavailable('Too much is being sent already; try again soon.');
    if ((byClient.get(client)?.bytes ?? 0) < budget / SHARES) return;
    const told = 'This client has too many answers under way that it has not read.';
    throw new GatewayError('rate-limited', told, { retryAfter: SOON });
  };

  return {
    admit,
    async enter(client) {
      admit(client);
      if (eventLoop.waiting >= MAX_WAITING)
        throw unavailable('Too many answers are being made already; try again soon.');
      await eventLoop.next();
      // What those hold whose turn came before is known by now.
      admit(client);
    },
    hold(response, client, bytes, shared = {}) {
      const own = byClient.get(client) ?? createLedger();
      byClient.set(client, own);
      all.take(shared, bytes);
      own.take(shared, bytes);
      const allowed = (PATIENCE_MS + bytes / LEAST_BYTES_PER_MS) * MICROS_PER_MS;
      const answer: Answer = {
        response,
        until: clock.now() + allowed,
        progress() {
          answer.until = clock.now() + allowed;
        },
      };
      answers.add(answer);
      const release = (): void => {
        if (!answers.delete(answer)) return;
        all.give(shared);
        own.give(shared);
        if (own.bytes === 0 && byClient.get(client) === own) byClient.delete(client);
      };
      response.once('finish', release).once('close', release);
      // It fails only when the application closes, which ends all connections itself.
      if (!isLooking) look().catch(() => undefined);
      return answer;
    },
    figures: () => ({ bytes: all.bytes, answers: answers.size }),
  };
}

interface Ledger {
  readonly bytes: number;
  take(what: object, bytes: number): void;
  give(what: object): void;
}

/** Bytes of what is held, each thing once however many hold it. */
function createLedger(): Ledger {
  const held = new Map<object, { holders: number; bytes: number }>();
  let total = 0;
  return {
    get bytes() {
      return total;
    },
    take(what, bytes) {
      const known = held.get(what);
      if (known !== undefined) known.holders += 1;
      else {
        held.set(what, { holders: 1, bytes });
        total += bytes;
      }
    },
    give(what) {
      const known = held.get(what);
      if (known === undefined) return;
      known.holders -= 1;
      if (known.holders > 0) return;
      held.delete(what);
      total -= known.bytes;
    },
  };
}
