import { Agent, request } from 'undici';
import type { Millis } from '../model/clock.ts';
import { GatewayError } from '../model/error.ts';
import type { Secret } from '../model/secret.ts';

/** One request to a target over HTTP, with its failures in the words of sinks. Redirects are not followed: a target stands where it is said to. */
export interface Target {
  /** Host of the target, for messages. */
  where: string;
  /**
   * Throws `sink-unavailable` without an answer, for 429 and for 502 and above, and `sink-refused` for 401 and 403. Any other answer
   * is returned.
   */
  send(request: TargetRequest, signal: AbortSignal): Promise<TargetAnswer>;
  close(): Promise<void>;
}

export interface TargetRequest {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  url: URL;
  headers?: Record<string, string>;
  body?: string | Buffer;
}

export interface TargetAnswer {
  status: number;
  /** The header field, in one piece; null: there is none. */
  header(name: string): string | null;
  /** Read up to MAX_ANSWER_BYTES; what is longer is cut. */
  body: string;
}

const MAX_ANSWER_BYTES = 4 * 1024 * 1024;

export interface TargetOptions {
  url: string;
  /** PEM of who may have signed its certificate; absent: whom the system trusts. */
  ca?: Secret | undefined;
  timeout: Millis;
  /** Sent with each request. */
  headers: Record<string, string>;
}

export function openTarget({ url, ca, timeout, headers }: TargetOptions): Target {
  const where = new URL(url).host;
  const agent = new Agent({
    headersTimeout: timeout,
    bodyTimeout: timeout,
    connect: { timeout, ...(ca === undefined ? {} : { ca: ca.reveal() }) },
  });
  return {
    where,
    async send(sent, signal) {
      signal.throwIfAborted();
      const answer = await ask(agent, { ...sent, headers: { ...headers, ...sent.headers } }, signal).catch(
        (error: unknown) => {
          signal.throwIfAborted();
          throw unavailable(`${where} could not be reached (${reasonOf(error)}).`);
        },
      );
      const { status } = answer;
      if (status === 401) throw new GatewayError('sink-refused', `${where} does not accept the credentials (401).`);
      if (status === 403) throw new GatewayError('sink-refused', `${where} does not allow this (403).`);
      if (status === 429 || status >= 502) throw unavailable(`${where} answered ${status}.`, retryAfterOf(answer));
      return answer;
    },
    close: () => agent.close(),
  };
}

async function ask(
  dispatcher: Agent,
  { url, method, headers = {}, body: sent = '' }: TargetRequest,
  signal: AbortSignal,
): Promise<TargetAnswer> {
  const answer = await request(url, { dispatcher, method, headers, body: sent === '' ? null : sent, signal });
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of answer.body) {
    length += chunk.length;
    if (length > MAX_ANSWER_BYTES) break;
    chunks.push(chunk);
  }
  return {
    status: answer.statusCode,
    header(name) {
      const value = answer.headers[name];
      return value === undefined ? null : [value].flat().join(', ');
    },
    body: Buffer.concat(chunks).toString('utf8'),
  };
}

function unavailable(message: string, retryAfter?: number): GatewayError {
  return new GatewayError('sink-unavailable', message, retryAfter === undefined ? {} : { retryAfter });
}

/** RFC 9110 section 10.2.3, in seconds. Dates are passed over: the wait grows by itself. */
function retryAfterOf(answer: TargetAnswer): number | undefined {
  const value = answer.header('retry-after');
  return value !== null && /^\d{1,5}$/.test(value) ? Number(value) : undefined;
}

/** The code of a failed connection; errors may hold the address with its credentials, so no more is told. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown';
  const { code } = error as Error & { code?: unknown };
  return typeof code === 'string' ? code : error.name;
}

const MAX_QUOTE = 300;

/** Text of a target as it may stand in a message: short, and in one line. */
export function quote(text: string): string {
  return text
    .replace(/[\p{Cc}\p{Cf}\s]+/gu, ' ')
    .trim()
    .slice(0, MAX_QUOTE);
}
