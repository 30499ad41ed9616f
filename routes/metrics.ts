import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { MICROS_PER_SECOND } from '../src/model/clock.ts';
import { GatewayError } from '../src/model/error.ts';
import { byReason } from '../src/model/served.ts';
import type { Client } from '../src/model/state.ts';
import { readFeeds } from '../src/status/feeds.ts';
import type { Operation } from './methods.ts';
import type { RouteParts } from './parts.ts';

/**
 * Metrics for Prometheus. Labels are routes, statuses, and names from the configuration or the operator. No label is a caller's invention,
 * a key, an indicator's value or a client's address.
 */

/** Clients with a label of their own; further ones share `others`. */
const MAX_CLIENTS = 500;
const DURATIONS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Counts every answer of the application, refusals among them. Returns the registry for `/metrics`. */
export function countAnswers(app: FastifyInstance): Registry {
  const register = new Registry();
  const registers = [register];
  collectDefaultMetrics({ register });
  const requests = new Counter({
    name: 'sluice_http_requests_total',
    help: 'Answers by route, method, status and client; the client is empty where nobody signed in.',
    labelNames: ['route', 'method', 'status', 'client'],
    registers,
  });
  const durations = new Histogram({
    name: 'sluice_http_request_duration_seconds',
    help: 'Time from request to end of answer.',
    labelNames: ['route'],
    buckets: DURATIONS,
    registers,
  });
  const clients = new Set<string>();
  app.addHook('onResponse', (request, reply, done) => {
    // Without a route, `none`: the path is the caller's invention.
    const route = request.routeOptions.url ?? 'none';
    const client = nameOf(request, clients);
    requests.inc({ route, method: request.method, status: reply.statusCode, client });
    durations.observe({ route }, reply.elapsedTime / 1000);
    done();
  });
  return register;
}

function nameOf(request: FastifyRequest, seen: Set<string>): string {
  const name = (request as { client?: Client | null }).client?.name ?? '';
  if (name === '' || seen.has(name)) return name;
  if (seen.size >= MAX_CLIENTS) return 'others';
  seen.add(name);
  return name;
}

/** `GET /metrics`, for the clients that the configuration names, or for anyone. */
export function getMetrics(parts: RouteParts): Operation {
  const { register, access } = parts.metrics;
  const update = readMetrics(register, parts);
  // Not in the OpenAPI document.
  return {
    schema: { hide: true },
    handler: async (request: FastifyRequest, reply: FastifyReply) => {
      if (access !== 'anyone' && !access.includes(request.client.name)) {
        throw new GatewayError('forbidden', 'Only clients that metrics.clients names may read this.');
      }
      await update();
      const text = Buffer.from(await register.metrics());
      return reply.header('content-type', register.contentType).header('cache-control', 'no-store').send(text);
    },
  };
}

