import { type Clock, MICROS_PER_MS, type Millis } from '../../model/clock.ts';
import { GatewayError } from '../../model/error.ts';
import { isJsonObject, type JsonObject } from '../../model/json.ts';
import { type Batch, MOST_BYTES } from '../batches.ts';
import { quote, type Target, type TargetAnswer } from '../request.ts';
import { PushRejected } from '../sink.ts';

/** A writable collection of a TAXII 2.1 server. */
export interface Writable {
  /** The longest request that the server takes (section 4.2.1, `max_content_length`). Throws as `Sink.push`. */
  maxBytes(signal: AbortSignal): Promise<number>;
  /** Posts an envelope and returns the objects that the server refused, with its reasons, by id. Throws as `Sink.push`. */
  add(envelope: Batch, signal: AbortSignal): Promise<ReadonlyMap<string, string>>;
}

export interface WritableParts {
  url: string;
  collection: string;
  status_wait: Millis;
  target: Target;
  clock: Clock;
}

/** TAXII 2.1 section 3.1. */
const MEDIA_TYPE = 'application/taxii+json;version=2.1';
/** The text of an envelope around its objects (section 3.7). */
const [OPENING, CLOSING] = ['{"objects":[', ']}'] as const;
export const FRAME_BYTES = OPENING.length + CLOSING.length;
const FIRST_LOOK: Millis = 200;
const LONGEST_LOOK: Millis = 5000;

export function openWritable({ url, collection, status_wait, target, clock }: WritableParts): Writable {
  const root = new URL(url.endsWith('/') ? url : `${url}/`);
  const objects = new URL(`collections/${encodeURIComponent(collection)}/objects/`, root);
  const { where } = target;
  let known: number | null = null;

  /** What became of the request, once the server has dealt with it (section 4.3.1). */
  const waitFor = async (first: JsonObject, signal: AbortSignal): Promise<JsonObject> => {
    let status = first;
    let wait = FIRST_LOOK;
    const end = clock.now() + status_wait * MICROS_PER_MS;
    while (status['status'] === 'pending') {
      const { id } = status;
      if (typeof id !== 'string') return status;
      if (clock.now() >= end) throw unavailable(`${where} has not dealt with a request for ${status_wait / 1000} s.`);
      await clock.sleep(wait, signal);
      wait = Math.min(LONGEST_LOOK, wait * 2);
      const address = new URL(`status/${encodeURIComponent(id)}/`, root);
      const answer = await target.send({ method: 'GET', url: address, headers: { accept: MEDIA_TYPE } }, signal);
      // A server without this resource has accepted the request all the same.
      if (answer.status === 404) return status;
      status = bodyOf(answer, where);
    }
    return status;
  };

  return {
    async maxBytes(signal) {
      if (known !== null) return known;
      const answer = await target.send({ method: 'GET', url: root, headers: { accept: MEDIA_TYPE } }, signal);
      if (answer.status !== 200)
        throw refused(`${where} answers ${answer.status} at ${root.pathname}: is it an API root?`);
      const most = bodyOf(answer, where)['max_content_length'];
      known = typeof most === 'number' && most > 0 ? Math.min(most, MOST_BYTES) : MOST_BYTES;
      return known;
    },
    async add(envelope, signal) {
      const headers = { accept: MEDIA_TYPE, 'content-type': MEDIA_TYPE };
      const body = `${OPENING}${envelope.objects.join(',')}${CLOSING}`;
      const answer = await target.send({ method: 'POST', url: objects, headers, body }, signal);
      if (answer.status === 202) return failuresOf(await waitFor(bodyOf(answer, where), signal));
      const said = quote(titleOf(answer));
      if (answer.status === 404) throw refused(`${where} has no writable collection ${collection} (404): ${said}`);
      if (answer.status === 413) known = Math.max(1, Math.floor(body.length / 2));
      throw new PushRejected('sink-refused', `${where} answered ${answer.status}: ${said}`);
    },
  };
}

function bodyOf({ body }: TargetAnswer, where: string): JsonObject {
  try {
    const parsed: unknown = JSON.parse(body);
    if (isJsonObject(parsed)) return parsed;
  } catch {
    // The same as any other text that is no object.
  }
  throw refused(`${where} does not answer as a TAXII 2.1 server: ${quote(body)}`);
}

/** The title of a TAXII error message (section 3.6.1), else the text as it came. */
function titleOf({ body }: TargetAnswer): string {
  try {
    const parsed: unknown = JSON.parse(body);
    if (isJsonObject(parsed))
      return [parsed['title'], parsed['description']].filter((text) => typeof text === 'string').join(': ');
  } catch {
    // No JSON.
  }
  return body;
}

function failuresOf({ failures }: JsonObject): ReadonlyMap<string, string> {
  const reasons = new Map<string, string>();
  for (const failure of Array.isArray(failures) ? failures : []) {
    if (!isJsonObject(failure)) continue;
    const { id, message } = failure;
    if (typeof id === 'string') reasons.set(id, quote(typeof message === 'string' ? message : 'it gave no reason'));
  }
  return reasons;
}

function refused(message: string): GatewayError {
  return new GatewayError('sink-refused', message);
}

function unavailable(message: string): GatewayError {
  return new GatewayError('sink-unavailable', message);
}
