import type { Client, ClientOptions, errors } from '@elastic/elasticsearch';
import { GatewayError } from '../../model/error.ts';
import { isJsonObject, type JsonObject } from '../../model/json.ts';
import type { SinkContext } from '../sink.ts';
import { fetchAuthority } from './authority.ts';
import type { ElasticsearchOptions } from './options.ts';

/** A cluster, by way of its own client library. */
export interface Connection {
  /** Host of the cluster, for messages. */
  where: string;
  /**
   * Sends one request and returns the body of the response. It is not retried here. A Buffer is sent as it is (NDJSON), an object
   * as JSON. Throws `sink-unavailable` when there is no response or it is 429, `sink-refused` for 401, and ErrorResponse for any
   * other status of 400 and above.
   */
  send(request: ElasticRequest, signal: AbortSignal): Promise<JsonObject>;
  close(): Promise<void>;
}

export interface ElasticRequest {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  path: string;
  query?: Record<string, string | number | boolean>;
  body?: Buffer | object;
}

/** The cluster, or a proxy in front of it, answered with an error status. The message is Elasticsearch's type and reason. */
export class ErrorResponse extends Error {
  readonly status: number;
  readonly retryAfter: number | undefined;
  /** `retryAfter` in seconds. */
  constructor(status: number, reason: string, retryAfter?: number) {
    super(reason);
    this.status = status;
    this.retryAfter = retryAfter;
  }

  /** A gateway answered because the cluster did not (502 and above). */
  get isAway(): boolean {
    return this.status >= 502;
  }
}

/** Imported when it is first used: it takes 20 MB, and every thread of a gateway imports the kinds of sinks. */
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
            ...(body === undefined ? {} : Buffer.isBuffer(body) ? { bulkBody: body } : { body }),
          },
          { signal, headers: headersOf(body) },
        );
      } catch (error) {
        signal.throwIfAborted();
        throw errorOf(error, where, await library());
      }
    },
    close: async () => (await opened?.catch(() => null))?.close(),
  };
}

/** PEM of the authority that has to have signed the certificate; undefined: those that the system trusts. */
async function authorityOf(
  { ca, ca_fingerprint, timeout }: ElasticsearchOptions,
  nodes: readonly string[],
  signal: AbortSignal,
): Promise<string | undefined> {
  if (ca_fingerprint === undefined) return ca?.reveal();
  const fetches = nodes.map((node) => fetchAuthority(node, ca_fingerprint, { timeout, signal }));
  return Promise.any(fetches).catch(({ errors: [first] }: AggregateError) => {
    throw first;
  });
}

/** Clusters of version 8 and of version 9 understand the media type of version 8. */
function headersOf(body: ElasticRequest['body']): Record<string, string> {
  const type = (format: string): string => `application/vnd.elasticsearch+${format}; compatible-with=8`;
  return {
    accept: type('json'),
    ...(body === undefined ? {} : { 'content-type': type(Buffer.isBuffer(body) ? 'x-ndjson' : 'json') }),
  };
}

function clientOptions(options: ElasticsearchOptions, ca: string | undefined): ClientOptions {
  const { node, cloud_id, api_key, username, password, timeout } = options;
  // Compression takes longer than a fast network saves; on the way to a cloud it pays.
  const { compression = cloud_id !== undefined } = options;
  return {
    ...(cloud_id === undefined ? { nodes: [node ?? []].flat() } : { cloud: { id: cloud_id } }),
    ...(api_key === undefined ? {} : { auth: { apiKey: api_key.reveal() } }),
    ...(username === undefined ? {} : { auth: { username, password: password?.reveal() ?? '' } }),
    ...(ca === undefined ? {} : { tls: { ca } }),
    requestTimeout: timeout,
    // Delivery retries, by its own clock and checkpoint.
    maxRetries: 0,
    compression,
  };
}

/** Errors of the client library hold the request with its credentials, so only status and reason are kept. */
function errorOf(error: unknown, where: string, { errors }: Awaited<ReturnType<typeof library>>): Error {
  if (error instanceof errors.ResponseError) {
    const status = error.statusCode ?? 0;
    const reason = reasonOf(error.meta.body);
    if (status === 401) return refused(`${where} does not accept the credentials.`);
    if (status === 429) return unavailable(`${where} answered 429.`, retryAfterOf(error));
    return new ErrorResponse(status, reason, retryAfterOf(error));
  }
  if (error instanceof errors.ProductNotSupportedError) return refused(`${where} is no Elasticsearch.`);
  if (error instanceof errors.TimeoutError) return unavailable(`${where} did not answer in time.`);
  if (error instanceof errors.ConnectionError || error instanceof errors.NoLivingConnectionsError) {
    return unavailable(`${where} could not be reached (${error.message.replace(/[\p{Cc}\s]+/gu, ' ').slice(0, 200)}).`);
  }
  const name = error instanceof Error ? error.name : 'unknown';
  return unavailable(`${where} could not be read (${name}).`);
}

/** An error status as `sink-unavailable` (502 and above) or `sink-refused`. `what`: what the cluster refused, for the message. */
export function toGatewayError(
  { status, message, isAway, retryAfter }: ErrorResponse,
  where: string,
  what: string,
): GatewayError {
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

/** Type, reason and cause of an error response in one line; a fixed text where it has none. */
export function reasonOf(body: unknown): string {
  const error = isJsonObject(body) ? body['error'] : undefined;
  if (typeof error === 'string') return oneLine(error);
  const { type, reason, caused_by } = isJsonObject(error) ? error : {};
  const cause = isJsonObject(caused_by) ? caused_by['reason'] : undefined;
  const parts = [type, reason, cause].filter((part) => typeof part === 'string' && part !== '');
  return oneLine(parts.join(': ') || 'it gave no reason');
}

function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\s]+/gu, ' ').slice(0, MAX_REASON);
}
