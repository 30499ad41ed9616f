import t from 'tap';
import type { ObservableType } from '../../src/model/observable.ts';
import type { Output } from '../../src/outputs/output.ts';
import { outputs } from '../../src/outputs/registry.ts';
import { requestOf } from '../contracts/output.contract.ts';
import { indicatorEntry } from '../helpers/store.ts';

/** What formats write, line by line, and how many values they could not write. */
async function linesOf(output: Output, values: [ObservableType, string][], options: object = {}) {
  const entries = values.map(([type, value]) => indicatorEntry({ type, value }));
  const request = requestOf(output, [entries], { options });
  let text = '';
  for await (const piece of output.write(request)) text += piece;
  return { lines: text.split('\n').slice(0, -1), notWritable: request.tally.notWritable };
}
const quiet = { comments: false };

t.test('a list says whose it is, the credits that feeds ask for, and what is left out', async (t) => {
  const request = requestOf(outputs.domains, [
    [indicatorEntry({ value: 'a.example' }), indicatorEntry({ value: 'com' })],
  ]);
  let text = '';
  for await (const piece of outputs.domains.write({ ...request, credits: ['House: thanks\nevil.example'] }))
    text += piece;
  t.strictSame(text.split('\n'), [
    '# All there is (all), TLP:AMBER, 2026-01-01T00:00:00.000Z',
    '# House: thanks evil.example',
    'a.example',
    '# Left out: 1 that this format cannot write.',
    '',
  ]);
});

t.test('panos-url: without scheme and user, and a name never without the slash that ends it', async (t) => {
  const { lines, notWritable } = await linesOf(outputs['panos-url'], [
    ['url', 'https://user:word@a.example:8443/b?c=d#e'],
    ['url', 'http://a.example/'],
    ['url', 'http://[2001:db8::1]/x'],
    ['domain', 'evil.example'],
    ['url', 'http://a.example/*'],
    ['url', 'http://a.example/a^b'],
    ['url', 'mailto:a@b.example'],
  ]);
  t.strictSame(lines, ['a.example:8443/b?c=d', 'a.example/', '[2001:db8::1]/x', 'evil.example/']);
  t.equal(notWritable, 3);
  const both = await linesOf(outputs['panos-url'], [['domain', 'evil.example']], { subdomains: true });
  t.strictSame(both.lines, ['evil.example/', '*.evil.example/']);
});

t.test('panos-ip: addresses, networks or ranges, and no comment', async (t) => {
  const values: [ObservableType, string][] = [
    ['ipv4', '192.0.2.0/24'],
    ['ipv6', '2001:db8::/32'],
    ['ipv4', '192.0.2.300'],
    ['ipv4', '192.0.2.1/33'],
  ];
  const cidr = await linesOf(outputs['panos-ip'], values);
  t.strictSame(cidr, { lines: ['192.0.2.0/24', '2001:db8::/32'], notWritable: 2 });
  const ranges = await linesOf(outputs['panos-ip'], values, { prefixes: 'range' });
  t.strictSame(ranges.lines, ['192.0.2.0-192.0.2.255', '2001:db8::-2001:db8:ffff:ffff:ffff:ffff:ffff:ffff']);
  const addresses = await linesOf(outputs['panos-ip'], values, { prefixes: 'hosts' });
  t.match([addresses.lines.length, addresses.lines.at(-1), addresses.notWritable], [256, '192.0.2.255', 3]);
});

t.test('hosts and adblock', async (t) => {
  t.strictSame((await linesOf(outputs.hosts, [['domain', 'a.example']], quiet)).lines, ['0.0.0.0 a.example']);
  const other = await linesOf(outputs.hosts, [['domain', 'a.example']], { ...quiet, sinkhole: '::1' });
  t.strictSame(other.lines, ['::1 a.example']);
  t.strictSame((await linesOf(outputs.adblock, [['domain', 'a.example']], quiet)).lines, ['||a.example^']);
});

t.test('rpz: triggers of names and addresses, and a serial by the second', async (t) => {
  const values: [ObservableType, string][] = [
    ['domain', 'bad.example'],
    ['ipv4', '192.0.2.1'],
    ['ipv4', '192.0.2.0/24'],
    ['ipv6', '2001:db8::/48'],
    ['ipv6', '::1'],
    ['ipv6', '2001:db8:1:2:3:4:5:6'],
    ['domain', '24.0.2.0.192.rpz-ip'],
    ['domain', `${'a'.repeat(60)}.${'b'.repeat(60)}.${'c'.repeat(60)}.${'d'.repeat(60)}.example`],
  ];
  const { lines, notWritable } = await linesOf(outputs.rpz, values, quiet);
  t.strictSame(lines, [
    '$TTL 300',
    '@ IN SOA localhost. hostmaster.localhost. 1767225600 3600 300 2592000 300',
    '@ IN NS localhost.',
    'bad.example CNAME .',
    '*.bad.example CNAME .',
    '32.1.2.0.192.rpz-ip CNAME .',
    '24.0.2.0.192.rpz-ip CNAME .',
    '48.zz.db8.2001.rpz-ip CNAME .',
    '128.1.zz.rpz-ip CNAME .',
    '128.6.5.4.3.2.1.db8.2001.rpz-ip CNAME .',
  ]);
  t.equal(notWritable, 2, 'a name that would be a trigger, and one too long for a zone');
  const dropped = await linesOf(outputs.rpz, [['domain', 'a.example']], {
    ...quiet,
    subdomains: false,
    action: 'drop',
  });
  t.strictSame(dropped.lines.slice(3), ['a.example CNAME rpz-drop.']);
});
