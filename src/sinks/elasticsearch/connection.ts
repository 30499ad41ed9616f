import type { Client, ClientOptions, errors } from '@elastic/elasticsearch';
import { GatewayError } from '../../model/error.ts';
import type { ElasticsearchOptions } from '../elasticsearch.ts';
import type { SinkContext } from '../sink.ts';
import { fetchAuthority } from './authority.ts';

export interface Connection {
  /** Where to, for messages. */
  where: string;
  /**
   * One request, not repeated by itself. A Buffer goes out as it is (NDJSON), an object as JSON.
   * Throws `sink-unavailable` when nobody answers or it asks to wait, `sink-refused` for credentials that it doesn't know, and
   * Answered for any other status that is no success.
   */
  send(request: ElasticRequest, signal: AbortSignal): Promise<unknown>;
  close(): Promise<void>;
}

export interface ElasticRequest {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  path: string;
  query?: Record<string, string | number | boolean>;
  body?: Buffer | object;
}

/** The cluster, or something in front of it, answered, and said no to this one request. */
export class Answered extends Error {
  readonly status: number;
  readonly retryAfter: number | undefined;
  /** Elasticsearch's own type and reason. */
  constructor(status: number, reason: string, retryAfter?: number) {
    super(reason);
    this.status = status;
    this.retryAfter = retryAfter;
  }

  /** Is nobody there who could say yes? */
  get isAway(): boolean {
    return this.status >= 502;
  }
}

/** Twenty megabytes of it, which only a process that really pushes needs: a gateway loads the kinds of sinks in every thread. */
const library = () => import('@elastic/elasticsearch');

export function connect({ options, userAgent }: SinkContext<ElasticsearchOptions>): Connection {
  const nodes = [options.node ?? []].flat();
  const where = nodes[0] === undefined ? 'the cloud deployment' : new URL(nodes[0]).host;
  let opened: Promise<Client> | null = null;
  const open = async (signal: AbortSignal): Promise<Client> => {
    const ca = await authorityOf(options, nodes, signal);
    const { Client } = await library();
    return new Client({ ...clientOptions(options, ca), headers: { 'user-agent': userAgent } });
  };
  return {
    where,
    async send({ method, path, query = {}, body }, signal) {
      signal.throwIfAborted();
      const isBulk = Buffer.isBuffer(body);
      opened ??= open(signal);
      const client = await opened.catch((error: unknown) => {
        opened = null;
        signal.throwIfAborted();
        throw error;
      });
      try {
        return await client.transport.request(
          {
            method,
            path,
            querystring: query,
            ...(body === undefined ? {} : isBulk ? { bulkBody: body as unknown as string } : { body: body as object }),
          },
          { signal, headers: headersOf(body) },
        );
      } catch (error) {
        signal.throwIfAborted();
        throw inOurWords(error, where, await library());
      }
    },
    close: async () => (await opened?.catch(() => null))?.close(),
  };
}

/** Undefined: whom the system trusts. */
async function authorityOf(
  { ca, ca_fingerprint, timeout }: ElasticsearchOptions,
  nodes: readonly string[],
  signal: AbortSignal,
): Promise<string | undefined> {
  if (ca_fingerprint === undefined) return ca?.reveal();
  const asked = nodes.map((node) => fetchAuthority(node, ca_fingerprint, { timeout, signal }));
  return Promise.any(asked).catch(({ errors: [first] }: AggregateError) => {
    throw first;
  });
}

/** The media type of version 8 is understood by clusters of version 8 and 9 alike. */
function headersOf(body: ElasticRequest['body']): Record<string, string> {
  const type = (format: string): string => `application/vnd.elasticsearch+${format}; compatible-with=8`;
  return {
    accept: type('json'),
    ...(body === undefined ? {} : { 'content-type': type(Buffer.isBuffer(body) ? 'x-ndjson' : 'json') }),
  };
}

function clientOptions(options: ElasticsearchOptions, ca: string | undefined): ClientOptions {
  const { node, cloud_id, api_key, username, password, timeout } = options;
  // Packing costs more time than a network of one's own, and less than the way to a cloud.
  const { compression = cloud_id !== undefined } = options;
  return {
    ...(cloud_id === undefined ? { nodes: [node ?? []].flat() } : { cloud: { id: cloud_id } }),
    ...(api_key === undefined ? {} : { auth: { apiKey: api_key.reveal() } }),
    ...(username === undefined ? {} : { auth: { username, password: password?.reveal() ?? '' } }),
    ...(ca === undefined ? {} : { tls: { ca } }),
    requestTimeout: timeout,
    // Repeats are the delivery's, by its clock and its checkpoint.
    maxRetries: 0,
    compression,
  };
}

/** Errors of the client hold the request, key and all: only their status and reason travel on. */
function inOurWords(error: unknown, where: string, { errors }: Awaited<ReturnType<typeof library>>): Error {
  if (error instanceof errors.ResponseError) {
    const status = error.statusCode ?? 0;
    const reason = reasonOf(error.meta.body);
    if (status === 401) return refused(`${where} does not accept the credentials.`);
    if (status === 429) return unavailable(`${where} answered 429.`, retryAfterOf(error));
    return new Answered(status, reason, retryAfterOf(error));
  }
  if (error instanceof errors.ProductNotSupportedError) return refused(`${where} is no Elasticsearch.`);
  if (error instanceof errors.TimeoutError) return unavailable(`${where} did not answer in time.`);
  if (error instanceof errors.ConnectionError || error instanceof errors.NoLivingConnectionsError) {
    return unavailable(`${where} could not be reached (${error.message.replace(/[\p{Cc}\s]+/gu, ' ').slice(0, 200)}).`);
  }
  const name = error instanceof Error ? error.name : 'unknown';
  return unavailable(`${where} could not be read (${name}).`);
}

/** What an answer means where nothing but the request as a whole can be to blame. */
export function inWords({ status, message, isAway, retryAfter }: Answered, where: string, what: string): GatewayError {
  if (isAway) return unavailable(`${where} answered ${status}.`, retryAfter);
  if (status === 403) return refused(`${where} does not allow this (403): ${message}.`);
  const hint = status === 404 ? ' Run `sluice sink setup`.' : '';
  return refused(`${where} ${what} (${status}): ${message}.${hint}`);
}

function refused(message: string): GatewayError {
  return new GatewayError('sink-refused', message);
}

function unavailable(message: string, retryAfter?: number): GatewayError {
  return new GatewayError('sink-unavailable', message, retryAfter === undefined ? {} : { retryAfter });
}

function retryAfterOf(error: InstanceType<typeof errors.ResponseError>): number | undefined {
  const value = error.meta.headers?.['retry-after'];
  return typeof value === 'string' && /^\d{1,5}$/.test(value) ? Number(value) : undefined;
}

const MAX_REASON = 500;

export function reasonOf(body: unknown): string {
  const error = (body as { error?: unknown } | null)?.error;
  const { type, reason, caused_by } = (typeof error === 'object' && error !== null ? error : {}) as Record<
    string,
    unknown
  >;
  const because = (caused_by as { reason?: unknown } | undefined)?.reason;
  const told = [type, reason, because].filter((part) => typeof part === 'string' && part !== '').join(': ');
  const text = typeof error === 'string' ? error : told || 'it gave no reason';
  return text.replace(/[\p{Cc}\s]+/gu, ' ').slice(0, MAX_REASON);
}
