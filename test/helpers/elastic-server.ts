import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';
import type { Test } from 'tap';

/**
 * As much of Elasticsearch as delivery touches, in memory: bulk with external versions and remembered deletes, a point in time,
 * a search by collection. Real nodes have the last word (test/sinks/elasticsearch.test.ts); this one fails when told to.
 */
export type ElasticFault =
  | { status: number; headers?: Record<string, string>; body?: unknown }
  /** The connection is cut before it is read: nothing was done. */
  | 'drop'
  /** All is done, and the answer never comes. */
  | 'reset'
  /** All is done, and half of the answer comes. */
  | 'half'
  /** Nothing is answered until the test ends. */
  | 'slow';

export interface BulkOperation {
  action: 'index' | 'create' | 'delete';
  index: string;
  id: string;
  version: number | null;
  source: any;
}

export interface ElasticServer {
  url: string;
  /** By index and id, as `INDEX ID`. */
  documents: Map<string, { version: number; source: any }>;
  requests: { method: string; path: string; query: URLSearchParams; headers: IncomingMessage['headers']; body: any }[];
  /** One each for the next bulk requests. */
  faults: ElasticFault[];
  /** Answers every request while it is set. */
  down: ElasticFault | null;
  /** Refuses single operations. */
  refuse: ((operation: BulkOperation) => { status: number; type: string; reason: string } | null) | null;
  /** Larger bulk bodies are answered with 413. */
  maxBytes: number;
  /** Answers bulk bodies that hold such a text, as something in front of a cluster does that reads along. */
  poison: { text: string; fault: ElasticFault } | null;
  /** Values of the live documents of a collection, sorted. */
  live(collection?: string): string[];
}

/** `tls`: PEM texts of the certificate that it shows. */
export async function startElasticServer(t: Test, tls?: { cert: string; key: string }): Promise<ElasticServer> {
  const gone = new Map<string, number>();
  const state: ElasticServer = {
    url: '',
    documents: new Map(),
    requests: [],
    faults: [],
    down: null,
    refuse: null,
    maxBytes: 100_000_000,
    poison: null,
    live: (collection) =>
      [...state.documents.values()]
        .filter(({ source }) => collection === undefined || source.sluice.collection === collection)
        .map(({ source }) => source.threat.indicator.name as string)
        .sort(),
  };

  const operate = (operation: BulkOperation): { status: number; error?: object } => {
    const refused = state.refuse?.(operation);
    if (refused) return { status: refused.status, error: { type: refused.type, reason: refused.reason } };
    const name = `${operation.index} ${operation.id}`;
    const known = state.documents.get(name);
    const conflict = { status: 409, error: { type: 'version_conflict_engine_exception', reason: 'newer' } };
    if (operation.action === 'create') {
      if (known !== undefined) return conflict;
      state.documents.set(name, { version: 1, source: operation.source });
      return { status: 201 };
    }
    const standing = known?.version ?? gone.get(name) ?? -1;
    const version = operation.version ?? standing + 1;
    const isGte = operation.source === 'gte' || operation.source?.gte === true;
    if (isGte ? version < standing : version <= standing) return conflict;
    if (operation.action === 'delete') {
      gone.set(name, version);
      return { status: state.documents.delete(name) ? 200 : 404 };
    }
    state.documents.set(name, { version, source: operation.source.document });
    return { status: known === undefined ? 201 : 200 };
  };

  const bulk = (path: string, body: string): object => {
    const lines = body.split('\n').filter((line) => line !== '');
    const items: object[] = [];
    const ids = new Set<string>();
    for (let i = 0; i < lines.length; i += 1) {
      const [[action, meta]] = Object.entries<any>(JSON.parse(lines[i] as string)) as [[BulkOperation['action'], any]];
      const gte = meta.version_type === 'external_gte';
      if (action !== 'delete') i += 1;
      const document = action === 'delete' ? null : JSON.parse(lines[i] as string);
      const source = action === 'create' ? document : { gte, document };
      // A real one takes that, in an order of its own where it is repeated: nobody who pushes may rely on it.
      if (ids.has(meta._id)) t.fail(`two operations on ${meta._id} in one bulk`);
      ids.add(meta._id);
      const index = meta._index ?? path;
      items.push({
        [action]: operate({ action, index, id: meta._id, version: meta.version ?? null, source }),
      });
    }
    return { items };
  };

  const search = ({ query, size, search_after }: any): object => {
    const collection = query.bool.filter[0].term['sluice.collection'];
    const all = [...state.documents].filter(([, { source }]) => source.sluice.collection === collection);
    const from = search_after === undefined ? 0 : all.findIndex(([name]) => name > search_after[0]);
    const sorted = all.sort(([a], [b]) => (a < b ? -1 : 1)).filter(([name]) => !search_after || name > search_after[0]);
    return {
      hits: {
        hits: (from < 0 ? [] : sorted.slice(0, size)).map(([name, { version, source }]) => {
          const [_index, _id] = name.split(' ');
          return { _index, _id, _version: version, fields: { 'stix.id': [source.stix.id] }, sort: [name] };
        }),
      },
    };
  };

  const serve = (request: IncomingMessage, response: ServerResponse): void => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => {
      const raw = Buffer.concat(chunks);
      const text = (request.headers['content-encoding'] === 'gzip' ? gunzipSync(raw) : raw).toString();
      const { pathname: path, searchParams: query } = new URL(request.url ?? '/', state.url);
      const isBulk = path.endsWith('_bulk');
      const body = isBulk || text === '' ? text : JSON.parse(text);
      state.requests.push({ method: request.method ?? '', path, query, headers: request.headers, body });
      const poison =
        isBulk && state.poison !== null && text.includes(state.poison.text) ? state.poison.fault : undefined;
      const fault = state.down ?? poison ?? (isBulk ? state.faults.shift() : undefined);
      if (fault === 'slow') return;
      if (fault === 'drop') return void request.socket.destroy();
      if (typeof fault === 'object') return answer(response, fault.status, fault.body ?? {}, fault.headers);
      if (isBulk && Buffer.byteLength(text) > state.maxBytes) return answer(response, 413, {});
      const reply = isBulk
        ? bulk(path.split('/')[1] ?? '', text)
        : path.endsWith('_search')
          ? search(body)
          : path.endsWith('_pit') && request.method === 'POST'
            ? { id: 'pit' }
            : path.endsWith('_count')
              ? { count: state.live(body.query.bool.filter[0].term['sluice.collection']).length }
              : path.endsWith('_mget')
                ? {
                    docs: body.ids.map((id: string) => ({ found: state.documents.has(`${path.split('/')[1]} ${id}`) })),
                  }
                : { acknowledged: true };
      if (fault === 'reset') return void request.socket.destroy();
      if (fault === 'half') {
        const whole = JSON.stringify(reply);
        response.writeHead(200, { ...headers, 'content-length': whole.length });
        response.write(whole.slice(0, whole.length / 2), () => request.socket.destroy());
        return;
      }
      answer(response, 200, reply);
    });
  };
  const server = tls === undefined ? createServer(serve) : createSecureServer(tls, serve);
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  state.url = `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${(server.address() as AddressInfo).port}`;
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return state;
}

const headers = {
  'x-elastic-product': 'Elasticsearch',
  'content-type': 'application/vnd.elasticsearch+json;compatible-with=8',
};

function answer(response: ServerResponse, status: number, body: unknown, more: Record<string, string> = {}): void {
  response.writeHead(status, { ...headers, ...more });
  response.end(JSON.stringify(body));
}