/** Registers the metrics that are read on request: of caches, feeds, journals and accounts. Returns the function that reads them. */
function readMetrics(register: Registry, parts: RouteParts): () => Promise<void> {
  const { clock, reader, pages, inFlight, allowances, feeds: facts, collections } = parts;
  const gauge = (name: string, help: string, ...labelNames: string[]) =>
    new Gauge({ name: `sluice_${name}`, help, labelNames, registers: [register] });
  // Counted elsewhere and set on each request; the values only rise, so they are counters.
  const total = (name: string, help: string, ...labelNames: string[]) =>
    new Counter({ name: `sluice_${name}_total`, help, labelNames, registers: [register] });
  const faulty = gauge('store_fault', '1 while the store is known to be full or damaged.', 'fault');
  const head = gauge('journal_head_timestamp_seconds', 'date_added of the newest entry.', 'journal');
  const live = gauge('journal_live_indicators', 'Live indicators.', 'journal', 'type');
  const succeeded = gauge('feed_success_timestamp_seconds', 'Last poll that ended whole.', 'feed');
  const changed = gauge(
    'feed_changed_timestamp_seconds',
    'When its list last changed, as far as pulls show it.',
    'feed',
  );
  const stalled = gauge('feed_stalled', '1: its list has not changed for longer than fresh_within.', 'feed');
  const attempted = gauge('feed_attempt_timestamp_seconds', 'Last poll that began.', 'feed');
  const next = gauge('feed_next_poll_timestamp_seconds', 'When the next poll is due.', 'feed');
  const failures = gauge('feed_failures', 'Polls that failed since the last good one.', 'feed');
  const heldBack = gauge(
    'feed_held_back_rows',
    'Rows of the last pull while it is held back, and rows that it would withdraw.',
    'feed',
    'rows',
  );
  const gap = gauge('feed_gap_timestamp_seconds', 'When it was last found that news can no longer be had.', 'feed');
  const held = gauge('feed_observations', 'Observations held.', 'feed');
  const rows = gauge('feed_rows', 'Rows of the last whole poll.', 'feed', 'outcome');
  const filtered = gauge('feed_filtered', "Rows that the feed's own filter left out.", 'feed');
  const refused = gauge('feed_refused', 'Different rows that were refused.', 'feed', 'reason');
  const notes = gauge(
    'feed_notes',
    'On parts of rows that could not be read, and what could not be asked for.',
    'feed',
    'reason',
  );
  const served = gauge('feed_live', 'Of its rows and objects, live in a collection.', 'feed', 'collection');
  const leftOut = gauge('feed_left_out', 'Held, and not served in a collection.', 'feed', 'collection', 'reason');
  const allowed = gauge('account_budget', 'Requests that the plan allows in a window.', 'origin', 'feeds', 'seconds');
  const left = gauge('account_budget_left', 'Requests that are left in a window now.', 'origin', 'feeds', 'seconds');
  const sent = total('upstream_requests', 'Requests ever sent upstream, over all accounts.');
  const counted = {
    hits: total('page_cache_hits', 'Pages sent without reading a row.'),
    misses: total('page_cache_misses', 'Pages that had to be read.'),
    evictions: total('page_cache_evictions', 'Pages that left for want of room.'),
  };
  const kept = {
    pages: gauge('page_cache_pages', 'Pages kept.'),
    bytes: gauge('page_cache_bytes', 'Bytes of pages kept.'),
  };
  const flying = {
    answers: gauge('answers_in_flight', 'Answers that are held for who reads them.'),
    bytes: gauge('answers_in_flight_bytes', 'Bytes that are held for them.'),
  };
  const all = [
    ...Object.values(counted),
    sent,
    head,
    live,
    succeeded,
    changed,
    stalled,
    attempted,
    next,
    failures,
    heldBack,
    gap,
    held,
    rows,
    filtered,
    refused,
    notes,
    served,
    leftOut,
    allowed,
    left,
  ];

  return async () => {
    const journals = await reader.journals();
    const counts = await Promise.all(journals.map(({ name }) => reader.countLive(name)));
    const feeds = await readFeeds(reader, { feeds: facts, collections, now: clock.now() });
    const refusals = await Promise.all(feeds.map(async ({ state }) => (await reader.rejections(state.feed, 0)).counts));
    const accounts = await reader.accounts();
    const budgets = await allowances();
    // No `await` from here on: two requests at a time never see half of the values.
    for (const one of all) one.reset();
    const fault = reader.fault();
    for (const each of ['store-full', 'store-damaged']) faulty.set({ fault: each }, each === fault ? 1 : 0);
    for (const [i, { name: journal, head: newest }] of journals.entries()) {
      if (newest !== null) head.set({ journal }, newest / MICROS_PER_SECOND);
      for (const [type, count] of Object.entries(counts[i] ?? {})) live.set({ journal, type }, count);
    }
    for (const [i, report] of feeds.entries()) {
      const { state, wasPolled } = report;
      const { feed } = state;
      for (const found of report.served) {
        const { collection } = found;
        served.set({ feed, collection }, found.live);
        for (const [reason, count] of Object.entries(byReason(found.leftOut))) {
          leftOut.set({ feed, collection, reason }, count);
        }
      }
      if (!wasPolled) continue;
      for (const [moment, at] of [
        [succeeded, state.succeededAt],
        [changed, state.changedAt],
        [attempted, state.attemptedAt],
        [next, state.nextPollAt],
      ] as const) {
        if (at !== null) moment.set({ feed }, at / MICROS_PER_SECOND);
      }
      if (report.facts.definition.freshWithin !== undefined) stalled.set({ feed }, report.stalled === null ? 0 : 1);
      failures.set({ feed }, state.failures);
      for (const [rows, count] of Object.entries(state.error?.heldBack ?? {})) heldBack.set({ feed, rows }, count);
      if (state.gap !== null) gap.set({ feed }, state.gap.at / MICROS_PER_SECOND);
      held.set({ feed }, state.observations);
      rows.set({ feed, outcome: 'accepted' }, state.accepted);
      rows.set({ feed, outcome: 'rejected' }, state.rejected);
      filtered.set({ feed }, state.filtered);
      for (const { reason, count, isNote } of refusals[i] ?? [])
        (isNote ? notes : refused).set({ feed, reason }, count);
    }
    for (const budget of budgets) {
      const labels = { origin: budget.origin, feeds: budget.feeds.join(','), seconds: budget.seconds };
      allowed.set(labels, budget.allowed);
      left.set(labels, budget.left);
    }
    sent.inc(accounts.reduce((sum, { requests }) => sum + requests, 0));
    const counters = pages.counters();
    for (const name of ['hits', 'misses', 'evictions'] as const) counted[name].inc(counters[name]);
    for (const name of ['pages', 'bytes'] as const) kept[name].set(counters[name]);
    const under = inFlight.counters();
    for (const name of ['answers', 'bytes'] as const) flying[name].set(under[name]);
  };
}
