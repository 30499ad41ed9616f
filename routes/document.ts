import { readdirSync, readFileSync } from 'node:fs';
import { findPackageJSON } from 'node:module';
import { dirname, join } from 'node:path';
import type { FastifyDynamicSwaggerOptions } from '@fastify/swagger';

/** A request and its answer: shown in openapi.json, and checked by the tests. */
export interface Example {
  query?: Record<string, string>;
  params?: Record<string, string>;
  headers?: Record<string, string>;
  body?: unknown;
  reply: { type: string; body: unknown };
}

const directory = join(dirname(findPackageJSON(import.meta.url) as string), 'openapi', 'examples');

/** By operationId. */
export function readExamples(): Map<string, Example> {
  const files = readdirSync(directory).filter((name) => name.endsWith('.json'));
  return new Map(
    files.sort().map((name) => [name.slice(0, -5), JSON.parse(readFileSync(join(directory, name), 'utf8'))]),
  );
}

const description = `One paced pull upstream, many clean feeds downstream: TAXII 2.1 and REST.

Every operation under TAXII paths answers errors as TAXII error messages, every other one as problem details (RFC 9457). A
path that is there answers HEAD like GET, OPTIONS with 204, and any other method with 405 and \`Allow\`. A request head above
256 kB is refused by 431 before it is read. Answers to a client tell what is left of its rate in \`RateLimit-Limit\`,
\`-Remaining\` and \`-Reset\` (seconds); a page costs a part of a request, by how much it may hold. Below /api/v1 they tell it also as SOC
Defenders does: \`X-RateLimit-*\`, with the reset in Unix seconds.`;

/** Options of @fastify/swagger: all of openapi.json that doesn't come from the routes. */
export const documentOptions = (version: string): FastifyDynamicSwaggerOptions => ({
  openapi: {
    openapi: '3.1.0',
    info: { title: 'Sluice', version, description, license: { name: 'Apache-2.0', identifier: 'Apache-2.0' } },
    servers: [{ url: '/' }],
    tags: [
      { name: 'TAXII', description: 'TAXII 2.1.' },
      { name: 'REST', description: "Indicators in SOC Defenders' shape, and more." },
      {
        name: 'Control',
        description: 'What operators may do (`sluice client add NAME --role operator`); others get 403.',
      },
      { name: 'Health', description: 'Open to anyone; says nothing about the content.' },
    ],
    components: {
      securitySchemes: {
        basic: { type: 'http', scheme: 'basic', description: 'Any user; the key is the password.' },
        bearer: { type: 'http', scheme: 'bearer' },
        key: { type: 'apiKey', in: 'header', name: 'X-API-Key' },
      },
    },
    security: [{ basic: [] }, { bearer: [] }, { key: [] }],
  },
  transform: ({ schema, url }) => ({ schema: documented(schema), url: pathOf(schema, url) }),
  transformObject: (document) => finish((document as { openapiObject: any }).openapiObject),
});

/** TAXII 2.1 section 3.1: a request's path ends in a slash. */
function pathOf(schema: any, url: string): string {
  return schema?.tags?.[0] === 'TAXII' && !url.endsWith('/') ? `${url}/` : url;
}

/** A copy of the schema in which `x-document` replaces what is validated, and `x-expects` is gone. */
function documented(schema: any): any {
  return JSON.parse(JSON.stringify(schema ?? {}), (_, value) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
    const { 'x-expects': _expects, 'x-document': document, ...rest } = value;
    return document === undefined ? rest : { ...document, description: rest.description };
  });
}

function finish(document: any): any {
  const examples = readExamples();
  const responses: Record<string, unknown> = {};
  const paths = Object.entries<any>(document.paths).sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [path, operations] of paths) {
    for (const operation of Object.values<any>(operations)) {
      for (const [status, response] of Object.entries<any>(operation.responses)) {
        if (Number(status) < 400) continue;
        const name = `${operation.tags[0]}${status}`;
        responses[name] = response;
        operation.responses[status] = { $ref: `#/components/responses/${name}` };
      }
      // A key in the path takes the place of every other.
      if (operation.tags[0] === 'Health' || path.includes('{token}')) operation.security = [];
      const example = examples.get(operation.operationId);
      if (example !== undefined) show(example, operation);
    }
  }
  document.paths = Object.fromEntries(paths);
  document.components.responses = Object.fromEntries(Object.entries(responses).sort(([a], [b]) => (a < b ? -1 : 1)));
  const schemas: Record<string, unknown> = {};
  const hoisted = hoist(document, schemas);
  hoisted.components.schemas = Object.fromEntries(Object.entries(schemas).sort(([a], [b]) => (a < b ? -1 : 1)));
  return hoisted;
}

/** Moves schemas with a title to `components.schemas`, under that title. */
function hoist(value: any, schemas: Record<string, unknown>): any {
  if (Array.isArray(value)) return value.map((item) => hoist(item, schemas));
  if (typeof value !== 'object' || value === null) return value;
  const copy = Object.fromEntries(
    Object.entries(value).map(([name, member]) => [
      name,
      // An example is data, not a schema.
      name === 'example' ? member : hoist(member, schemas),
    ]),
  );
  if (typeof copy['title'] !== 'string' || copy['type'] !== 'object') return copy;
  const name = copy['title'].replace(/[^A-Za-z]/g, '');
  schemas[name] ??= copy;
  return { $ref: `#/components/schemas/${name}` };
}

function show(example: Example, operation: any): void {
  for (const parameter of operation.parameters ?? []) {
    const value = (parameter.in === 'path' ? example.params : example.query)?.[parameter.name];
    if (value !== undefined) parameter.example = parameter.schema?.type === 'integer' ? Number(value) : value;
  }
  const sent = operation.requestBody?.content['application/json'];
  if (sent !== undefined && example.body !== undefined) sent.example = example.body;
  const media = operation.responses['200'].content[example.reply.type];
  if (media !== undefined) media.example = example.reply.body;
}
