import t from 'tap';
import type { ObservableType } from '../../src/model/observable.ts';
import type { Output } from '../../src/outputs/output.ts';
import { outputs } from '../../src/outputs/registry.ts';
import { requestOf } from '../contracts/output.contract.ts';
import { indicatorEntry } from '../helpers/store.ts';

/** What the formats for firewalls and resolvers write, line by line, and how many values they could not write. */
async function linesOf(output: Output, values: [ObservableType, string, number?][], options: object = {}) {
  const entries = values.map(([type, value, confidence = 80]) => indicatorEntry({ type, value, confidence }));
  const quiet = output.lines?.comment === null ? {} : { comments: false };
  const request = requestOf(output, [entries], { options: { ...quiet, ...options } });
  let text = '';
  for await (const piece of output.write(request)) text += piece;
  return { lines: text.split('\n').slice(0, -1), notWritable: request.tally.notWritable };
}

const addresses: [ObservableType, string][] = [
  ['ipv4', '192.0.2.1'],
  ['ipv4', '192.0.2.0/24'],
  ['ipv6', '2001:db8::/32'],
  ['ipv4', '192.0.2.1; reboot'],
];

t.test('lists of addresses hold addresses and networks, in the form that is asked for', async (t) => {
  for (const name of ['opnsense', 'pfsense', 'juniper', 'sophos', 'sonicwall', 'fortinet'] as const) {
    const { lines, notWritable } = await linesOf(outputs[name], addresses);
    t.strictSame(lines, ['192.0.2.1', '192.0.2.0/24', '2001:db8::/32'], name);
    t.equal(notWritable, 1, name);
    const { lines: ranges } = await linesOf(outputs[name], addresses, { prefixes: 'range' });
    t.equal(ranges[1], '192.0.2.0-192.0.2.255', name);
  }
});

t.test('fortinet: names, URLs with their scheme, hashes; nothing with a wildcard', async (t) => {
  const { lines, notWritable } = await linesOf(outputs.fortinet, [
    ['domain', 'evil.example'],
    ['url', 'http://a.example:8080/b?c'],
    ['md5', 'd41d8cd98f00b204e9800998ecf8427e'],
    ['url', 'http://a.example/*'],
    ['domain', '*.example'],
  ]);
  t.strictSame(lines, ['evil.example', 'http://a.example:8080/b?c', 'd41d8cd98f00b204e9800998ecf8427e']);
  t.equal(notWritable, 2);
});

t.test('checkpoint: a header, and seven fields in each record', async (t) => {
  const { lines, notWritable } = await linesOf(outputs.checkpoint, [
    ['ipv4', '192.0.2.1', 85],
    ['ipv4', '192.0.2.0/30', 40],
    ['url', 'http://a.example/x,y', 10],
    ['sha256', 'a'.repeat(64), 69],
    ['domain', 'a.example", "b'],
  ]);
  t.equal(lines[0], '#UNIQ-NAME,VALUE,TYPE,CONFIDENCE,SEVERITY,PRODUCT,COMMENT');
  const name = /^"sluice-[0-9a-f]{20}",/;
  for (const line of lines.slice(1)) t.match(line, name);
  t.strictSame(
    lines.slice(1).map((line) => line.replace(name, '')),
    [
      '"192.0.2.1","IP","high","high","AB","Sluice"',
      '"192.0.2.0-192.0.2.3","IP Range","medium","high","AB","Sluice"',
      '"http://a.example/x,y","URL","low","high","AB","Sluice"',
      `"${'a'.repeat(64)}","SHA256","medium","high","AV","Sluice"`,
    ],
  );
  t.equal(new Set(lines.map((line) => line.split(',')[0])).size, 5, 'a name each');
  t.equal(notWritable, 1);
});

t.test('cisco-fmc: networks, names, and URLs without scheme', async (t) => {
  const { lines } = await linesOf(outputs['cisco-fmc'], [
    ...addresses,
    ['domain', 'a.example'],
    ['url', 'https://a.example/b'],
  ]);
  t.strictSame(lines, ['192.0.2.1', '192.0.2.0/24', '2001:db8::/32', 'a.example', 'a.example/b']);
});

t.test('f5: the prefix length in a field of its own', async (t) => {
  const { lines } = await linesOf(outputs.f5, [...addresses, ['ipv6', '2001:db8::1']]);
  t.strictSame(lines, ['192.0.2.1,32,bl,', '192.0.2.0,24,bl,', '2001:db8::,32,bl,', '2001:db8::1,128,bl,']);
});

t.test('mikrotik and ipset empty what they fill', async (t) => {
  t.strictSame((await linesOf(outputs.mikrotik, addresses)).lines, [
    '/ip firewall address-list remove [find list=sluice]',
    '/ipv6 firewall address-list remove [find list=sluice]',
    ':do { /ip firewall address-list add list=sluice address=192.0.2.1 } on-error={}',
    ':do { /ip firewall address-list add list=sluice address=192.0.2.0/24 } on-error={}',
    ':do { /ipv6 firewall address-list add list=sluice address=2001:db8::/32 } on-error={}',
  ]);
  const all = await linesOf(outputs.ipset, [...addresses, ['ipv4', '0.0.0.0/0']]);
  t.strictSame(all.lines, [
    'create sluice4 hash:net family inet maxelem 4194304 -exist',
    'flush sluice4',
    'create sluice6 hash:net family inet6 maxelem 4194304 -exist',
    'flush sluice6',
    'add sluice4 192.0.2.1 -exist',
    'add sluice4 192.0.2.0/24 -exist',
    'add sluice6 2001:db8::/32 -exist',
  ]);
  t.equal(all.notWritable, 2);
});

t.test('dnsmasq, unbound and squid: names only, each in its own words', async (t) => {
  const names: [ObservableType, string][] = [
    ['domain', 'evil.example'],
    ['domain', 'a.example" always_transparent'],
    ['domain', 'a/b.example'],
  ];
  t.strictSame(await linesOf(outputs.dnsmasq, names), { lines: ['server=/evil.example/'], notWritable: 2 });
  t.strictSame((await linesOf(outputs.dnsmasq, names, { answer: '0.0.0.0' })).lines, ['address=/evil.example/0.0.0.0']);
  t.strictSame((await linesOf(outputs.unbound, names)).lines, [
    'server:',
    'local-zone: "evil.example." always_nxdomain',
  ]);
  const refused = await linesOf(outputs.unbound, names, { zone: 'always_refuse' });
  t.strictSame(refused.lines.slice(1), ['local-zone: "evil.example." always_refuse']);
  t.strictSame((await linesOf(outputs.squid, names)).lines, ['evil.example']);
});
