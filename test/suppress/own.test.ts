import t from 'tap';
import type { Observable, ObservableType } from '../../src/model/observable.ts';
import { parseListed } from '../../src/normalise/listed.ts';
import { own } from '../../src/suppress/own.ts';
import { journal } from '../helpers/journals.ts';

const listed = [
  '10.0.0.0/8',
  '198.51.100.0/25',
  '198.51.100.200',
  '2001:db8::/32',
  '2001:db9::7',
  'example.com',
  'd41d8cd98f00b204e9800998ecf8427e',
];
const suppressor = own.open(journal({ suppress: listed }));
const match = (observable: Observable) => suppressor?.match(observable) ?? null;
const isOwn = (type: ObservableType, value: string): boolean => match({ type, value }) !== null;

t.test('addresses and networks are own where they lie in a listed network', (t) => {
  for (const value of [
    '10.0.0.0',
    '10.255.255.255',
    '10.0.0.0/8',
    '10.20.0.0/16',
    '198.51.100.127',
    '198.51.100.200',
  ]) {
    t.ok(isOwn('ipv4', value), value);
  }
  for (const value of [
    '11.0.0.0',
    '9.255.255.255',
    '8.0.0.0/6',
    '198.51.100.128',
    '198.51.100.0/24',
    '198.51.100.201',
  ]) {
    t.notOk(isOwn('ipv4', value), value);
  }
  for (const value of ['2001:db8::1', '2001:db8:ffff::/48', '2001:db8::/32', '2001:db9::7']) {
    t.ok(isOwn('ipv6', value), value);
  }
  for (const value of ['2001:db9::8', '2001:db9::/32', '2001::/16', '2001:dba::']) t.notOk(isOwn('ipv6', value), value);
  t.end();
});

t.test('a domain is own with all names below it, and no other', (t) => {
  for (const value of ['example.com', 'www.example.com', 'a.b.c.example.com']) t.ok(isOwn('domain', value), value);
  for (const value of ['badexample.com', 'example.com.evil.net', 'com.example', 'example.org']) {
    t.notOk(isOwn('domain', value), value);
  }
  t.end();
});

t.test('a URL goes by its host, an e-mail address by its domain', (t) => {
  for (const value of [
    'https://example.com/',
    'http://www.example.com:8080/a?b=http://other.example/',
    'http://10.1.2.3/x',
    'http://[2001:db8::5]:81/',
    'tcp://10.1.2.3:4444',
    'ftp://user@example.com/file',
  ]) {
    t.ok(isOwn('url', value), value);
  }
  for (const value of [
    'https://evil.net/example.com',
    'https://example.com@evil.net/',
    'http://203.0.113.9/10.1.2.3',
  ]) {
    t.notOk(isOwn('url', value), value);
  }
  t.ok(isOwn('email', 'ceo@example.com'));
  t.ok(isOwn('email', '"a@b"@mail.example.com'));
  t.notOk(isOwn('email', 'example.com@evil.net'));
  t.end();
});

t.test('a value that names no machine is never own', (t) => {
  const others: Observable[] = [
    { type: 'file-name', value: 'example.com' },
    { type: 'asn', value: '10' },
    { type: 'registry-key', value: 'example.com' },
    { type: 'cve', value: 'CVE-2026-1' },
  ];
  for (const one of others) t.equal(match(one), null, one.type);
  t.end();
});

t.test('the verdict names what is listed', (t) => {
  t.match(match({ type: 'url', value: 'https://www.example.com/' }), { reason: /example\.com/ });
  t.match(match({ type: 'ipv4', value: '10.1.2.3' }), { reason: /10\.0\.0\.0\/8/ });
  t.end();
});

t.test('entries are read in any spelling, and refused where they are no asset', (t) => {
  const read = (text: string): string => {
    const parsed = parseListed(text);
    return 'reason' in parsed ? `refused: ${parsed.detail}` : parsed.observable.value;
  };
  for (const [text, canonical] of [
    ['10.1.2.3/8', '10.0.0.0/8'],
    ['198.51.100.7/32', '198.51.100.7'],
    ['2001:DB8:0::/32', '2001:db8::/32'],
    ['::ffff:198.51.100.7', '198.51.100.7'],
    ['EXAMPLE.com.', 'example.com'],
    ['bücher.example', 'xn--bcher-kva.example'],
  ] as const) {
    t.equal(read(text), canonical);
  }
  for (const text of [
    'co.uk',
    '0.0.0.0/0',
    '10.0.0.1:80',
    '*.example.com',
    'example',
    '10.0.0.0/33',
    'a b.com',
    '::/0',
  ]) {
    t.match(read(text), /^refused: /, text);
  }
  t.end();
});
