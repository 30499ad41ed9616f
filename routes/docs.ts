import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance } from 'fastify';
import { answerOtherMethods } from './methods.ts';

/** Everything comes from this server; the page's script sets inline styles. */
const POLICY =
  "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'";

/** The OpenAPI document as a page, and as /docs/json and /docs/yaml. A browser signs in by Basic authentication. */
export async function addDocs(scope: FastifyInstance): Promise<void> {
  // The page refers to its files by relative paths.
  scope.addHook('onRequest', async ({ url, method }, reply) => {
    const isRead = method === 'GET' || method === 'HEAD';
    if (isRead && url.split('?')[0] === scope.prefix) return reply.redirect(`${scope.prefix}/`, 308);
  });
  const paths = new Set<string>();
  scope.addHook('onRoute', ({ method, url }) => {
    if (method === 'GET') paths.add(url.slice(scope.prefix.length));
  });
  await scope.register(swaggerUi, {
    routePrefix: '/',
    // The browser asks for the key. Nothing is stored, and no external validator is called.
    uiConfig: { persistAuthorization: false, validatorUrl: null, docExpansion: 'list' },
    staticCSP: POLICY,
  });
  for (const path of paths) answerOtherMethods(scope, path, ['GET', 'HEAD']);
}
