import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import Fastify, { type FastifyInstance, LogController } from 'fastify';
import helmet from 'helmet';
import type { Logger } from 'pino';
import type { Config } from '../src/config/config.ts';
import { type Clock, MICROS_PER_MS } from '../src/model/clock.ts';
import { keepPlaces, type Places } from './connections.ts';
import { countInFlight } from './in-flight.ts';
import { frameworkErrorsOf, writeClientError } from './malformed.ts';
import { countAnswers } from './metrics.ts';
import { createPageCache } from './page-cache.ts';
import type { RouteParts } from './parts.ts';
import { parseQuery } from './query.ts';
import { registerRoutes } from './register.ts';
import { sendAlways } from './standing-headers.ts';

export interface AppParts extends Omit<RouteParts, 'pages' | 'metrics' | 'isClosing' | 'isSpare' | 'inFlight'> {
  /** Names of the clients that may read /metrics. */
  metricsAccess: RouteParts['metrics']['access'];
  tls: Config['listen']['tls'];
  /** Connections at a time, and of one address; null where all are a proxy's. */
  maxConnections: number;
  maxConnectionsPerAddress: number | null;
  /** Most bytes that pages kept ready may take, and most that answers under way may hold. */
  cacheBytes: number;
  answerBytes: number;
  log: Logger;
}

/** A longer request head never reaches a route; a longer URL than routes/query.ts allows does, and is told so there. */
const MAX_HEADER_BYTES = 256 * 1024;
/** No route takes a larger body; those that take one say less. */
const MAX_BODY_BYTES = 1024 * 1024;
/** For a whole request, and for its head alone. */
const REQUEST_TIMEOUT_MS = 30_000;
const HEADERS_TIMEOUT_MS = 15_000;
/** Longer than the 60 s after which proxies drop a connection: they must be the ones to close it. */
const KEEP_ALIVE_MS = 65_000;
/** A connection on which nothing moves. A reader that stopped reading is noticed when Node looks for the second time. */
const IDLE_MS = 120_000;
/** Between two looks for connections whose request takes too long, silent ones among them. */
const CHECK_MS = 5000;
/** Messages of failures to take a connection; where descriptors are used up there is one for each try. */
const COMPLAINT_MS = 60_000;
/** Requests in flight get so long to end when the gateway stops. */
const STOP_GRACE_MS = 10_000;

/**
 * TAXII 2.1 section 8.2.2: 1.2 must be accepted, 1.3 should be, and on 1.2 nothing of RFC 7540 appendix A. All of these have
 * forward secrecy and authenticated encryption.
 */
const tlsRules = {
  minVersion: 'TLSv1.2',
  maxVersion: 'TLSv1.3',
  honorCipherOrder: true,
  ciphers: [
    'TLS_AES_128_GCM_SHA256',
    'TLS_AES_256_GCM_SHA384',
    'TLS_CHACHA20_POLY1305_SHA256',
    'ECDHE-ECDSA-AES128-GCM-SHA256',
    'ECDHE-RSA-AES128-GCM-SHA256',
    'ECDHE-ECDSA-AES256-GCM-SHA384',
    'ECDHE-RSA-AES256-GCM-SHA384',
    'ECDHE-ECDSA-CHACHA20-POLY1305',
    'ECDHE-RSA-CHACHA20-POLY1305',
  ].join(':'),
} as const;

/** The whole application; it never listens. */
export function buildApp(parts: AppParts): FastifyInstance {
  const { tls, trustProxy, log } = parts;
  const security = securityHeaders(tls !== null);
  const places = keepPlaces({ most: parts.maxConnections, perAddress: parts.maxConnectionsPerAddress });
  const app = Fastify({
    // One server, whose bounds hold for all: for the second address of `localhost` Fastify would make another one without them.
    serverFactory: (handler) => makeServer(handler as RequestListener, parts, places),
    loggerInstance: log,
    logController: new LogController({ disableRequestLogging: true }),
    // What is logged of a request has an id of its own (routes/failure.ts): a logger per request would only cost.
    childLoggerFactory: (logger) => logger,
    // One proxy: what stands before its own entry in X-Forwarded-For, any client may have written.
    trustProxy: trustProxy && ((_address: string, hop: number) => hop < 1),
    bodyLimit: MAX_BODY_BYTES,
    // What came in before the end is answered, each answer the last on its connection.
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 256, querystringParser: parseQuery },
    frameworkErrors: frameworkErrorsOf(parts, security),
    clientErrorHandler: writeClientError,
  }) as unknown as FastifyInstance;
  const isClosing = endConnections(app, places, trustProxy);
  sendAlways(app, security);
  const metrics = { register: countAnswers(app), access: parts.metricsAccess };
  const pages = createPageCache(parts.reader, parts.cacheBytes, security);
  const closed = new AbortController();
  app.addHook('onClose', async () => closed.abort());
  const inFlight = countInFlight(parts.clock, parts.answerBytes, closed.signal);
  registerRoutes(app, { ...parts, metrics, pages, inFlight, isClosing, isSpare: places.isSpare });
  return app;
}

