import type { Test } from 'tap';
import { openGateway, type TestGateway } from './gateway.ts';

export const ROOT = '/api/taxii2/api';
export const TAXII = 'application/taxii+json;version=2.1';

export interface Contributing extends TestGateway {
  /** Keys of clients: who may read and write `drop`, only write it, only read it, and neither. */
  keys: Record<'both' | 'writer' | 'reader' | 'stranger', string>;
  ask(
    method: 'GET' | 'POST' | 'DELETE',
    path: string,
    options?: { key?: string; body?: unknown; headers?: Record<string, string> },
  ): Promise<Awaited<ReturnType<TestGateway['app']['inject']>>>;
  /** Posts objects to `drop` and returns the status resource. */
  post(objects: unknown[], key?: string): Promise<any>;
}

const alone = `
data: ./data
collections:
  drop: { contributed: true }
`;

/** A gateway with a contributed collection `drop`, and clients of all rights; `keys`: those of a gateway on the same store before. */
export async function openContributing(
  t: Test,
  options: Parameters<typeof openGateway>[3] & { yaml?: string; dir?: string; keys?: Contributing['keys'] } = {},
): Promise<Contributing> {
  const gateway = await openGateway(t, options.dir ?? t.testdir(), options.yaml ?? alone, options);
  const rate = { max: 1_000_000, per: 60_000 };
  const add = async (name: string, collections: string[] | null, writes: string[]): Promise<string> => {
    const { key } = await gateway.side.addClient({ name, collections, writes, tlp: 'amber', rate });
    return key ?? '';
  };
  const keys = options.keys ?? {
    both: await add('both', null, ['drop']),
    writer: await add('writer', [], ['drop']),
    reader: await add('reader', null, []),
    stranger: await add('stranger', [], []),
  };
  const ask: Contributing['ask'] = (method, path, { key = keys.both, body, headers = {} } = {}) =>
    gateway.app.inject({
      method,
      url: `${ROOT}${path}`,
      headers: {
        authorization: `Bearer ${key}`,
        ...(body === undefined ? {} : { 'content-type': TAXII }),
        ...headers,
      },
      ...(body === undefined
        ? {}
        : { payload: typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body) }),
    });
  return {
    ...gateway,
    keys,
    ask,
    async post(objects, key) {
      const reply = await ask('POST', '/collections/drop/objects/', { body: { objects }, ...(key ? { key } : {}) });
      if (reply.statusCode !== 202) throw new Error(`${reply.statusCode} ${reply.body}`);
      return reply.json();
    },
  };
}
