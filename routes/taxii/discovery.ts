import type { FastifyInstance } from 'fastify';
import { addResource } from '../methods.ts';
import type { RouteContext } from '../parts.ts';
import { negotiate } from './negotiation.ts';
import { sendResource } from './resource.ts';
import { discoverySchema, taxiiOperation } from './schemas.ts';

/** TAXII 2.1 section 4.1. */
export function addDiscovery(scope: FastifyInstance, { taxii }: RouteContext, operationId: string): void {
  const { title, description, contact, apiRoots } = taxii;
  const discovery = {
    title,
    ...(description === null ? {} : { description }),
    ...(contact === null ? {} : { contact }),
    ...(apiRoots[0] === undefined ? {} : { default: apiRoots[0].path, api_roots: apiRoots.map(({ path }) => path) }),
  };
  addResource(scope, '/', {
    GET: taxiiOperation(
      { operationId, summary: 'Discovery: where the api roots are (4.1)', reply: discoverySchema },
      async (request, reply) => {
        negotiate(request, false);
        return sendResource(reply, discovery);
      },
    ),
  });
}
