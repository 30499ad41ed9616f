import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import Fastify, { type FastifyInstance, LogController } from 'fastify';
import helmet from 'helmet';
import type { Logger } from 'pino';
import type { Config } from '../src/config/config.ts';
import { type Clock, MICROS_PER_MS, type Millis } from '../src/model/clock.ts';
import { type ConnectionLimits, limitConnections } from './connections.ts';
import { setDefaultHeaders } from './default-headers.ts';
import { countInFlight } from './in-flight.ts';
import { frameworkErrorsOf, writeClientError } from './malformed.ts';
import { countAnswers } from './metrics.ts';
import { createPageCache } from './page-cache.ts';
import type { RouteParts } from './parts.ts';
import { parseQuery } from './query.ts';
import { registerRoutes } from './register.ts';

export interface AppParts extends Omit<RouteParts, 'pages' | 'metrics' | 'isClosing' | 'isOverLimit' | 'inFlight'> {
  /** Names of the clients that may read /metrics. */
  metricsAccess: RouteParts['metrics']['access'];
  tls: Config['listen']['tls'];
  /** Connections at a time, in all and of one address; null where all are a proxy's. */
  maxConnections: number;
  maxConnectionsPerAddress: number | null;
  /** Bounds of the page cache, and of answers under way. */
  cacheBytes: number;
  answerBytes: number;
  log: Logger;
}

/** Node refuses a longer request head. routes/query.ts refuses a URL that is shorter than this and still too long. */
const MAX_HEADER_BYTES = 256 * 1024;
/** Upper bound for all routes; those that take a body allow less. */
const MAX_BODY_BYTES = 1024 * 1024;
/** For a whole request, and for its head alone. */
const REQUEST_TIMEOUT_MS: Millis = 30_000;
const HEADERS_TIMEOUT_MS: Millis = 15_000;
/** Longer than the 60 s after which proxies drop a connection: they must be the ones to close it. */
const KEEP_ALIVE_MS: Millis = 65_000;
/** A connection without traffic is closed after this time, or after twice this time when a reader stopped reading. */
const IDLE_MS: Millis = 120_000;
/** Between two checks for connections whose request takes too long. */
const CHECK_MS: Millis = 5000;
/** Failures to accept a connection are logged once in this time: without file descriptors each attempt fails. */
const ACCEPT_LOG_MS: Millis = 60_000;
/** Time for requests in flight to finish when the gateway stops. */
const STOP_GRACE_MS: Millis = 10_000;

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
  const limits = limitConnections({ most: parts.maxConnections, perAddress: parts.maxConnectionsPerAddress });
  const app = Fastify({
    // For the second address of `localhost`, Fastify would make another server, without these bounds.
    serverFactory: (handler) => makeServer(handler as RequestListener, parts, limits),
    loggerInstance: log,
    logController: new LogController({ disableRequestLogging: true }),
    // Logged failures have an id of their own (failure.ts): no logger per request is needed.
    childLoggerFactory: (logger) => logger,
    // One proxy: the entries of X-Forwarded-For before its own may be any client's invention.
    trustProxy: trustProxy && ((_address: string, hop: number) => hop < 1),
    bodyLimit: MAX_BODY_BYTES,
    // Requests that came in before the end are answered, each answer the last on its connection.
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 256, querystringParser: parseQuery },
    frameworkErrors: frameworkErrorsOf(parts, security),
    clientErrorHandler: writeClientError,
  }) as unknown as FastifyInstance;
  const isClosing = closeConnections(app, limits, trustProxy);
  setDefaultHeaders(app, security);
  const metrics = { register: countAnswers(app), access: parts.metricsAccess };
  const pages = createPageCache(parts.reader, parts.cacheBytes, security);
  const closed = new AbortController();
  app.addHook('onClose', async () => closed.abort());
  const inFlight = countInFlight(parts.clock, parts.answerBytes, closed.signal);
  registerRoutes(app, { ...parts, metrics, pages, inFlight, isClosing, isOverLimit: limits.isOverLimit });
  return app;
}

/** A server with all its bounds. Failures to accept a connection are logged. */
function makeServer(handler: RequestListener, { tls, log, clock }: AppParts, limits: ConnectionLimits): Server {
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
  limits.watch(server);
  let loggedAt = Number.NEGATIVE_INFINITY;
  server.on('error', (err) => {
    // Before it listens, `listen` rejects with the error; afterwards errors come from accepting connections.
    if (!server.listening || clock.now() - loggedAt < ACCEPT_LOG_MS * MICROS_PER_MS) return;
    loggedAt = clock.now();
    log.error({ err }, 'a connection could not be taken');
  });
  return server;
}

/**
 * Sends `Connection: close` with every answer once the application closes (Fastify does so only for requests that begin after it), on
 * connections over the limit, and to clients that didn't sign in, but for those of a proxy, which many clients share.
 */
function closeConnections(app: FastifyInstance, { isOverLimit }: ConnectionLimits, isProxied: boolean): () => boolean {
  let isClosing = false;
  app.addHook('preClose', (done) => {
    isClosing = true;
    done();
  });
  app.addHook('onSend', ({ client, raw }, reply, payload, done) => {
    const isAnonymous = (client ?? null) === null && !isProxied;
    if (isClosing || isAnonymous || isOverLimit(raw.socket)) reply.header('connection', 'close');
    done(null, payload);
  });
  return () => isClosing;
}

/** Stops accepting connections and closes idle ones; requests in flight may finish within STOP_GRACE_MS. */
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
  // A client without a certificate, or with a foreign one, may still have a key: routes/sign-in.ts decides.
  return { ...own, ca: tls.clientCa.reveal(), requestCert: true, rejectUnauthorized: false };
}

/**
 * Answers are data: browsers must not run, frame or sniff them. Pages for people set a policy of their own (assets.ts, docs.ts). Helmet's
 * headers are the same for every answer, so it is called once.
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
