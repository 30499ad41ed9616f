// slow (2 s): starts yara, cscli and suricata, where they are installed
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import t, { type Test } from 'tap';
import type { ObservableType } from '../../src/model/observable.ts';
import type { Output } from '../../src/outputs/output.ts';
import { outputs } from '../../src/outputs/registry.ts';
import { write } from '../contracts/output.contract.ts';
import { indicatorEntry } from '../helpers/store.ts';

/** The programs that read what is written for them. */

/** Of a file that holds `sluice` and nothing else. */
const DIGESTS: [ObservableType, string][] = [
  ['md5', '56c4228bc58d4cdf3ff01c3fc6e84189'],
  ['sha1', 'bac9c3029ea6380aa37a31f0165084711ae0d44d'],
  ['sha256', '0f5aec3c8edf964bb5260e4ae806d31feaab06f39a65ddba9d86e499bfae8476'],
];

async function fileOf(t: Test, output: Output, values: [ObservableType, string][]): Promise<string> {
  const path = join(t.testdir(), `list.${output.extension}`);
  const entries = values.map(([type, value]) => indicatorEntry({ type, value, description: '"} \\ ü 😀' }));
  writeFileSync(path, await write(output, [entries]));
  return path;
}

/** Why a test of this program can't run here, for tap; false where it can. */
function missing(program: string, argument: string): string | false {
  return spawnSync(program, [argument]).error === undefined ? false : `${program} is not installed`;
}

t.test('yara finds a file by each of its digests', { skip: missing('yara', '--version') }, async (t) => {
  const rules = await fileOf(t, outputs['yara-hash'], DIGESTS);
  const file = join(rules, '..', 'sample');
  writeFileSync(file, 'sluice');
  const { stdout, stderr } = spawnSync('yara', [rules, file], { encoding: 'utf8' });
  t.equal(stderr, '');
  const found = stdout
    .trim()
    .split('\n')
    .map((line) => line.split(' ')[0]);
  t.strictSame(found.sort(), DIGESTS.map(([type, value]) => `sluice_${type}_${value}`).sort());
});

/** CrowdSec's local API as far as an import goes: it signs in, and adds an alert with all decisions. Returns its address and what was added. */
async function localApi(t: Test): Promise<{ url: string; alerts: any[] }> {
  const alerts: any[] = [];
  const server = createServer(async (request, response) => {
    const body = await text(request);
    const isAlert = request.url === '/v1/alerts';
    if (isAlert) alerts.push(...JSON.parse(body));
    response.writeHead(isAlert ? 201 : 200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(isAlert ? ['1'] : { code: 200, expire: '2099-01-01T00:00:00Z', token: 'a.b.c' }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, alerts };
}

t.test('cscli imports every address and range for its duration', { skip: missing('cscli', 'version') }, async (t) => {
  const list = await fileOf(t, outputs.crowdsec, [
    ['ipv4', '192.0.2.1'],
    ['ipv4', '198.51.100.0/24'],
    ['ipv6', '2001:db8::/32'],
  ]);
  const { url, alerts } = await localApi(t);
  const directory = join(list, '..');
  const credentials = join(directory, 'credentials.yaml');
  const config = join(directory, 'config.yaml');
  writeFileSync(credentials, `url: ${url}\nlogin: test\npassword: test\n`);
  const paths = ['config_dir', 'data_dir', 'hub_dir'].map((name) => `${name}: ${directory}`).join(', ');
  writeFileSync(
    config,
    `common: { log_media: stdout }\nconfig_paths: { ${paths} }\napi: { client: { credentials_path: ${credentials} } }\n`,
  );
  const cscli = spawn('cscli', ['-c', config, 'decisions', 'import', '-i', list]);
  const [said, [status]] = await Promise.all([text(cscli.stderr), once(cscli, 'exit')]);
  t.equal(status, 0, said);
  const decisions = alerts.flatMap((alert) => alert.decisions);
  // The scope of a line is read from cscli 1.5 on; 1.4 takes every value as `Ip`.
  t.strictSame(
    decisions.map(({ duration, value }) => `${duration} ${value}`).sort(),
    ['24h 192.0.2.1', '24h 198.51.100.0/24', '24h 2001:db8::/32'],
    said,
  );
});

t.test('suricata loads a dataset of names', { skip: missing('suricata', '-V') }, async (t) => {
  const name = await fileOf(t, outputs['suricata-domain'], [['domain', 'a.example']]);
  const rules = join(name, '..', 'own.rules');
  const load = `dataset:isset,names,type string,load ${name}`;
  writeFileSync(rules, `alert dns any any -> any any (msg:"x"; dns.query; ${load}; sid:1;)\n`);
  const { status, stderr } = spawnSync('suricata', ['-T', '-S', rules, '-l', join(name, '..')], { encoding: 'utf8' });
  t.equal(status, 0, stderr);
});