/** A server with all its bounds; what it can't take is refused and logged. */
function makeServer(handler: RequestListener, { tls, log, clock }: AppParts, places: Places): Server {
  const options = {
    maxHeaderSize: MAX_HEADER_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    headersTimeout: HEADERS_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    connectionsCheckingInterval: CHECK_MS,
  };
  const server =
    tls === null ? createServer(options, handler) : createSecureServer({ ...options, ...secured(tls) }, handler);
  server.setTimeout(IDLE_MS);
  places.watch(server);
  let complainedAt = Number.NEGATIVE_INFINITY;
  server.on('error', (err) => {
    // Whoever listens hears of an address that can't be had; later there are only connections that can't be taken.
    if (!server.listening || clock.now() - complainedAt < COMPLAINT_MS * MICROS_PER_MS) return;
    complainedAt = clock.now();
    log.error({ err }, 'a connection could not be taken');
  });
  return server;
}

/**
 * Makes an answer the last of its connection: all of them once the application closes (Fastify says so only to requests that begin
 * after it), those without a place, and those to who brought no good key. A proxy's connections are everybody's, and stay.
 */
function endConnections(app: FastifyInstance, { isSpare }: Places, isProxied: boolean): () => boolean {
  let isClosing = false;
  app.addHook('preClose', (done) => {
    isClosing = true;
    done();
  });
  app.addHook('onSend', ({ client, raw }, reply, payload, done) => {
    const isStranger = (client ?? null) === null && !isProxied;
    if (isClosing || isStranger || isSpare(raw.socket)) reply.header('connection', 'close');
    done(null, payload);
  });
  return () => isClosing;
}

/** Stops taking connections and ends those that are idle; requests in flight may finish until the grace is over. */
export async function closeApp(app: FastifyInstance, clock: Clock): Promise<void> {
  const done = new AbortController();
  clock.sleep(STOP_GRACE_MS, done.signal).then(
    () => app.server.closeAllConnections(),
    () => undefined,
  );
  try {
    await app.close();
  } finally {
    done.abort();
  }
}

function secured(tls: NonNullable<AppParts['tls']>) {
  const own = { ...tlsRules, handshakeTimeout: HEADERS_TIMEOUT_MS, cert: tls.cert.reveal(), key: tls.key.reveal() };
  if (tls.clientCa === null) return own;
  // Who shows no certificate, or a foreign one, may still bring a key: routes/sign-in.ts decides.
  return { ...own, ca: tls.clientCa.reveal(), requestCert: true, rejectUnauthorized: false };
}

/**
 * Answers are data: nothing in them may run, be framed or be taken for another type. A page for people sets its own policy.
 * Helmet's headers are the same for every answer, so it is asked once.
 */
function securityHeaders(isSecure: boolean): Record<string, string> {
  const headers: Record<string, string> = {};
  const recorder = {
    setHeader: (name: string, value: string) => {
      headers[name.toLowerCase()] = value;
    },
    removeHeader: () => undefined,
  };
  const middleware = helmet({
    contentSecurityPolicy: {
      useDefaults: false,
      directives: { 'default-src': ["'none'"], 'frame-ancestors': ["'none'"] },
    },
    strictTransportSecurity: isSecure ? { maxAge: 31_536_000, includeSubDomains: false } : false,
    referrerPolicy: { policy: 'no-referrer' },
    xFrameOptions: { action: 'deny' },
    crossOriginResourcePolicy: { policy: 'same-origin' },
    // For old browsers and for pages; what is left of helmet says nothing about data.
    crossOriginOpenerPolicy: false,
    originAgentCluster: false,
    xDnsPrefetchControl: false,
    xDownloadOptions: false,
    xPermittedCrossDomainPolicies: false,
    xXssProtection: false,
  });
  middleware({} as IncomingMessage, recorder as unknown as ServerResponse, (error) => {
    if (error !== undefined) throw error;
  });
  return headers;
}
