import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import type { Test } from 'tap';
import { isJsonObject, type Json, type JsonObject } from '../../src/model/json.ts';
import { uuidOf } from './store.ts';
import { type Fault, misbehave } from './upstream.ts';

/**
 * A MISP on loopback: a folder with a manifest and events, and the search of attributes. When told to, it does what servers in the
 * field do instead.
 */
export interface MispOptions {
  /** The header that lets in, and what must stand in it. */
  auth?: { header: string; value: string };
  /** What stands in the manifest in place of the events' own lines. */
  manifest?: Json;
  /** Attributes in a page at most, whatever is asked for. */
  maxLimit?: number;
  /** `page` and `limit` are not looked at. */
  ignoresPage?: boolean;
  /** `page` is not looked at. */
  repeatsPage?: boolean;
}

export interface MispRequest {
  path: string;
  headers: IncomingMessage['headers'];
  body: JsonObject;
}

export interface MispServer {
  url: string;
  /** Events by uuid, as their files hold them; null: named in the manifest, and not there. */
  events: Map<string, JsonObject | null>;
  /** What the search of attributes goes through. */
  attributes: Json[];
  options: MispOptions;
  requests: MispRequest[];
  /** By path; answers every request for it while it is set. */
  faults: Map<string, Fault>;
  down: Fault | null;
  onRequest: ((request: MispRequest) => void) | null;
}

export async function startMisp(t: Test, options: MispOptions = {}): Promise<MispServer> {
  const misp: MispServer = {
    url: '',
    events: new Map(),
    attributes: [],
    options,
    requests: [],
    faults: new Map(),
    down: null,
    onRequest: null,
  };
  const server = createServer(async (message, reply) => {
    const sent = await text(message);
    const request = {
      path: new URL(message.url ?? '/', misp.url).pathname,
      headers: message.headers,
      body: sent === '' ? {} : (JSON.parse(sent) as JsonObject),
    };
    misp.requests.push(request);
    misp.onRequest?.(request);
    const fault = misp.down ?? misp.faults.get(request.path);
    if (fault !== undefined) misbehave(fault, message, reply);
    else answer(request, misp, reply);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  misp.url = `http://localhost:${(server.address() as AddressInfo).port}`;
  t.teardown(
    () =>
      new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      }),
  );
  return misp;
}

function answer({ path, headers, body }: MispRequest, misp: MispServer, reply: ServerResponse): void {
  const { auth } = misp.options;
  if (auth !== undefined && headers[auth.header] !== auth.value) {
    say(reply, 403, { name: 'Authentication failed.', message: `No such key: ${headers[auth.header]}` });
  } else if (path === '/attributes/restSearch') search(body, misp, reply);
  else if (path === '/feed/manifest.json') say(reply, 200, misp.options.manifest ?? manifestOf(misp));
  else {
    const event = misp.events.get(/^\/feed\/(.+)\.json$/.exec(path)?.[1] ?? '') ?? null;
    say(reply, event === null ? 404 : 200, event === null ? { name: 'Not found' } : { Event: event });
  }
}

function manifestOf({ events }: MispServer): JsonObject {
  const line = (event: JsonObject | null): JsonObject => {
    const {
      Orgc = {},
      Tag = [],
      info = '',
      date = '2025-11-01',
      analysis = '2',
      threat_level_id = '1',
      timestamp = '1',
    } = event ?? {};
    return { Orgc, Tag, info, date, analysis, threat_level_id, timestamp };
  };
  return Object.fromEntries([...events].map(([uuid, event]) => [uuid, line(event)]));
}

/** What MISP's own search does with these filters. */
function search(body: JsonObject, { attributes, options }: MispServer, reply: ServerResponse): void {
  const flags = (value: Json | undefined): unknown[] => (Array.isArray(value) ? value : [value]).map(Number);
  const since = Number(body['timestamp'] ?? body['publish_timestamp'] ?? 0);
  const chosen = attributes.filter((attribute) => {
    if (!isJsonObject(attribute)) return true;
    const { timestamp, to_ids: marked, deleted, Event: event } = attribute;
    const published = isJsonObject(event) ? Number(event['publish_timestamp'] ?? timestamp) : Number(timestamp);
    const time = body['publish_timestamp'] === undefined ? Number(timestamp) : published;
    if (time < since) return false;
    if (body['to_ids'] !== undefined && !flags(body['to_ids']).includes(marked === false ? 0 : 1)) return false;
    return flags(body['deleted'] ?? 0).includes(deleted === true ? 1 : 0);
  });
  const limit = Math.min(Number(body['limit'] ?? 100), options.maxLimit ?? 100_000);
  const start = options.repeatsPage ? 0 : (Number(body['page'] ?? 1) - 1) * limit;
  const page = options.ignoresPage ? chosen : chosen.slice(start, start + limit);
  // PHP writes an empty list as it comes.
  say(reply, 200, { response: page.length === 0 ? [] : { Attribute: page } });
}

function say(reply: ServerResponse, status: number, body: unknown): void {
  reply.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

/** The time of the last change of `eventOf` and `attributeOf`, in Unix seconds. */
export const CHANGED = 1_763_600_000;

/** An event with these attributes. `n` makes its uuid. */
export function eventOf(n: number, attributes: readonly Json[], over: JsonObject = {}): JsonObject {
  return {
    uuid: uuidOf(`event ${n}`),
    info: `Campaign ${n}`,
    date: '2025-11-20',
    timestamp: String(CHANGED + n),
    published: true,
    analysis: '2',
    threat_level_id: '2',
    Orgc: { name: 'Example CERT', uuid: uuidOf('org') },
    Tag: [],
    Attribute: [...attributes],
    Object: [],
    ...over,
  };
}

/** An attribute as feeds write it. `n` makes its uuid and its value. */
export function attributeOf(n: number, over: JsonObject = {}): JsonObject {
  return {
    uuid: uuidOf(`attribute ${n}`),
    type: 'domain',
    category: 'Network activity',
    value: `host-${n}.example.com`,
    to_ids: true,
    timestamp: String(CHANGED),
    comment: '',
    deleted: false,
    disable_correlation: false,
    ...over,
  };
}
