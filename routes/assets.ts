import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { extname } from 'node:path';
import type { FastifyReply, FastifyRequest } from 'fastify';
import Type, { type TSchema } from 'typebox';
import { GatewayError } from '../src/model/error.ts';
import type { Operation } from './methods.ts';
import { readParams } from './operation.ts';
import { matchesEtag } from './page-reply.ts';

/**
 * Pages for people, and the files that they load: `routes/assets/NAME/`, read once at start. `npm run build` copies them into `dist`. The
 * loaded files stand under a path that holds the hash of all of them, so they may be kept for ever, and refer to each other by relative
 * paths. A page writes `{assets}` for that path.
 */
export interface Assets {
  /** Sends a page, which is asked about each time it is shown. Throws `internal` where there is no such file. */
  page(file: string): Operation;
  /** Sends a loaded file: the route's parameters are `hash` and `file`. */
  files(): Operation;
}

const fileParams = Type.Object({ hash: Type.String(), file: Type.String() });

/** By extension. A file with another one is refused at start. */
const mediaTypes: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.woff2': 'font/woff2',
};

/** Everything comes from this server, and nothing that stands in the page itself is run. */
const POLICY = [
  "default-src 'none'",
  ...['script', 'style', 'img', 'font', 'connect'].map((kind) => `${kind}-src 'self'`),
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ');

interface Asset {
  body: Buffer;
  mediaType: string;
  /** A strong entity tag (RFC 9110 section 8.8.3). */
  etag: string;
}

/** `name`: a folder beside this file. `path`: where its loaded files are served, before `/:hash/:file`. */
export function readAssets(name: string, path: string): Assets {
  const directory = new URL(`./assets/${name}/`, import.meta.url);
  const sources = readdirSync(directory)
    .sort()
    .map((file) => ({ file, body: readFileSync(new URL(file, directory)) }));
  const all = createHash('sha256');
  for (const { file, body } of sources) all.update(`${file} ${body.length} `).update(body);
  const hash = all.digest('base64url').slice(0, 22);
  const pages = new Map<string, Asset>();
  const files = new Map<string, Asset>();
  for (const { file, body } of sources) {
    if (file.endsWith('.html'))
      pages.set(file, assetOf(file, body.toString().replaceAll('{assets}', `${path}/${hash}`)));
    else files.set(file, assetOf(file, body));
  }
  return {
    page: (file) => {
      const page = pages.get(file);
      if (page === undefined) throw new GatewayError('internal', `There is no ${name}/${file}.`);
      return operationOf((request, reply) => send(page, 'no-cache', request, reply));
    },
    files: () =>
      operationOf((request, reply) => {
        const asked = readParams(request, fileParams);
        const file = asked.hash === hash ? files.get(asked.file) : undefined;
        if (file === undefined) throw new GatewayError('not-found', 'There is no such file.');
        return send(file, 'public, max-age=31536000, immutable', request, reply);
      }, fileParams),
  };
}

function assetOf(file: string, content: string | Buffer): Asset {
  const mediaType = mediaTypes[extname(file)];
  if (mediaType === undefined) throw new GatewayError('internal', `${file} has no known media type.`);
  const body = Buffer.from(content);
  return { body, mediaType, etag: `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"` };
}

/** For people, not for programs: the document leaves it out. */
function operationOf(handler: Operation['handler'], params?: TSchema): Operation {
  return { schema: { hide: true, ...(params === undefined ? {} : { params }) }, handler };
}

function send(
  { body, mediaType, etag }: Asset,
  cacheControl: string,
  { headers }: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  reply.header('cache-control', cacheControl).header('etag', etag).header('content-security-policy', POLICY);
  if (matchesEtag(headers['if-none-match'], etag)) return reply.code(304).send();
  return reply.header('content-type', mediaType).send(body);
}
