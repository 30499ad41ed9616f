import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import ipaddr from 'ipaddr.js';
import t from 'tap';
import { makeWarningLists } from '../../docs/warning-lists.ts';
import type { Observable, ObservableType } from '../../src/model/observable.ts';
import { compileLists } from '../../src/suppress/warning-lists/compile.ts';
import type { WarningList } from '../../src/suppress/warning-lists/list.ts';
import { defaultModes } from '../../src/suppress/warning-lists/modes.ts';
import { entriesOf, lists } from '../../src/suppress/warning-lists/shipped.ts';
import { warningLists } from '../../src/suppress/warning-lists.ts';
import { journal } from '../helpers/journals.ts';

/** Verdicts of the lists as they are shipped, with these modes or the default ones. */
function verdictsWith(policy: { admit?: string[]; warningLists?: Record<string, 'drop' | 'tag' | 'lower'> } = {}) {
  const suppressor = warningLists.open(journal({ warningLists: defaultModes, ...policy }));
  return (type: ObservableType, value: string) => suppressor?.match({ type, value }) ?? null;
}
const verdict = verdictsWith();

t.test('what feeds list by mistake is dropped, by the list that knows it', (t) => {
  const incidents: [ObservableType, string, string][] = [
    ['ipv4', '8.8.8.8', 'public-resolvers'],
    ['ipv4', '1.1.1.1', 'public-resolvers'],
    ['ipv6', '2606:4700:4700::1111', 'public-resolvers'],
    ['ipv4', '89.232.194.184', 'public-dns-v4'],
    ['ipv4', '10.0.0.0/8', 'private-networks'],
    ['ipv4', '192.168.1.1', 'private-networks'],
    ['ipv4', '192.160.0.0/12', 'private-networks'],
    ['ipv4', '100.64.0.1', 'private-networks'],
    ['ipv6', 'fd00::1', 'private-networks'],
    ['ipv4', '8.0.0.0/7', 'wide-networks'],
    ['ipv4', '44.0.0.0/11', 'wide-networks'],
    ['ipv6', '2400::/23', 'wide-networks'],
    ['domain', 'www.microsoft.com', 'microsoft-office365'],
    ['domain', 'google.com', 'google'],
    ['domain', 'ads.google.com', 'google'],
    ['domain', 'amazon.com', 'tranco10k'],
    ['domain', 'www.twitter.com', 'tranco10k'],
    ['domain', 'github.io', 'second-level-tlds'],
    ['domain', 'raw.githubusercontent.com', 'security-provider-blogpost'],
    ['domain', 'sharepoint.com', 'tranco10k'],
    ['url', 'https://raw.githubusercontent.com/', 'security-provider-blogpost'],
    ['url', 'https://www.microsoft.com', 'microsoft-office365'],
    ['url', 'http://192.168.1.1:8080/login?a=b', 'private-networks'],
    ['url', 'http://[fd00::1]/x', 'private-networks'],
    ['url', 'https://1.1.1.1/dns-query', 'public-resolvers'],
    ['md5', 'd41d8cd98f00b204e9800998ecf8427e', 'empty-hashes'],
    ['sha1', 'da39a3ee5e6b4b0d3255bfef95601890afd80709', 'empty-hashes'],
    ['sha256', 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855', 'empty-hashes'],
    [
      'sha512',
      'cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e',
      'empty-hashes',
    ],
  ];
  for (const [type, value, list] of incidents) {
    const found = verdict(type, value);
    t.equal(found?.mode, 'drop', value);
    t.ok(found?.labels.includes(`warning-list:${list}`), `${value}: ${list} is among ${found?.labels}`);
  }
  t.end();
});

t.test('what is harmful on a good host, and what harms nobody, is served', (t) => {
  const served: [ObservableType, string][] = [
    ['url', 'https://raw.githubusercontent.com/evil/repo/main/a.ps1'],
    ['url', 'https://docs.google.com/forms/d/e/evil/viewform'],
    ['url', 'https://www.microsoft.com/?redirect=evil'],
    ['url', 'http://hacked-shop.com/wp-content/uploads/invoice.php'],
    ['domain', 'evil.github.io'],
    ['domain', 'evil.sharepoint.com'],
    ['domain', 'evil.blob.core.windows.net'],
    ['domain', 'evil-google.com'],
    ['domain', 'www.example.com'],
    ['ipv4', '198.51.100.7'],
    ['ipv4', '42.128.0.0/12'],
    ['ipv4', '8.8.8.0/24'],
    ['ipv6', '2001:db8::1'],
    ['email', 'evil@gmail.com'],
    ['file-name', 'google.com'],
    ['x509', 'd41d8cd98f00b204e9800998ecf8427e'],
    ['asn', '15169'],
  ];
  for (const [type, value] of served) t.equal(verdict(type, value), null, value);
  t.end();
});

t.test('shared addresses are lowered, networks of clouds labelled, each with all its lists', (t) => {
  t.match(verdict('ipv4', '104.16.1.1'), {
    mode: 'lower',
    labels: ['warning-list:cloudflare'],
    entry: '104.16.0.0/13',
  });
  t.match(verdict('ipv4', '3.64.0.1'), { mode: 'tag', labels: ['warning-list:amazon-aws'] });
  t.match(verdict('email', 'Abuse@evil.example'), { mode: 'tag', labels: ['warning-list:common-contact-emails'] });
  t.match(verdict('domain', 'www.virustotal.com.evil.example'), {
    labels: ['warning-list:automated-malware-analysis'],
  });
  t.end();
});

t.test('a mode is what the policy says, and a list that it does not name does nothing', (t) => {
  const resolvers = verdictsWith({ warningLists: { 'public-resolvers': 'tag', 'public-dns-v4': 'lower' } });
  t.match(resolvers('ipv4', '8.8.8.8'), {
    mode: 'lower',
    rule: 'warning list public-dns-v4',
    labels: ['warning-list:public-dns-v4', 'warning-list:public-resolvers'],
  });
  t.equal(resolvers('ipv4', '10.0.0.1'), null);
  t.equal(warningLists.open(journal()), null, 'a policy without lists has no such suppressor');
  t.equal(warningLists.open(journal({ warningLists: {} })), null);
  t.end();
});

t.test('what is admitted passes every list', (t) => {
  const admitting = verdictsWith({
    admit: ['10.20.0.0/16', 'google.com', '8.8.8.8', 'd41d8cd98f00b204e9800998ecf8427e'],
  });
  for (const [type, value] of [
    ['ipv4', '10.20.1.1'],
    ['url', 'http://10.20.1.1/x'],
    ['domain', 'mail.google.com'],
    ['ipv4', '8.8.8.8'],
    ['md5', 'd41d8cd98f00b204e9800998ecf8427e'],
  ] as const) {
    t.equal(admitting(type, value), null, value);
  }
  t.match(admitting('ipv4', '10.21.1.1'), { mode: 'drop' });
  t.match(admitting('ipv4', '8.8.4.4'), { mode: 'drop' });
  t.end();
});

t.test('the verdict says which list, which entry, and what to write to have it served', (t) => {
  t.match(verdict('ipv4', '89.232.194.184'), {
    rule: 'warning list public-dns-v4',
    entry: '89.232.194.184',
    reason: 'It is on the warning list “List of known IPv4 public DNS resolvers” (public-dns-v4): 89.232.194.184.',
    admit: 'To serve it all the same, add it to pools.main.admit, or set pools.main.warning_lists.public-dns-v4: tag.',
  });
  t.end();
});

t.test('another set of lists is another version, whatever they do', (t) => {
  const versionOf = (modes: Record<string, 'drop' | 'tag'>) =>
    warningLists.open(journal({ warningLists: modes }))?.version;
  t.not(versionOf({ google: 'drop' }), undefined);
  t.not(versionOf({ google: 'drop' }), versionOf({ google: 'drop', microsoft: 'drop' }));
  t.equal(versionOf({ google: 'drop' }), versionOf({ google: 'tag' }));
  t.end();
});

t.test('all lists are there with the entries that are counted, and each has a mode', (t) => {
  t.strictSame(lists.map(({ name }) => name).sort(), Object.keys(defaultModes).sort());
  for (const { name, size } of lists) t.equal(entriesOf(name).length, size, name);
  t.end();
});

t.test('docs/warning-lists.md is up to date (node docs/generate.ts)', (t) => {
  const made = readFileSync(fileURLToPath(new URL('../../docs/warning-lists.md', import.meta.url)), 'utf8');
  t.equal(made, makeWarningLists());
  t.end();
});

/** The plain version: each entry of each list by itself. `shared`: names that are listed for themselves. */
function namesPlainly(
  { type, types, entries, urls, overlaps }: WarningList,
  observable: Observable,
  shared: Set<string>,
) {
  const isListed = (entry: string, { type: of, value }: Observable): boolean => {
    const isNetwork = of === 'ipv4' || of === 'ipv6';
    if (!types.includes(of)) return false;
    if (type === 'substring' || type === 'regex')
      return type === 'regex' ? new RegExp(entry).test(value) : value.includes(entry);
    if (type === 'cidr') return isNetwork && liesIn(value, entry, overlaps === true);
    if (type === 'prefix') return isNetwork && value.includes('/') && isShorter(value, entry);
    if (isNetwork) return false;
    if (of !== 'domain') return type === 'string' && value === entry;
    const name = entry.replace(/^\./, '');
    if (type === 'string' && name === entry) return value === entry;
    if (value === name || value === `www.${name}`) return true;
    const above = value.split('.').map((_, i, labels) => labels.slice(i).join('.'));
    const nearest = above.find((each) => shared.has(each) && value !== each);
    return value.endsWith(`.${name}`) && !shared.has(name) && (nearest === undefined || name.length > nearest.length);
  };
  const isOn = (one: Observable): boolean => entries.some((entry) => isListed(entry, one));
  if (observable.type !== 'url') return isOn(observable);
  const { hostname, pathname, search, hash } = new URL(observable.value);
  const host = hostname.replace(/^\[|\]$/g, '');
  const kind = ipaddr.isValid(host) ? (host.includes(':') ? 'ipv6' : 'ipv4') : 'domain';
  const isBare = pathname.length <= 1 && search === '' && hash === '';
  const isPart = type === 'substring' || type === 'regex';
  return (
    isOn(observable) ||
    ((isBare || (urls === true && kind !== 'domain')) && !isPart && isOn({ type: kind, value: host }))
  );
}

function liesIn(value: string, entry: string, overlaps: boolean): boolean {
  const parse = (text: string) =>
    ipaddr.parseCIDR(text.includes('/') ? text : `${text}/${text.includes(':') ? 128 : 32}`);
  const [[address, bits], [network, prefix]] = [parse(value), parse(entry)];
  if (address.kind() !== network.kind() || (bits < prefix && !overlaps)) return false;
  return address.match(network, Math.min(bits, prefix));
}

function isShorter(value: string, entry: string): boolean {
  const [bits, least] = [value, entry].map((text) => Number(text.split('/')[1]));
  return value.includes(':') === entry.includes(':') && (bits ?? 0) < (least ?? 0);
}

t.test('a network right behind another one of its list is found', (t) => {
  const list: WarningList = {
    name: 'one',
    title: 'One',
    type: 'cidr',
    types: ['ipv4'],
    entries: ['10.0.0.1', '10.0.0.2', '255.255.255.255'],
  };
  const find = compileLists([list]);
  for (const value of list.entries) t.strictSame(find({ type: 'ipv4', value }), [{ list: 0, entry: value }]);
  for (const value of ['10.0.0.0', '10.0.0.3', '255.255.255.254', '0.0.0.0'])
    t.strictSame(find({ type: 'ipv4', value }), []);
  t.end();
});

t.test('the compiled search finds what each list by itself finds', (t) => {
  // Few of everything, so that values meet.
  const octet = fc.constantFrom(0, 1, 8, 128, 255);
  const four = fc.tuple(octet, octet, octet, octet).map((octets) => octets.join('.'));
  const six = fc.tuple(octet, octet).map(([a, b]) => new ipaddr.IPv6([0x2001, a, 0, 0, 0, 0, b, 1]).toRFC5952String());
  const networkOf = (address: string, bits: number): string => {
    const cidr = `${address}/${bits}`;
    if (address.includes(':')) return `${ipaddr.IPv6.networkAddressFromCIDR(cidr).toRFC5952String()}/${bits}`;
    return `${ipaddr.IPv4.networkAddressFromCIDR(cidr).toString()}/${bits}`;
  };
  const network4 = fc.tuple(four, fc.constantFrom(1, 7, 8, 9, 24, 25, 31)).map(([a, bits]) => networkOf(a, bits));
  const network6 = fc.tuple(six, fc.constantFrom(16, 20, 32, 126, 127)).map(([a, bits]) => networkOf(a, bits));
  const addresses = fc.oneof(four, network4, six, network6);
  const label = fc.constantFrom('www', 'a', 'b', 'com', 'co');
  const domain = fc.array(label, { minLength: 2, maxLength: 4 }).map((labels) => labels.join('.'));
  const hashes = fc.constantFrom('d41d8cd98f00b204e9800998ecf8427e', '0'.repeat(32));
  const names = fc.oneof(
    domain,
    domain.map((name) => `.${name}`),
    hashes,
  );
  const host = fc.oneof(
    domain,
    four,
    six.map((address) => `[${address}]`),
  );
  const url = fc
    .tuple(host, fc.constantFrom('', '/', '/a', '/?a.com', '/#a'))
    .map(([h, rest]) => new URL(`http://${h}${rest}`).href);
  const observable = fc.oneof(
    addresses.map((value): Observable => ({ type: value.includes(':') ? 'ipv6' : 'ipv4', value })),
    domain.map((value): Observable => ({ type: 'domain', value })),
    hashes.map((value): Observable => ({ type: 'md5', value })),
    url.map((value): Observable => ({ type: 'url', value })),
  );
  const types = fc.uniqueArray(fc.constantFrom<ObservableType>('ipv4', 'ipv6', 'domain', 'url', 'md5'), {
    minLength: 1,
  });
  const listOf = (type: WarningList['type'], entry: fc.Arbitrary<string>): fc.Arbitrary<WarningList> =>
    fc.record({
      name: fc.constantFrom('second-level-tlds', 'lots-project', 'one', 'two'),
      title: fc.constant('A list'),
      type: fc.constant(type),
      types,
      entries: fc.uniqueArray(entry, { maxLength: 12 }),
      urls: fc.boolean(),
      overlaps: fc.boolean(),
    });
  const list = fc.oneof(
    listOf('cidr', addresses),
    listOf('prefix', fc.constantFrom('0.0.0.0/8', '::/20')),
    listOf('string', names),
    listOf('hostname', names),
    listOf('substring', fc.constantFrom('a.com', '8.8', 'www')),
    listOf('regex', fc.constantFrom('^a', 'com$', '0{3}')),
  );
  fc.assert(
    fc.property(
      fc.array(list, { maxLength: 6 }),
      fc.array(observable, { minLength: 1, maxLength: 20 }),
      (all, observables) => {
        const find = compileLists(all);
        const shared = new Set(
          all.flatMap(({ name, type, entries }) => {
            if (type !== 'string' && type !== 'hostname') return [];
            if (name === 'second-level-tlds') return entries.map((entry) => entry.replace(/^\./, ''));
            return name === 'lots-project' ? entries.filter((e) => e.startsWith('.')).map((e) => e.slice(1)) : [];
          }),
        );
        for (const one of observables) {
          const expected = all.flatMap((each, place) => (namesPlainly(each, one, shared) ? [place] : []));
          t.strictSame(
            [...new Set(find(one).map(({ list: place }) => place))].sort(),
            expected,
            JSON.stringify([one, all]),
          );
        }
      },
    ),
    { numRuns: 400 },
  );
  t.end();
});
