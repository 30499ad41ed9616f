import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance } from 'fastify';
import { answerOtherMethods } from './methods.ts';

/** Nothing from elsewhere; the page sets styles of its own as it runs. */
const POLICY =
  "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'";

/** The document for people, and as /docs/json and /docs/yaml. A browser signs in by Basic like every other client. */
export async function addDocs(scope: FastifyInstance): Promise<void> {
  // The page names its parts relative to itself.
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
    // The key is asked for by the browser; nothing is stored, and no validator elsewhere is told of the document.
    uiConfig: { persistAuthorization: false, validatorUrl: null, docExpansion: 'list' },
    staticCSP: POLICY,
  });
  for (const path of paths) answerOtherMethods(scope, path, ['GET', 'HEAD']);
}
