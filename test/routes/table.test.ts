import type { RouteOptions } from 'fastify';
import { Registry } from 'prom-client';
import t, { type Test } from 'tap';
import { routeTable } from '../../routes/index.ts';
import { client, openApp } from '../helpers/app.ts';

const apiRoots = [
  { path: '/api/taxii2/api/', title: 'One', description: null },
  { path: '/second/', title: 'Two', description: null },
];
const table = (access: 'anyone' | string[]) =>
  routeTable({
    taxii: { title: 'Sluice', description: null, contact: null, apiRoots, pageSize: 1000, maxPage: 5000 },
    metrics: { register: new Registry(), access },
  });

interface Listed {
  method: string;
  path: string;
  access: 'clients' | 'operators' | 'anyone';
}

const withoutSlash = (path: string): string => (path.length > 1 ? path.replace(/\/$/, '') : path);

/** The table's rows one by one, HEAD beside each GET. */
function listed(access: 'anyone' | string[]): Listed[] {
  return table(access).flatMap(({ prefix, access, routes }) =>
    Object.keys(routes).flatMap((route) => {
      const [method = '', path = ''] = route.split(' ');
      const methods = method === 'GET' ? ['GET', 'HEAD'] : [method];
      return methods.map((each) => ({ method: each, path: withoutSlash(prefix + path), access }));
    }),
  );
}

/** Everything that the router knows: methods of a path, in the order of registration. */
async function openRouter(t: Test, metricsAccess: 'anyone' | string[]) {
  const known = new Map<string, Set<string>>();
  const taxii = { title: 'Sluice', description: null, contact: null, apiRoots, pageSize: 1000, maxPage: 5000 };
  const app = await openApp(t, { metricsAccess, taxii }, { [TOKEN]: client({ name: 'fw', pathKey: true }) });
  app.app.addHook('onRoute', ({ method, url }: RouteOptions) => {
    const path = withoutSlash(url);
    const methods = known.get(path) ?? new Set();
    for (const each of [method].flat()) methods.add(each);
    known.set(path, methods);
  });
  await app.app.ready();
  return { ...app, known };
}

const TOKEN = 'slc_path';

/** A path that the route answers, or refuses only for what stands in it. */
const pathOf = (route: string, token = TOKEN): string =>
  route
    .replace(':token', token)
    .replace(':collection', 'all')
    .replace(/:[a-z]+/g, 'x')
    .replace('*', 'swagger-ui.css');

for (const access of ['anyone', ['reader']] as const) {
  t.test(`metrics for ${access}`, async (t) => {
    const rows = listed(access as 'anyone');
    const { app, known, ask } = await openRouter(t, access as 'anyone');
    const has = (method: string, path: string) => rows.some((row) => row.method === method && row.path === path);

    t.test('the router knows the paths of the table and no others', async (t) => {
      t.strictSame([...known.keys()].sort(), [...new Set(rows.map(({ path }) => path))].sort());
    });

    t.test('every row of the table is a route', async (t) => {
      for (const { method, path } of rows) t.ok(known.get(path)?.has(method), `${method} ${path}`);
    });

    t.test('what the table doesn’t list is refused by 405, but for OPTIONS', async (t) => {
      for (const [path, methods] of known) {
        for (const method of methods) {
          if (has(method, path)) continue;
          const { statusCode, headers } = await ask(pathOf(path), { method });
          t.equal(statusCode, method === 'OPTIONS' ? 204 : 405, `${method} ${path}`);
          const allow = String(headers['allow']).split(', ');
          t.strictSame(
            allow.filter((each) => each !== 'OPTIONS').sort(),
            rows
              .filter((row) => row.path === path)
              .map((row) => row.method)
              .sort(),
            `${method} ${path}: Allow`,
          );
        }
      }
    });

    t.test('rows for clients ask for a key, rows for anyone don’t', async (t) => {
      for (const row of rows) {
        const { statusCode } = await app.inject({ method: row.method as 'GET', url: pathOf(row.path, 'wrong') });
        const refusal = row.access !== 'anyone' ? 401 : row.path.includes(':') ? 404 : 200;
        t.equal(statusCode, refusal, `${row.method} ${row.path}`);
        if (row.access === 'anyone') continue;
        const asked = await ask(pathOf(row.path), { method: row.method });
        if (row.access === 'operators') t.equal(asked.statusCode, 403, `${row.method} ${row.path} for a reader`);
        else t.not(asked.statusCode, 401);
      }
    });
  });
}
