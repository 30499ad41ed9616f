import Fastify, { type FastifyInstance, LogController } from 'fastify';
import type { Logger } from 'pino';
import { type RouteParts, registerRoutes, renderFrameworkError, writeClientError } from '../routes/index.ts';
import { createPageCache } from '../routes/page-cache.ts';
import { parseQuery } from '../routes/query.ts';
import type { Config } from './config/config.ts';

export interface AppParts extends Omit<RouteParts, 'pages'> {
  /** Most bytes that pages kept ready may take. */
  cacheBytes: number;
  tls: Config['listen']['tls'];
  /** Believe forwarding headers: only behind a proxy that sets them. */
  trustProxy: boolean;
  log: Logger;
}

/** A longer request head never reaches a route; a longer URL than routes/query.ts allows does, and is told so there. */
const MAX_HEADER_BYTES = 256 * 1024;
const REQUEST_TIMEOUT_MS = 30_000;

/** The whole application; it never listens. */
export function buildApp(parts: AppParts): FastifyInstance {
  const { tls, trustProxy, log } = parts;
  const http = { maxHeaderSize: MAX_HEADER_BYTES, requestTimeout: REQUEST_TIMEOUT_MS };
  const secure =
    tls === null
      ? { http }
      : {
          https: {
            ...http,
            cert: tls.cert.reveal(),
            key: tls.key.reveal(),
            // TAXII 2.1 section 8.2.2: 1.2 must be accepted, 1.3 should be.
            minVersion: 'TLSv1.2' as const,
            ...(tls.clientCa === null
              ? {}
              : { ca: tls.clientCa.reveal(), requestCert: true, rejectUnauthorized: false }),
          },
        };
  const app = Fastify({
    ...(secure as object),
    loggerInstance: log,
    logController: new LogController({ disableRequestLogging: true }),
    trustProxy,
    return503OnClosing: true,
    forceCloseConnections: 'idle',
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 256, querystringParser: parseQuery },
    ajv: { customOptions: { removeAdditional: false, coerceTypes: false } },
    frameworkErrors: renderFrameworkError,
    clientErrorHandler: writeClientError,
  }) as unknown as FastifyInstance;
  registerRoutes(app, { ...parts, pages: createPageCache(parts.reader, parts.cacheBytes) });
  return app;
}
