// slow (26 s): Schemathesis asks every route
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { openExampleGateway } from '../helpers/example.ts';
import { readAll } from '../helpers/gateway.ts';
import { runPython } from '../helpers/python.ts';

const document = fileURLToPath(new URL('../../openapi/openapi.json', import.meta.url));
const run = 'from schemathesis.cli import schemathesis; schemathesis()';
const checks = [
  'not_a_server_error',
  'status_code_conformance',
  'content_type_conformance',
  'response_headers_conformance',
  'response_schema_conformance',
  'unsupported_method',
];

t.test('schemathesis finds no 5xx and no answer that openapi.json does not know', { timeout: 300_000 }, async (t) => {
  const gateway = await openExampleGateway(t);
  const base = await gateway.listen();
  const [object] = (await readAll(gateway, 'all', 'match[type]=indicator&')).map(({ id }) => id as string);
  // The gateway's own: another testdir would take its store away.
  const dir = t.testdirName;
  // Once with names that it makes up, once with a collection and an object that are there.
  const known = join(dir, 'known.toml');
  writeFileSync(known, `[parameters]\n"path.collection" = "all"\n"path.object" = "${object}"\n`);
  const unknown = join(dir, 'unknown.toml');
  writeFileSync(unknown, '');
  for (const [config, what] of [
    [unknown, []],
    [known, ['--include-path-regex', 'collections/\\{']],
  ] as const) {
    const result = await runPython(t, run, [
      ...['--config-file', config, 'run', document, '--url', base],
      ...['-H', `Authorization: Bearer ${gateway.key}`, '--checks', checks.join(',')],
      ...['--phases', 'examples,coverage,fuzzing', '--max-examples', '12', '--generation-deterministic'],
      ...['--request-timeout', '10', '--no-color', ...what],
    ]);
    if (result === null) return;
    t.equal(
      result.code,
      0,
      result.code === 0 ? 'it is content' : result.stdout.slice(-6000) + result.stderr.slice(-2000),
    );
    t.match(result.stdout, /Test cases:\s+\d{3,} generated, \d{3,} passed/, 'hundreds of requests');
  }
});
