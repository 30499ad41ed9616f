import type { FastifyRateLimitStore, FastifyRateLimitStoreCtor } from '@fastify/rate-limit';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { LRUCache } from 'lru-cache';
import { type Clock, MICROS_PER_MS, type Micros } from '../src/model/clock.ts';

/** Parts that a request of a client's rate is counted in: whole numbers add up exactly. */
export const WHOLE_REQUEST = 20;
/** Objects of a page that cost one part: to read and write them takes about 3 ms, and none where the page is kept. */
const OBJECTS_A_PART = 1000;
/** Clients, or addresses, that are remembered; as many as @fastify/rate-limit remembers by itself. */
const MAX_ACCOUNTS = 5000;

/** What clients have spent of their rates. A request is counted as a whole one when it comes; what it costs less is given back. */
export interface Rates {
  /** Where @fastify/rate-limit counts. */
  store: FastifyRateLimitStoreCtor;
  /** Makes this request cost so many parts, and its answer say what is left then. Before the answer's head is written. */
  settle(request: FastifyRequest, reply: FastifyReply, parts: number): void;
}

/** The parts that a page of so many objects costs: never more than a whole request. */
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
      // The first one is the guard's; others are made by `child`.
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
      // A clock that was set back must not make a window longer.
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
    settle({ client }, reply, parts) {
      const account = clients?.accounts.peek(client.name);
      if (account === undefined) return;
      account.spent = Math.max(0, account.spent - WHOLE_REQUEST + parts);
      reply.header('ratelimit-remaining', Math.max(0, client.rate.max - Math.ceil(account.spent / WHOLE_REQUEST)));
    },
  };
}
