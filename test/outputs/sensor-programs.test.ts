// slow (2 s): starts yara and suricata, where they are installed
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
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

t.test('suricata loads a dataset of names', { skip: missing('suricata', '-V') }, async (t) => {
  const name = await fileOf(t, outputs['suricata-domain'], [['domain', 'a.example']]);
  const rules = join(name, '..', 'own.rules');
  const load = `dataset:isset,names,type string,load ${name}`;
  writeFileSync(rules, `alert dns any any -> any any (msg:"x"; dns.query; ${load}; sid:1;)\n`);
  const { status, stderr } = spawnSync('suricata', ['-T', '-S', rules, '-l', join(name, '..')], { encoding: 'utf8' });
  t.equal(status, 0, stderr);
});
