import { createReadStream } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import Type from 'typebox';
import type { Build, ListRequest } from '../../src/lists/build.ts';
import { MICROS_PER_SECOND } from '../../src/model/clock.ts';
import { systemErrorCode } from '../../src/model/error.ts';
import { formatHttpDate, parseHttpDate } from '../../src/model/timestamp.ts';
import { outputs } from '../../src/outputs/registry.ts';
import { sumOf } from '../../src/outputs/tally.ts';
import { acceptsCoding } from '../coding.ts';
import type { Operation } from '../methods.ts';
import { readParams } from '../operation.ts';
import { matchesEtag } from '../page-reply.ts';
import type { RouteContext } from '../parts.ts';
import { readQuery } from '../query.ts';
import { restOperation } from '../v1/schemas.ts';
import { findList } from './find.ts';
import { querySchema } from './parameters.ts';

/** Memory that a list takes while it is sent, whatever its length. */
const STREAM_BYTES = 256 * 1024;

const paramsSchema = Type.Object({
  list: Type.String({
    maxLength: 200,
    description: 'A list of the configuration, or `COLLECTION.FORMAT`, such as `all.txt`.',
  }),
});

const tokenParamsSchema = Type.Object({
  token: Type.String({ maxLength: 200, description: 'The key of a client that was added with `--path-key`.' }),
  ...paramsSchema.properties,
});

const mediaTypes = [...new Set(Object.values(outputs).map(({ mediaType }) => mediaType.replace(/; charset=.*$/, '')))];

/** `GET /lists/:list`: a collection in the form that another tool reads. */
export function getList(context: RouteContext): Operation {
  return listOperation(context, paramsSchema, { operationId: 'getList', summary: 'A list for another tool' });
}

/** `GET /lists/t/:token/:list`: for firewalls that can't send a header field. Sign-in reads the token. */
export function getListByToken(context: RouteContext): Operation {
  return listOperation(context, tokenParamsSchema, {
    operationId: 'getListByToken',
    summary: 'A list for a tool that can say its key in the path only',
  });
}

function listOperation(
  context: RouteContext,
  params: typeof paramsSchema | typeof tokenParamsSchema,
  names: { operationId: string; summary: string },
): Operation {
  const text = {
    ...names,
    description: `The whole list, built once for each state of its collection and then sent from a file. What a collection's readers may not see
isn't there for them: 404. Lists of the configuration take \`page\` and \`page_size\` only.`,
    params,
    query: querySchema,
    reply: {
      description: 'The list.',
      headers: {
        ETag: Type.String({ description: 'For If-None-Match: 304 while the list says the same.' }),
        'Last-Modified': Type.String({ description: 'When the list last changed; for If-Modified-Since.' }),
        'X-TLP': Type.String({ description: "The collection's ceiling: lists can't carry markings." }),
        'X-Entries': Type.String({ description: 'Lines of all pages, without those that are left out.' }),
        'X-Left-Out': Type.String({
          description:
            'How many are left out: beyond the maximum, too wide, or not to be written in this format. Absent where none are.',
        }),
        'X-Pages': Type.String({ description: 'How many pages there are.' }),
      },
      content: Object.fromEntries(mediaTypes.map((type) => [type, Type.Unknown()])),
    },
  };
  return restOperation(text, async (request, reply) => {
    const { list } = readParams(request, paramsSchema);
    const asked = findList(list, readQuery(request), request, context);
    context.inFlight.admit(request.client.name);
    context.reads.count(asked.collection);
    return sendList(asked, request, reply, context);
  });
}

async function sendList(asked: ListRequest, request: FastifyRequest, reply: FastifyReply, context: RouteContext) {
  const build = await context.lists.builds.read(asked);
  const { collection, output } = asked;
  const isCompressed = acceptsCoding(request.headers['accept-encoding'], 'gzip');
  const etag = `"${build.tag}${isCompressed ? '-gzip' : ''}"`;
  const leftOut = sumOf(build.leftOut);
  reply
    .header('etag', etag)
    .header('last-modified', formatHttpDate(build.changedAt))
    .header('cache-control', 'private, no-cache')
    .header('vary', 'Accept-Encoding, Authorization, X-API-Key')
    .header('x-tlp', `TLP:${collection.tlp.toUpperCase()}`)
    .header('x-entries', build.total - build.leftOut.beyondMaximum)
    .header('x-pages', build.pages);
  if (leftOut > 0) reply.header('x-left-out', leftOut);
  if (isUnchanged(request, build, etag)) return reply.code(304).send();
  reply.header('content-type', output.mediaType).header('content-length', isCompressed ? build.gzipBytes : build.bytes);
  if (isCompressed) reply.header('content-encoding', 'gzip');
  // An empty stream: an empty body would be sent with Content-Length: 0, which is not what GET sends.
  if (request.method === 'HEAD') return reply.send(Readable.from([]));
  const file = await openFile(context.lists.builds.pathOf(build, isCompressed));
  // It has changed twice since.
  if (file === null) return sendList(asked, request, reply, context);
  return reply.send(Readable.from(piecesOf(file, request, reply, context), { objectMode: false }));
}

/** When a piece is asked for, the reader has taken those before it. */
async function* piecesOf(
  file: FileHandle,
  { client }: FastifyRequest,
  reply: FastifyReply,
  { inFlight }: RouteContext,
) {
  const reservation = inFlight.reserve(reply.raw, client.name, STREAM_BYTES);
  for await (const piece of createReadStream('', { fd: file, highWaterMark: STREAM_BYTES / 2 })) {
    yield piece;
    reservation.progress();
  }
}

async function openFile(path: string): Promise<FileHandle | null> {
  return open(path).catch((error: unknown) => {
    if (systemErrorCode(error) === 'ENOENT') return null;
    throw error;
  });
}

/** RFC 9110 section 13.2.2: a date counts only where no tag is given. */
function isUnchanged({ headers }: FastifyRequest, { changedAt }: Build, etag: string): boolean {
  if (headers['if-none-match'] !== undefined) return matchesEtag(headers['if-none-match'], etag);
  const since = parseHttpDate(headers['if-modified-since'] ?? '');
  return since !== undefined && Math.floor(changedAt / MICROS_PER_SECOND) * MICROS_PER_SECOND <= since;
}
