import type { TaxiiDefinition } from '../src/model/definition.ts';
import { readAssets } from './assets.ts';
import {
  explainValue,
  getControlStatus,
  getFailedEntries,
  getRejections,
  pollFeed,
  retrySink,
} from './control/operations.ts';
import { endVerdicts, giveVerdict, listVerdicts } from './control/verdicts.ts';
import { addDocs } from './docs.ts';
import { getHealth, getReadiness } from './health.ts';
import { getList, getListByToken } from './lists/list.ts';
import { getLists } from './lists/lists.ts';
import { getMetrics } from './metrics.ts';
import type { RouteParts } from './parts.ts';
import type { RouteScope } from './route-scope.ts';
import {
  getApiRoot,
  getCollection,
  getCollections,
  getManifest,
  getObject,
  getObjects,
  getVersions,
} from './taxii/api-root.ts';
import { addObjects, deleteObject, getStatus, readEnvelopes } from './taxii/contributions.ts';
import { getDiscovery } from './taxii/discovery.ts';
import { addIocs } from './v1/contribute.ts';
import { explainIoc } from './v1/explain.ts';
import { getFeeds } from './v1/feeds.ts';
import { getIocs } from './v1/iocs.ts';
import { lookupIoc, lookupIocs } from './v1/lookup.ts';
import { prepareRest, readJsonBodies } from './v1/rest.ts';
import { getStix, postStix } from './v1/stix.ts';

const home = readAssets('home', '/assets');

/**
 * Every route there is: prefix, who may call, method, path. GET answers HEAD as well, every path answers OPTIONS, and any other method is
 * 405. A test holds this table against the router (test/routes/table.test.ts).
 */
export function routeTable({ taxii, metrics }: Pick<RouteParts, 'taxii' | 'metrics'>): RouteScope[] {
  return [
    { prefix: '/taxii2', access: 'clients', protocol: 'taxii', routes: { 'GET /': getDiscovery } },
    {
      prefix: '/api/taxii2',
      access: 'clients',
      protocol: 'taxii',
      idSuffix: 'UnderApi',
      routes: { 'GET /': getDiscovery },
    },
    ...taxii.apiRoots.map(apiRootScope),
    {
      prefix: '/api/v1',
      access: 'clients',
      protocol: 'rest',
      prepare: prepareRest,
      routes: {
        'GET /iocs': getIocs,
        'POST /iocs': addIocs,
        'GET /iocs/stix': getStix,
        'POST /iocs/stix': postStix,
        'GET /lookup': lookupIoc,
        'POST /lookup': lookupIocs,
        'GET /explain': explainIoc,
        'GET /feeds': getFeeds,
      },
    },
    {
      prefix: '/lists',
      access: 'clients',
      protocol: 'rest',
      routes: { 'GET /': getLists, 'GET /:list': getList, 'GET /t/:token/:list': getListByToken },
    },
    {
      prefix: '/api/v1/lists',
      access: 'clients',
      protocol: 'rest',
      idSuffix: 'UnderApi',
      routes: { 'GET /': getLists, 'GET /:list': getList },
    },
    {
      prefix: '/api/v1/control',
      access: 'operators',
      protocol: 'rest',
      isAlwaysServed: true,
      routes: {
        'GET /status': getControlStatus,
        'GET /explain': explainValue,
        'POST /feeds/:feed/poll': pollFeed,
        'GET /feeds/:feed/rejections': getRejections,
        'GET /sinks/:sink/failed': getFailedEntries,
        'POST /sinks/:sink/retry': retrySink,
      },
    },
    {
      // By themselves, for these have bodies.
      prefix: '/api/v1/control/verdicts',
      access: 'operators',
      protocol: 'rest',
      isAlwaysServed: true,
      prepare: readJsonBodies,
      routes: { 'POST /': giveVerdict, 'GET /': listVerdicts, 'DELETE /': endVerdicts },
    },
    {
      prefix: '/docs',
      access: 'clients',
      protocol: 'rest',
      prepare: addDocs,
      routes: {
        'GET /': 'prepared',
        'GET /json': 'prepared',
        'GET /yaml': 'prepared',
        'GET /static/index.html': 'prepared',
        'GET /static/swagger-initializer.js': 'prepared',
        'GET /static/*': 'prepared',
      },
    },
    {
      prefix: '/metrics',
      access: metrics.access === 'anyone' ? 'anyone' : 'clients',
      protocol: 'rest',
      isAlwaysServed: true,
      routes: { 'GET /': getMetrics },
    },
    {
      prefix: '',
      access: 'anyone',
      protocol: 'rest',
      routes: {
        'GET /': () => home.page('index.html'),
        'GET /assets/:hash/:file': home.files,
        'GET /healthz': getHealth,
        'GET /readyz': getReadiness,
      },
    },
  ];
}

/** TAXII 2.1 section 1.5: the endpoints of one api root. */
function apiRootScope(root: TaxiiDefinition['apiRoots'][number], index: number): RouteScope {
  return {
    prefix: root.path.slice(0, -1),
    access: 'clients',
    protocol: 'taxii',
    // Operations of the first root have the plain names.
    ...(index === 0 ? {} : { idSuffix: String(index + 1) }),
    prepare: readEnvelopes,
    routes: {
      'GET /': getApiRoot(root),
      'GET /status/:status': getStatus,
      'GET /collections': getCollections,
      'GET /collections/:collection': getCollection,
      'GET /collections/:collection/manifest': getManifest,
      'GET /collections/:collection/objects': getObjects,
      'POST /collections/:collection/objects': addObjects,
      'GET /collections/:collection/objects/:object': getObject,
      'DELETE /collections/:collection/objects/:object': deleteObject,
      'GET /collections/:collection/objects/:object/versions': getVersions,
    },
  };
}
