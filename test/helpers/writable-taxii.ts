import type { Test } from 'tap';
import { serve } from './scripted-server.ts';

/** What a scripted server is to do with what it is sent. */
export interface WritableFaults {
  /** Every connection ends without an answer. */
  isAway?: boolean;
  /** Answers this instead of taking a request. */
  status?: number;
  /** Requests stay pending for so many looks at their status. */
  looks?: number;
  /** It has no status resource. */
  hasNoStatus?: boolean;
  /** Reasons by id for objects that it does not take. */
  refuses?: Record<string, string>;
  /** `max_content_length` of its API root. */
  maxBytes?: number;
}

/** A TAXII 2.1 server with one writable collection, `drop`. It keeps each version of each object once. */
export async function startWritableTaxii(t: Test, faults: WritableFaults = {}) {
  const held = new Map<string, any>();
  const pending = new Map<string, { looks: number; status: any }>();
  const { url, requests } = await serve(t, ({ message, body }, response) => {
    if (faults.isAway) return void message.socket.destroy();
    const answer = (status: number, value: unknown): void => {
      response.writeHead(status, {
        'content-type': 'application/taxii+json;version=2.1',
        ...(status === 429 ? { 'retry-after': '7' } : {}),
      });
      response.end(JSON.stringify(value));
    };
    if (faults.status !== undefined && message.method === 'POST')
      return answer(faults.status, { title: 'no', description: 'not now' });
    if (message.url === '/root/')
      return answer(200, { title: 'root', versions: [], max_content_length: faults.maxBytes ?? 10_000_000 });
    const [, id] = /^\/root\/status\/(.+)\/$/.exec(message.url ?? '') ?? [];
    if (id !== undefined) {
      const known = pending.get(id);
      if (known === undefined || faults.hasNoStatus) return answer(404, { title: 'unknown' });
      known.looks -= 1;
      return answer(200, known.looks > 0 ? { id, status: 'pending' } : known.status);
    }
    if (message.url !== '/root/collections/drop/objects/') return answer(404, { title: 'no such collection' });
    if (body.length > (faults.maxBytes ?? 10_000_000)) return answer(413, { title: 'too large' });
    const failures = [];
    for (const object of JSON.parse(body).objects) {
      const reason = faults.refuses?.[object.id];
      if (reason === undefined) held.set(`${object.id} ${object.modified ?? object.created}`, object);
      else failures.push({ id: object.id, version: object.modified, message: reason });
    }
    const complete = {
      id: `00000000-0000-4000-8000-${String(requests.length).padStart(12, '0')}`,
      status: 'complete',
      failures,
    };
    if ((faults.looks ?? 0) === 0) return answer(202, complete);
    pending.set(complete.id, { looks: faults.looks ?? 0, status: complete });
    return answer(202, { id: complete.id, status: 'pending' });
  });
  return {
    url: `${url}/root/`,
    requests,
    faults,
    held,
    indicators: () => [...held.values()].filter(({ type }) => type === 'indicator'),
  };
}
