// Runs the Dockerfile's own steps in clean directories, one per stage, and asks the result for an answer. It stands in for a
// container builder where none can run: base images, users and namespaces are not part of it.
import { spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const context = fileURLToPath(new URL('../', import.meta.url));
const home = mkdtempSync(join(tmpdir(), 'sluice-image-'));
process.on('exit', () => rmSync(home, { recursive: true, force: true }));

const steps = readFileSync(join(context, 'Dockerfile'), 'utf8')
  .replace(/\\\n\s*/g, '')
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('#'));

// The builder's own cache, not this machine's.
const building = { ...process.env, npm_config_cache: join(home, 'npm') };
const stages = new Map();
let root = '';
let cwd = '/';
const env = {};
let command = [];
let healthcheck = [];
let entrypoint = [];
// Absolute paths of a stage stand below its root.
const inside = (path) => join(root, path.startsWith('/') ? path : join(cwd, path));
const rooted = (text) => text.replaceAll(/(?<=\s|^)\/(?=app|data|usr|etc)/g, `${root}/`);

for (const step of steps) {
  const [word, rest] = [step.slice(0, step.indexOf(' ')), step.slice(step.indexOf(' ') + 1)];
  console.log(`image: ${step}`);
  if (word === 'FROM') {
    root = join(home, `stage${stages.size}`);
    cwd = '/';
    mkdirSync(join(root, 'usr/local/bin'), { recursive: true });
    stages.set(/ AS (\S+)/.exec(rest)?.[1] ?? 'last', root);
  } else if (word === 'WORKDIR') {
    cwd = rest;
    mkdirSync(inside('.'), { recursive: true });
  } else if (word === 'COPY') {
    const words = rest.split(/\s+/);
    const from = words[0].startsWith('--from=') ? stages.get(words.shift().slice(7)) : context;
    const to = words.pop();
    for (const source of words) {
      const target = to.endsWith('/') ? join(to, source) : to;
      mkdirSync(dirname(inside(target)), { recursive: true });
      cpSync(join(from, source), inside(target), { recursive: true });
    }
  } else if (word === 'RUN') {
    const script = rooted(rest).replace(/ && chown \S+ \S+/, '');
    const done = spawnSync('sh', ['-ec', script], { cwd: inside('.'), stdio: 'inherit', env: building });
    if (done.status !== 0) throw new Error(`failed: ${rest}`);
  } else if (word === 'ENV') {
    for (const [, name, value] of rest.matchAll(/(\w+)=(\S+)/g)) env[name] = value.startsWith('/') ? root + value : value;
  } else if (word === 'CMD') command = JSON.parse(rest);
  else if (word === 'ENTRYPOINT') entrypoint = JSON.parse(rest);
  else if (word === 'HEALTHCHECK') healthcheck = JSON.parse(rest.slice(rest.indexOf(' CMD ') + 5)).map(rooted);
}

// As compose.yaml mounts them.
mkdirSync(join(root, 'etc/sluice/examples'), { recursive: true });
cpSync(join(context, 'examples/docker/sluice.yaml'), join(root, 'etc/sluice/sluice.yaml'));
cpSync(join(context, 'examples/feed'), join(root, 'etc/sluice/examples/feed'), { recursive: true });
env.SLUICE_LISTEN = '127.0.0.1:0';
env.PATH = `${join(root, 'usr/local/bin')}:${dirname(process.execPath)}:${process.env.PATH}`;
const [program, ...args] = [...entrypoint, ...command];
const child = spawn(program, args, { cwd: inside('.'), env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'inherit'] });
const address = await new Promise((resolve, reject) => {
  let text = '';
  child.on('exit', (code) => reject(new Error(`it ended with ${code}: ${text}`)));
  child.stdout.on('data', (chunk) => {
    text += chunk;
    const found = /"(http:\/\/[^"]+)"/.exec(text);
    if (found !== null) resolve(found[1]);
  });
});
const keyFile = join(env.SLUICE_DATA, 'initial.key');
if (!existsSync(keyFile)) throw new Error('no first key');
const authorization = `Bearer ${readFileSync(keyFile, 'utf8').trim()}`;
const reply = await fetch(address, { headers: { authorization } });
if (reply.status !== 200) throw new Error(`the image answered ${reply.status}`);
const isHealthy = () => spawnSync(healthcheck[0], healthcheck.slice(1), { env: { ...process.env, ...env } }).status === 0;
if (!isHealthy()) throw new Error('the health check failed');
child.removeAllListeners('exit');
const ended = new Promise((resolve) => child.on('exit', resolve));
child.kill('SIGTERM');
if ((await ended) !== 0) throw new Error('the image does not stop cleanly');
if (isHealthy()) throw new Error('the health check says that it lives when it does not');
console.log('image: its steps build it, it serves, its health check passes and it stops');
