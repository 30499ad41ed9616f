import { Client, type ClientOptions, errors } from '@elastic/elasticsearch';
import { GatewayError } from '../../model/error.ts';
import type { ElasticsearchOptions } from '../elasticsearch.ts';
import type { SinkContext } from '../sink.ts';

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

export function connect({ options, userAgent }: SinkContext<ElasticsearchOptions>): Connection {
  const client = new Client({ ...clientOptions(options), headers: { 'user-agent': userAgent } });
  const nodes = [options.node ?? []].flat();
  const where = nodes[0] === undefined ? 'the cloud deployment' : new URL(nodes[0]).host;
  return {
    where,
    async send({ method, path, query = {}, body }, signal) {
      const isBulk = Buffer.isBuffer(body);
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
        throw inOurWords(error, where);
      }
    },
    close: () => client.close(),
  };
}

/** The media type of version 8 is understood by clusters of version 8 and 9 alike. */
function headersOf(body: ElasticRequest['body']): Record<string, string> {
  const type = (format: string): string => `application/vnd.elasticsearch+${format}; compatible-with=8`;
  return {
    accept: type('json'),
    ...(body === undefined ? {} : { 'content-type': type(Buffer.isBuffer(body) ? 'x-ndjson' : 'json') }),
  };
}

function clientOptions(options: ElasticsearchOptions): ClientOptions {
  const { node, cloud_id, api_key, username, password, ca, ca_fingerprint, timeout } = options;
  // Packing costs more time than a network of one's own, and less than the way to a cloud.
  const { compression = cloud_id !== undefined } = options;
  return {
    ...(cloud_id === undefined ? { nodes: [node ?? []].flat() } : { cloud: { id: cloud_id } }),
    ...(api_key === undefined ? {} : { auth: { apiKey: api_key.reveal() } }),
    ...(username === undefined ? {} : { auth: { username, password: password?.reveal() ?? '' } }),
    ...(ca === undefined ? {} : { tls: { ca: ca.reveal() } }),
    ...(ca_fingerprint === undefined ? {} : { caFingerprint: colons(ca_fingerprint) }),
    requestTimeout: timeout,
    // Repeats are the delivery's, by its clock and its checkpoint.
    maxRetries: 0,
    compression,
  };
}

function colons(fingerprint: string): string {
  return (fingerprint.replaceAll(':', '').toUpperCase().match(/../g) ?? []).join(':');
}

/** Errors of the client hold the request, key and all: only their status and reason travel on. */
function inOurWords(error: unknown, where: string): Error {
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
    const { code } = (error.cause ?? error) as { code?: unknown };
    return unavailable(`${where} could not be reached${typeof code === 'string' ? ` (${code})` : ''}.`);
  }
  const name = error instanceof Error ? error.name : 'unknown';
  return unavailable(`${where} could not be read (${name}).`);
}

/** What an answer means where nothing but the request as a whole can be to blame. */
export function inWords({ status, message, isAway, retryAfter }: Answered, where: string, what: string): GatewayError {
  if (isAway) return unavailable(`${where} answered ${status}.`, retryAfter);
  if (status === 403) return refused(`${where} does not allow this (403): ${message}.`);
  return refused(`${where} ${what} (${status}): ${message}.`);
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
