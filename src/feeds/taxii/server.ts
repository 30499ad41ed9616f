import { GatewayError } from '../../model/error.ts';
import type { FeedContext, FeedResponse } from '../feed.ts';
import { authorizationOf } from '../key.ts';
import type { Options } from './options.ts';
import { noWholeJson } from './page.ts';

/** A TAXII server as one pull asks it: with the key, with a media type that the server accepts, and with its errors explained. */
export interface Server {
  /** Throws `upstream-*`. For an address that isn't there the error is one that `isMissing` recognises. */
  get(url: URL, subject: Subject): Promise<unknown>;
  /** The same for an answer whose body is read as it comes. */
  open(url: URL, subject: Subject): Promise<FeedResponse>;
  /** The spelling of the media type that was last accepted; null before any answer. */
  accept(): string | null;
  /** Text of the upstream as it may stand in a message: short, one line, without the key. */
  quote(text: string): string;
}

export interface Subject {
  /** What is asked for, as messages name it: "the collections". */
  name: string;
  weight?: number;
}

/**
 * Media types to accept, in the order in which they are tried. The first is that of TAXII 2.1 section 3.1. Some servers compare it
 * as text and know another spelling only, or send STIX or JSON.
 */
const spellings = [
  'application/taxii+json;version=2.1',
  'application/taxii+json; version=2.1',
  'application/taxii+json',
  'application/stix+json;version=2.1',
  'application/json',
  '*/*',
];

const MAX_QUOTE = 60;

/** `accept`: the spelling that the server accepted in the last pull; it is tried first. */
export function openServer({ options, fetch }: FeedContext<Options>, accept: string | null): Server {
  let accepted = accept;
  const open = async (url: URL, subject: Subject): Promise<FeedResponse> => {
    const order = new Set([...(accepted === null ? [] : [accepted]), ...spellings]);
    for (const spelling of order) {
      let status = 0;
      try {
        const response = await fetch({
          url,
          headers: { accept: spelling },
          ...authorizationOf(options),
          weight: subject.weight ?? 1,
          explain(code) {
            status = code;
            return explain(code, url.host, subject.name, options);
          },
        });
        if (response === null) throw malformed(`${url.host} answered 304 to an unconditional request`);
        await requireTaxii(response, url.host, subject.name);
        accepted = spelling;
        return response;
      } catch (error) {
        // RFC 9110 section 15.5.16: 415 is about the request's content, but some servers send it for Accept.
        if (status !== 406 && status !== 415) throw error;
      }
    }
    throw malformed(`${url.host} takes none of the media types of TAXII 2.1: does it speak another version?`);
  };
  return {
    accept: () => accepted,
    quote: (text) => quote(text, options),
    open,
    async get(url, subject) {
      const response = await open(url, subject);
      try {
        return await response.json();
      } catch (error) {
        if (!(error instanceof GatewayError) || error.code !== 'upstream-malformed') throw error;
        throw noWholeJson(url.host, subject.name);
      }
    },
  };
}

/** Is this the error for an address that isn't there? */
export function isMissing(error: unknown): boolean {
  return error instanceof GatewayError && error.details?.['status'] === '404';
}

function explain(status: number, host: string, subject: string, { key }: Options): GatewayError | null {
  if (status === 401) {
    const message =
      key === undefined
        ? `${host} wants to know who asks for ${subject}: set key, and user or header if it takes those.`
        : `${host} does not accept the key for ${subject}: is it Basic (user), Bearer, or a header of its own (header)?`;
    return new GatewayError('upstream-unauthorized', message);
  }
  if (status === 403) {
    return new GatewayError('upstream-forbidden', `${host} does not let this key, or its plan, read ${subject}.`);
  }
  if (status === 404 || status === 410) {
    return new GatewayError('upstream-failed', `${host} does not know ${subject}.`, { details: { status: '404' } });
  }
  if (status === 413) {
    return new GatewayError('upstream-too-large', `${host} does not give so much at once for ${subject} (413).`, {
      details: { status: '413' },
    });
  }
  if (status === 400 || status === 422) {
    return new GatewayError('upstream-failed', `${host} does not understand the question for ${subject} (${status}).`, {
      details: { status: String(status) },
    });
  }
  return null;
}

async function requireTaxii({ headers, body }: FeedResponse, host: string, subject: string): Promise<void> {
  const other = otherFormat(headers['content-type'] ?? '');
  if (other === null) return;
  await drop(body);
  throw malformed(`${host} answered ${other} for ${subject}`);
}

/** Describes an answer that is no TAXII 2.1, by its media type; null where it may be. */
function otherFormat(type: string): string | null {
  if (/^\s*(?:text\/html|application\/xhtml)/i.test(type)) {
    return 'a page for people (HTML): is url right, or does a proxy between ask to sign in';
  }
  if (/vnd\.oasis\.taxii|taxii\+json\s*;\s*version\s*=\s*"?2\.0/i.test(type)) return 'in TAXII 2.0, which is not read,';
  if (/^\s*(?:application|text)\/xml/i.test(type)) return 'XML, as TAXII 1 does, which is not read,';
  return null;
}

/** Closes the body of an answer without reading it. */
async function drop(body: AsyncIterable<Uint8Array>): Promise<void> {
  await body[Symbol.asyncIterator]().return?.();
}

function quote(text: string, { key }: Options): string {
  const secret = key?.reveal() ?? '';
  const safe = secret === '' ? text : text.replaceAll(secret, '[redacted]');
  const line = safe.replace(/[\p{Cc}\s]+/gu, ' ').trim();
  return (line.length > MAX_QUOTE ? `${line.slice(0, MAX_QUOTE)}…` : line).toWellFormed();
}

function malformed(message: string): GatewayError {
  return new GatewayError('upstream-malformed', `${message}.`);
}
