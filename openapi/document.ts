import Fastify from 'fastify';
import { Registry } from 'prom-client';
import type { RouteParts } from '../routes/parts.ts';
import { registerRoutes } from '../routes/register.ts';
import { controlThrough } from '../src/control/verbs.ts';
import { systemClock } from '../src/model/clock.ts';
import { version } from '../src/version.ts';

/** The document as a gateway with the example configuration's one api root has it. No route is called. */
export async function makeDocument(): Promise<string> {
  const app = Fastify({ routerOptions: { ignoreTrailingSlash: true } });
  const parts: RouteParts = {
    clock: systemClock,
    reader: { accounts: async () => [] } as unknown as RouteParts['reader'],
    unreadyReason: () => null,
    pressure: { eventLoopDelay: 0, heapBytes: 0 },
    isClosing: () => false,
    isOverLimit: () => false,
    pages: {} as RouteParts['pages'],
    inFlight: {} as RouteParts['inFlight'],
    metrics: { register: new Registry(), access: 'anyone' },
    allowances: async () => [],
    clients: { generation: 0, find: () => null, findByCertificate: () => null },
    lists: { named: [], builds: {} as RouteParts['lists']['builds'] },
    collections: [],
    taxii: {
      title: 'Sluice',
      description: null,
      contact: null,
      apiRoots: [{ path: '/api/taxii2/api/', title: 'Threat intelligence', description: null }],
      pageSize: 1000,
      maxPage: 5000,
    },
    publicUrl: null,
    trustProxy: false,
    identityId: '',
    cursorSecret: '',
    feeds: [],
    readAsked: (ioc) => ({ ioc, observable: null, unreadable: null, exact: [], networks: [] }),
    version,
    control: controlThrough(async () => undefined),
    contributions: {} as RouteParts['contributions'],
    refreshOnRead: () => undefined,
  };
  registerRoutes(app, parts);
  await app.ready();
  const document = `${JSON.stringify(app.swagger(), null, 2)}\n`;
  await app.close();
  return document;
}
