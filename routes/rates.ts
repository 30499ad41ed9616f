import type { FastifyRateLimitStore, FastifyRateLimitStoreCtor } from '@fastify/rate-limit';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { LRUCache } from 'lru-cache';
import { type Clock, MICROS_PER_MS, type Micros } from '../src/model/clock.ts';

/** Parts of one request of a client's rate. Costs are whole numbers of parts, which add up exactly. */
export const WHOLE_REQUEST = 20;
/** Objects of a page that cost one part. Reading and writing so many takes about 3 ms, or no time when the page is cached. */
const OBJECTS_A_PART = 1000;
/** Clients, or addresses, that are counted at a time: the default of @fastify/rate-limit. */
const MAX_ACCOUNTS = 5000;

/** What clients have used of their rates. A request is counted as a whole one when it comes; `charge` gives back what it costs less. */
export interface Rates {
  /** Where @fastify/rate-limit counts. */
  store: FastifyRateLimitStoreCtor;
  /** Makes this request cost so many parts, and updates RateLimit-Remaining. Call it before the answer's head is written. */
  charge(request: FastifyRequest, reply: FastifyReply, parts: number): void;
}

/** Parts that a page of so many objects costs: at most a whole request. */
export function costOfPage(limit: number): number {
  return Math.min(WHOLE_REQUEST, Math.ceil(limit / OBJECTS_A_PART));
}

interface Account {
  /** In parts. */
  spent: number;
  since: Micros;
}

export function createRates(clock: Clock): Rates {
  let clients: Windows | null = null;
  class Windows implements FastifyRateLimitStore {
    readonly accounts = new LRUCache<string, Account>({ max: MAX_ACCOUNTS });

    constructor() {
      // The first one counts clients (sign-in.ts); `child` makes others.
      clients ??= this;
    }

    incr(
      key: string,
      callback: (error: Error | null, result?: { current: number; ttl: number }) => void,
      windowMs = 0,
      max = 0,
    ): void {
      const now = clock.now();
      const per = windowMs * MICROS_PER_MS;
      let account = this.accounts.get(key);
      // When the clock was set back, a new window begins: the old one would last too long.
      if (account === undefined || now < account.since || now >= account.since + per) {
        account = { spent: 0, since: now };
        this.accounts.set(key, account);
      }
      const isWithin = account.spent + WHOLE_REQUEST <= max * WHOLE_REQUEST;
      if (isWithin) account.spent += WHOLE_REQUEST;
      const current = isWithin ? Math.ceil(account.spent / WHOLE_REQUEST) : max + 1;
      callback(null, { current, ttl: (account.since + per - now) / MICROS_PER_MS });
    }

    child(): FastifyRateLimitStore {
      return new Windows();
    }
  }

  return {
    store: Windows,
    charge({ client }, reply, parts) {
      const account = clients?.accounts.peek(client.name);
      if (account === undefined) return;
      account.spent = Math.max(0, account.spent - WHOLE_REQUEST + parts);
      reply.header('ratelimit-remaining', Math.max(0, client.rate.max - Math.ceil(account.spent / WHOLE_REQUEST)));
    },
  };
}
