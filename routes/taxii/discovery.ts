import type { Operation } from '../methods.ts';
import type { RouteContext } from '../parts.ts';
import { negotiate } from './negotiation.ts';
import { originOf } from './origin.ts';
import { sendResource } from './resource.ts';
import { discoverySchema, taxiiOperation } from './schemas.ts';

/**
 * TAXII 2.1 section 4.1. API roots are absolute URLs, because cytaxii2 uses them as they are; paths, which the section allows too, where the
 * public address is not known.
 */
export function getDiscovery(parts: RouteContext): Operation {
  const { title, description, contact, apiRoots } = parts.taxii;
  const about = {
    title,
    ...(description === null ? {} : { description }),
    ...(contact === null ? {} : { contact }),
  };
  return taxiiOperation(
    { operationId: 'getDiscovery', summary: 'Discovery: where the api roots are (4.1)', reply: discoverySchema },
    async (request, reply) => {
      negotiate(request, false);
      const urls = apiRoots.map(({ path }) => (originOf(request, parts) ?? '') + path);
      return sendResource(reply, urls.length === 0 ? about : { ...about, default: urls[0], api_roots: urls });
    },
  );
}
