// slow (23 s): npm pack, and an installation of it
import { spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';

const project = fileURLToPath(new URL('../', import.meta.url));
const manifest = JSON.parse(readFileSync(join(project, 'package.json'), 'utf8'));

function run(command: string, args: string[], cwd: string, env: Record<string, string> = {}) {
  const done = spawnSync(command, args, { cwd, encoding: 'utf8', env: { ...process.env, ...env }, timeout: 300_000 });
  return { status: done.status, stdout: done.stdout ?? '', stderr: done.stderr ?? '' };
}

/** A copy of what is committed, so that packing leaves nothing in the project. Outside of it: Node resolves upwards. */
function copyProject(t: Test): string {
  const home = mkdtempSync(join(tmpdir(), 'sluice-package-'));
  t.teardown(() => rmSync(home, { recursive: true, force: true }));
  const copy = join(home, 'project');
  mkdirSync(copy);
  for (const name of readdirSync(project)) {
    if (/^(?:\.|node_modules$|data$|dist$|coverage$|test$|bench$)/.test(name)) continue;
    cpSync(join(project, name), join(copy, name), { recursive: true });
  }
  symlinkSync(join(project, 'node_modules'), join(copy, 'node_modules'));
  return copy;
}

/** Where `npm install` would put the package, with what it declares to depend on and nothing else beside it. */
function installPackage(copy: string): { directory: string; files: string[] } {
  const packed = run('npm', ['pack', '--json', '--silent'], copy);
  const report = JSON.parse(packed.stdout.slice(packed.stdout.indexOf('[')))[0];
  const directory = join(dirname(copy), 'installed', 'node_modules', 'sluice');
  mkdirSync(directory, { recursive: true });
  const unpacked = run('tar', ['-xzf', join(copy, report.filename), '--strip-components=1', '-C', directory], copy);
  if (unpacked.status !== 0) throw new Error(unpacked.stderr);
  for (const name of Object.keys(manifest.dependencies)) {
    const link = join(dirname(directory), name);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(join(project, 'node_modules', name), link);
  }
  return { directory, files: report.files.map(({ path }: { path: string }) => path) };
}

t.test('npm pack gives a package that runs on a Node of the system', async (t) => {
  const { directory, files } = installPackage(copyProject(t));
  t.ok(files.includes('dist/src/main.js') && files.includes('bin/sluice.mjs') && files.includes('LICENSE'));
  t.same(
    files.filter((path) => path.startsWith('dist/') && path.endsWith('.yaml')).sort(),
    readdirSync(join(project, 'src/feeds/presets'))
      .sort()
      .map((file) => `dist/src/feeds/presets/${file}`),
    'every preset file',
  );
  t.same(
    files.filter((path) => /\.ts$|^(?:src|routes|test|bench)\//.test(path)),
    [],
    'nothing that Node would have to strip types from',
  );
  const bin = join(directory, 'bin', 'sluice.mjs');
  t.match(run(process.execPath, [bin, '--version'], directory), { status: 0, stdout: `${manifest.version}\n` });
  const config = join(directory, 'sluice.example.yaml');
  t.match(run(process.execPath, [bin, 'check-config'], directory, { SLUICE_CONFIG: config }), { status: 0 });

  const data = join(dirname(directory), 'data');
  const env = { SLUICE_CONFIG: config, SLUICE_DATA: data };
  const served = spawn(process.execPath, [bin, 'serve', '--listen', '127.0.0.1:0'], {
    cwd: directory,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = new Promise<number | null>((resolve) => served.on('exit', resolve));
  const request = await firstMatch(served, /curl .*"(http:\/\/127\.0\.0\.1:\d+\/api\/taxii2\/[^"]+)"/);
  t.match(run(process.execPath, [bin, 'poll', 'example'], directory, env), { status: 0 });
  const key = readFileSync(join(data, 'initial.key'), 'utf8').trim();
  const reply = await fetch(request, { headers: { authorization: `Bearer ${key}` } });
  t.equal(reply.status, 200);
  t.match(await reply.json(), { objects: [{ type: 'indicator' }, { type: 'indicator' }, { type: 'indicator' }] });
  const home = await (await fetch(new URL('/', request))).text();
  const [, style = ''] = /href="([^"]*\.css)"/.exec(home) ?? [];
  t.match(await (await fetch(new URL(style, request))).text(), /^:root/, 'what pages load is in the package');
  const status = run(process.execPath, [bin, 'status', '--json'], directory, env);
  t.match(JSON.parse(status.stdout), { feeds: [{ name: 'example', state: 'ok' }, { state: 'no-key' }] });
  const isHealthy = () => run(process.execPath, [join(directory, 'bin', 'health.mjs')], directory, env);
  t.match(isHealthy(), { status: 0, stderr: '' });
  served.kill('SIGTERM');
  t.equal(await ended, 0, 'it stops when it is asked to');
  t.match(isHealthy(), { status: 1, stderr: /does not answer \(ENOENT\)|ECONNREFUSED/ });
});

t.test(
  'the image’s build steps name what exists, and its second stage needs nothing of the first but what it built',
  async (t) => {
    const lines = readFileSync(join(project, 'Dockerfile'), 'utf8').split('\n');
    const ignored = readFileSync(join(project, '.dockerignore'), 'utf8').split('\n');
    const sources = lines
      .filter((line) => line.startsWith('COPY ') && !line.includes('--from='))
      .flatMap((line) => line.split(/\s+/).slice(1, -1));
    for (const source of sources) {
      t.ok(existsSync(join(project, source)), source);
      t.ok(ignored.includes(`!${source}`), `${source} is sent to the builder`);
    }
    t.match(
      lines.find((line) => line.startsWith('USER ')),
      /^USER node$/,
    );
    const script = /^HEALTHCHECK .*"\/app\/([^"]+)"\]$/m.exec(lines.join('\n'))?.[1] ?? '';
    t.ok(existsSync(join(project, script)), `the health check runs ${script}`);
  },
);

t.test('what the documents point to is there', async (t) => {
  const documents = ['.', 'docs', 'bench', 'examples/elastic'].flatMap((directory) =>
    readdirSync(join(project, directory))
      .filter((name) => name.endsWith('.md') && name !== 'CHANGELOG.md')
      .map((name) => join(directory, name)),
  );
  t.ok(documents.length >= 8);
  for (const document of documents) {
    const text = readFileSync(join(project, document), 'utf8');
    const links = [...text.matchAll(/\]\((?!https?:)([^)#]+)/g)].map((match) =>
      join(dirname(document), match[1] ?? ''),
    );
    // Paths of the project, as prose names them; NAME stands for what is yet to be written.
    const named = [...text.matchAll(/`((?:src|routes|test|docs|examples|openapi|bench)\/[\w./@-]*)`/g)].map(
      (match) => match[1] ?? '',
    );
    for (const path of [...links, ...named.filter((path) => !path.includes('NAME'))]) {
      t.ok(existsSync(join(project, path)), `${document} names ${path}`);
    }
  }
});

function firstMatch(child: ReturnType<typeof spawn>, pattern: RegExp): Promise<string> {
  let text = '';
  return new Promise((resolve, reject) => {
    child.on('exit', (code) => reject(new Error(`It ended with ${code}: ${text}`)));
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk) => {
        text += chunk;
        const found = pattern.exec(text)?.[1];
        if (found !== undefined) resolve(found);
      });
    }
  });
}
