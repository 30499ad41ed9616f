import type { FastifyInstance, FastifyRequest } from 'fastify';
import { GatewayError } from '../../src/model/error.ts';
import type { RouteContext } from '../parts.ts';
import { tellRate } from '../v1/rest.ts';

/**
 * Makes a scope answer operators only. Readers get `forbidden` (403), and so does a request that a page of another site has a browser
 * send. No answer may be stored.
 */
export function requireOperator(scope: FastifyInstance, context: RouteContext): void {
  scope.addHook('onRequest', (_request, reply, done) => {
    reply.header('cache-control', 'no-store');
    done();
  });
  tellRate(scope, context);
  // After the request was counted on the client's rate.
  scope.addHook('preValidation', async (request) => {
    // Which methods a path has stands in openapi.json.
    if (request.method === 'OPTIONS') return;
    try {
      if (request.client.role !== 'operator') throw new GatewayError('forbidden', 'Only operators may call this.');
      refuseOtherSites(request);
    } catch (error) {
      audit(request, 'forbidden');
      throw error;
    }
  });
}

/**
 * A browser sends a stored password or certificate with every request, whichever page makes it. It says by Sec-Fetch-Site (W3C Fetch
 * Metadata), or by Origin alone where the connection is not secure, that a page made the request; programs send neither.
 */
function refuseOtherSites({ headers }: FastifyRequest): void {
  const site = headers['sec-fetch-site'] ?? (headers.origin === undefined ? 'none' : 'cross-site');
  if (site !== 'same-origin' && site !== 'none') {
    throw new GatewayError('forbidden', 'A page of another site may not call this.');
  }
}

/** Logs what a client asked of the control routes and how it ended: a word of the report, or the code of an error. */
export function audit(request: FastifyRequest, outcome: string): void {
  const { client, method, params, log } = request;
  const operation = request.routeOptions.schema?.operationId ?? null;
  log.info(
    { client: client.name, operation, method, ...(params as Record<string, string>), outcome },
    `control: ${operation ?? method} by ${client.name}: ${outcome}`,
  );
}
