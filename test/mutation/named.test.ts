// slow (10 s): two processes for each mutant
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';

/** A change of the source that its test must notice. */
interface NamedMutant {
  name: string;
  file: string;
  /** Stands once in the file. */
  text: string;
  replacement: string;
  testFile: string;
  /** The name of the one test of that file that is run. */
  testName: string;
}

const mutants: NamedMutant[] = [
  {
    name: 'the cap of merged confidence',
    file: 'src/model/confidence.ts',
    text: 'const CAP = 95;',
    replacement: 'const CAP = 100;',
    testFile: 'test/publish/merge.test.ts',
    testName: 'each further publisher adds five',
  },
  {
    name: 'publishers whose names differ in case only are one',
    file: 'src/model/publisher.ts',
    text: '.toLowerCase()',
    replacement: '',
    testFile: 'test/publish/merge.test.ts',
    testName: 'one publisher under several names counts once',
  },
  {
    name: 'one of two rows of a feed that is revoked leaves the other',
    file: 'src/ingest/combine.ts',
    text: 'revoked: a.revoked && b.revoked',
    replacement: 'revoked: a.revoked || b.revoked',
    testFile: 'test/ingest/combine.test.ts',
    testName: 'one that is revoked',
  },
  {
    name: 'failed sign-ins of an IPv6 network are counted together',
    file: 'routes/address-group.ts',
    text: '.slice(0, 4)',
    replacement: '.slice(0, 8)',
    testFile: 'test/routes/connections.test.ts',
    testName: 'behind a proxy only an address is a caller',
  },
  {
    name: 'the share of an account that readers may spend',
    file: 'src/ingest/refresh.ts',
    text: 'const SHARE = 0.5;',
    replacement: 'const SHARE = 0.6;',
    testFile: 'test/upstream/quota.test.ts',
    testName: 'brought forward for readers up to each bound',
  },
  {
    name: 'networks of every length are looked up',
    file: 'src/model/networks-over.ts',
    text: 'ipv4: 31, ipv6: 127',
    replacement: 'ipv4: 30, ipv6: 127',
    testFile: 'test/routes/rest.test.ts',
    testName: 'lookup: an address is found in a network of every length',
  },
];

t.setTimeout(600_000);
for (const mutant of mutants) {
  t.test(`${mutant.name}: a test notices`, async (t) => {
    const { file, text, replacement, testFile, testName } = mutant;
    t.equal(read(file).split(text).length, 2, `${file} has once: ${text}`);
    t.ok(read(testFile).includes(testName), `${testFile} has a test named: ${testName}`);
    t.match(await run({ file, text, replacement: text }, testFile, testName), { code: 0 }, 'it passes unchanged');
    const changed = await run({ file, text, replacement }, testFile, testName);
    t.equal(changed.code, 1, 'it fails with the change');
    t.match(changed.output, /^ *not ok /m, 'by an assertion');
  });
}

function read(file: string): string {
  return readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8');
}

async function run(mutant: object, testFile: string, testName: string): Promise<{ code: unknown; output: string }> {
  const env = { ...process.env, MUTANT: JSON.stringify(mutant), TAP_GREP: testName, TAP_BAIL: '1' };
  const args = ['--import', new URL('change.ts', import.meta.url).href, testFile];
  const cwd = fileURLToPath(new URL('../../', import.meta.url));
  const child = spawn(process.execPath, args, { cwd, env, stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (chunk) => {
    output += chunk;
  });
  const [code] = await once(child, 'close');
  return { code, output };
}
