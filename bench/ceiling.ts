import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import Fastify from 'fastify';

/**
 * What Fastify itself can do: ready bodies sent with the headers that Sluice sends, but nobody signs in, nothing is counted and
 * no rate is kept; and the same page made from its objects for each request, as a plain application does it. Started by
 * rivals.ts with the directory of `page.json`, `page.json.gz` and `headers.json` (`{ plain, packed }`); says its port.
 */
const [directory = '.'] = process.argv.slice(2);
const read = (name: string): Buffer => readFileSync(join(directory, name));
const headers: Record<'plain' | 'packed', Record<string, string>> = JSON.parse(read('headers.json').toString());
const pages = {
  plain: { body: read('page.json'), headers: headers.plain },
  packed: { body: read('page.json.gz'), headers: headers.packed },
};
const objects = JSON.parse(pages.plain.body.toString());

const app = Fastify();
app.get('/page', (request, reply) => {
  const page = request.headers['accept-encoding'] === 'gzip' ? pages.packed : pages.plain;
  if (request.headers['if-none-match'] === undefined) return reply.headers(page.headers).send(page.body);
  const { 'content-length': _length, 'content-type': _type, 'content-encoding': _coding, ...others } = page.headers;
  return reply.code(304).headers(others).send();
});
app.get('/objects', async (_, reply) => reply.headers({ ...headers.plain, 'content-length': undefined }).send(objects));
await app.listen({ host: '127.0.0.1', port: 0 });
console.log((app.server.address() as AddressInfo).port);
