// slow (40 s): the programs that read the formats, with 100,000 values each
import { execFile } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { access, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import t, { type Test } from 'tap';
import type { ObservableType } from '../../src/model/observable.ts';
import { outputs } from '../../src/outputs/registry.ts';
import { requestOf } from '../contracts/output.contract.ts';
import { indicatorEntry } from '../helpers/store.ts';

/** Formats in the hands of the programs that read them, from Debian; a program that is not installed skips its test and is named. */

const run = promisify(execFile);
const COUNT = 100_000;
const PLACES = ['/usr/sbin', '/usr/bin', '/sbin', '/bin'];

async function find(name: string): Promise<string | null> {
  for (const place of PLACES) {
    const path = join(place, name);
    if (
      await access(path).then(
        () => true,
        () => false,
      )
    )
      return path;
  }
  return null;
}

/** A test that needs programs of Debian, by their names and packages. */
function withPrograms(
  name: string,
  needed: Record<string, string>,
  body: (t: Test, programs: string[]) => Promise<void>,
): void {
  t.test(name, { timeout: 600_000 }, async (t): Promise<void> => {
    t.testdir();
    const programs: string[] = [];
    for (const [program, debianPackage] of Object.entries(needed)) {
      const path = await find(program);
      if (path === null) {
        t.pass(program, { skip: `${program} is not installed (Debian package ${debianPackage})` });
        return;
      }
      programs.push(path);
    }
    await body(t, programs);
  });
}

const address = (n: number): string => `${20 + (n >> 16)}.${(n >> 8) & 255}.${n & 255}.1`;

/** Domains, IPv4 and IPv6 addresses and networks, as far as the format takes them, in a file. */
async function written(t: Test, name: keyof typeof outputs, count = COUNT, options: object = {}): Promise<string> {
  const output = outputs[name];
  const types = output.needs?.({} as never).types ?? null;
  const kinds: [ObservableType, (n: number) => string][] = [
    ['domain', (n) => `host-${n}.sluice-test.example`],
    ['ipv4', (n) => (n % 10 === 0 ? `${30 + (n >> 16)}.${(n >> 8) & 255}.${n & 255}.0/24` : address(n))],
    ['ipv6', (n) => `2001:db8:${(n >> 8).toString(16)}:${(n & 255).toString(16)}::1`.replace(':0::', '::')],
  ];
  const fitting = kinds.filter(([type]) => types === null || types.includes(type));
  const slices = Array.from({ length: Math.ceil(count / 5000) }, (_, slice) =>
    Array.from({ length: Math.min(5000, count - slice * 5000) }, (_, i) => {
      const n = slice * 5000 + i;
      const [type, nth] = fitting[n % fitting.length] as (typeof kinds)[number];
      return indicatorEntry({ type, value: nth(n), dateAdded: 1_767_225_600_000_000 + n });
    }),
  );
  const request = requestOf(output, slices, { options });
  const file = join(t.testdirName, `${name}.${output.extension}`);
  await pipeline(Readable.from(output.write(request)), createWriteStream(file));
  t.equal(request.tally.notWritable, 0, 'every value is written');
  return file;
}

withPrograms(
  'named-checkzone loads the response policy zone',
  { 'named-checkzone': 'bind9-utils' },
  async (t, [check = '']) => {
    const zone = await written(t, 'rpz');
    const { stdout } = await run(check, ['-k', 'ignore', 'rpz.sluice', zone]);
    t.match(stdout, /loaded serial \d+\nOK/);
  },
);

withPrograms(
  'unbound-checkconf takes the local zones, and the response policy zone',
  { 'unbound-checkconf': 'unbound' },
  async (t, [check = '']) => {
    const zones = await written(t, 'unbound');
    const config = join(t.testdirName, 'main.conf');
    await writeFile(config, `server:\n  chroot: ""\n  username: ""\ninclude: "${zones}"\n`);
    t.match((await run(check, [config])).stdout, /no errors/);
  },
);

withPrograms('dnsmasq takes its configuration', { dnsmasq: 'dnsmasq-base' }, async (t, [dnsmasq = '']) => {
  for (const options of [{}, { answer: '0.0.0.0' }]) {
    const file = await written(t, 'dnsmasq', COUNT, options);
    t.match((await run(dnsmasq, ['--test', `--conf-file=${file}`])).stderr, /syntax check OK/);
  }
});

withPrograms('squid takes the acl', { squid: 'squid' }, async (t, [squid = '']) => {
  const file = await written(t, 'squid');
  const config = join(t.testdirName, 'main.conf');
  await writeFile(
    config,
    `http_port 127.0.0.1:3128\nacl bad dstdomain "${file}"\nhttp_access deny bad\nhttp_access deny all\n`,
  );
  const { stderr } = await run(squid, ['-k', 'parse', '-f', config], { maxBuffer: 64 * 1024 * 1024 });
  t.notMatch(stderr, /ERROR|FATAL|WARNING.*sluice-test/);
});

/** In a network of its own, where this machine allows that. */
async function inOwnNetwork(t: Test, program: string, args: string[], input?: string): Promise<string | null> {
  const unshare = await find('unshare');
  if (unshare === null) return null;
  const child = run(unshare, ['-rn', program, ...args], { maxBuffer: 256 * 1024 * 1024 });
  if (input !== undefined) child.child.stdin?.end(input);
  return child.then(
    ({ stdout }) => stdout,
    (error: Error & { stderr?: string }) => {
      if (
        /Operation not permitted|Protocol not supported|Kernel error|unshare failed|cannot open/i.test(
          error.stderr ?? '',
        )
      ) {
        t.comment(`${program}: ${error.stderr?.split('\n')[0]}`);
        return null;
      }
      throw error;
    },
  );
}

withPrograms('ipset takes the sets', { ipset: 'ipset' }, async (t, [ipset = '']) => {
  const file = await written(t, 'ipset');
  const said = await inOwnNetwork(t, ipset, ['restore', '-file', file]);
  if (said === null) return void t.pass('ipset', { skip: 'this machine allows no network namespace with ipset' });
  t.equal(said, '');
});
