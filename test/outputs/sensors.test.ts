import t from 'tap';
import type { IndicatorEntry } from '../../src/model/entry.ts';
import { jsonText } from '../../src/model/json.ts';
import type { ObservableType } from '../../src/model/observable.ts';
import type { Output } from '../../src/outputs/output.ts';
import { outputs } from '../../src/outputs/registry.ts';
import { requestOf } from '../contracts/output.contract.ts';
import { indicatorEntry } from '../helpers/store.ts';

type Row = [ObservableType, string, Partial<IndicatorEntry>?];

/** What formats for sensors write, without comments, and how many values they could not write. */
async function linesOf(output: Output, rows: Row[], options: object = {}) {
  const entries = rows.map(([type, value, more]) => indicatorEntry({ type, value, ...more }));
  const quiet = output.lines?.comment == null ? {} : { comments: false };
  const request = requestOf(output, [entries], { options: { ...quiet, ...options } });
  let text = '';
  for await (const piece of output.write(request)) text += piece;
  return { lines: text.split('\n').slice(0, -1), notWritable: request.tally.notWritable };
}

const MD5 = 'd41d8cd98f00b204e9800998ecf8427e';
const SHA256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

t.test('suricata datasets: Base64 of each name, plain addresses and digests', async (t) => {
  // StamusNetworks/SELKS#295: a file that is Base64 as a whole is loaded, and matches nothing.
  const names = await linesOf(outputs['suricata-domain'], [
    ['domain', 'maxmind.com'],
    ['domain', 'www.debian.org'],
    ['domain', 'com'],
  ]);
  t.strictSame(names, { lines: ['bWF4bWluZC5jb20=', 'd3d3LmRlYmlhbi5vcmc='], notWritable: 1 });
  const addresses = await linesOf(outputs['suricata-ip'], [
    ['ipv4', '192.0.2.1'],
    ['ipv6', '2001:db8::1'],
    ['ipv4', '198.51.100.0/30'],
    ['ipv4', '10.0.0.0/8'],
  ]);
  t.strictSame(addresses, {
    lines: ['192.0.2.1', '2001:db8::1', '198.51.100.0', '198.51.100.1', '198.51.100.2', '198.51.100.3'],
    notWritable: 1,
  });
  t.strictSame(await linesOf(outputs['suricata-md5'], [['md5', MD5]]), { lines: [MD5], notWritable: 0 });
  t.strictSame(
    await linesOf(outputs['suricata-sha256'], [
      ['sha256', SHA256],
      ['sha256', SHA256.toUpperCase()],
      ['sha256', MD5],
    ]),
    { lines: [SHA256], notWritable: 2 },
  );
});

t.test('suricata-iprep: the score is the confidence, from 1 to 127', async (t) => {
  const rows: Row[] = [
    ['ipv4', '192.0.2.1', { confidence: 100 }],
    ['ipv4', '192.0.2.0/24', { confidence: 50 }],
    // OISF/suricata#1442: addresses of IPv6 are taken as they are.
    ['ipv6', '4000::1', { confidence: 0 }],
    ['ipv4', '192.0.2.2', { confidence: null }],
    ['ipv4', '192.0.2.3,1,127'],
  ];
  t.strictSame(await linesOf(outputs['suricata-iprep'], rows), {
    lines: ['192.0.2.1,1,127', '192.0.2.0/24,1,64', '4000::1,1,1', '192.0.2.2,1,1'],
    notWritable: 1,
  });
  const [first] = (await linesOf(outputs['suricata-iprep'], rows, { iprep_category: 59 })).lines;
  t.equal(first, '192.0.2.1,59,127');
  await t.rejects(linesOf(outputs['suricata-iprep'], rows, { iprep_category: 60 }), { code: 'bad-request' });
});

t.test('zeek-intel: fields between tabs, and what is not known is unset', async (t) => {
  const about = {
    description: 'one\ttwo\nthree\\x09four',
    sources: jsonText([{ feed: 'f', feed_name: 'URLhaus', article_url: 'https://news.example/1' }]),
  };
  const bare = { description: null, sources: jsonText([]) };
  const { lines, notWritable } = await linesOf(outputs['zeek-intel'], [
    ['ipv4', '217.160.78.166', about],
    ['ipv4', '192.0.2.0/24', bare],
    ['ipv6', '2001:db8::/32', bare],
    ['domain', 'a.example', bare],
    ['url', 'https://user@a.example:8443/b?c=d#e', bare],
    ['email', "o'neil+x@a.example", bare],
    ['sha256', SHA256, bare],
    ['email', '#x@a.example', bare],
    ['domain', 'a.example\tIntel::ADDR', bare],
  ]);
  t.strictSame(lines, [
    '#fields\tindicator\tindicator_type\tmeta.source\tmeta.desc\tmeta.url',
    '217.160.78.166\tIntel::ADDR\tURLhaus\tone two three x09four\thttps://news.example/1',
    '192.0.2.0/24\tIntel::SUBNET\t-\t-\t-',
    '2001:db8::/32\tIntel::SUBNET\t-\t-\t-',
    'a.example\tIntel::DOMAIN\t-\t-\t-',
    'a.example:8443/b?c=d\tIntel::URL\t-\t-\t-',
    "o'neil+x@a.example\tIntel::EMAIL\t-\t-\t-",
    `${SHA256}\tIntel::FILE_HASH\t-\t-\t-`,
  ]);
  t.equal(notWritable, 2);
  const [, long = ''] = (await linesOf(outputs['zeek-intel'], [['md5', MD5, { description: '😀'.repeat(900) }]])).lines;
  t.equal(long.split('\t')[3]?.length, 500, 'a description is cut');
});

t.test('wazuh-cdb: keys with a colon are quoted, and networks end at a dot', async (t) => {
  const { lines, notWritable } = await linesOf(outputs['wazuh-cdb'], [
    ['ipv4', '16.10.10.10'],
    ['ipv4', '10.0.0.0/8'],
    ['ipv4', '172.16.0.0/16'],
    ['ipv4', '172.16.19.0/24'],
    // wazuh/wazuh#3976: no other masks, and IPv6 in quotes.
    ['ipv4', '10.60.0.0/20'],
    ['ipv6', '2a0a:1580::a'],
    ['ipv6', '2a0a:1580::/32'],
    ['ipv6', '2a0a:1580::/24'],
    ['domain', 'a.example'],
    ['url', 'http://a.example:8080/b#c'],
    // wazuh/wazuh#25909: a quote in a key makes the manager refuse the whole file.
    ['url', 'http://a.example/?id={"id":"1"}'],
    ['md5', MD5],
  ]);
  t.strictSame(lines, [
    '16.10.10.10:',
    '10.:',
    '172.16.:',
    '172.16.19.:',
    '"2a0a:1580::a":',
    'a.example:',
    '"http://a.example:8080/b#c":',
    `${MD5}:`,
  ]);
  t.equal(notWritable, 4);
});

// crowdsecurity/crowdsec#3734: a scope `range` in small letters passes the list of allowed addresses.
t.test('crowdsec: addresses and ranges with a duration, and scopes in capitals', async (t) => {
  const rows: Row[] = [
    ['ipv4', '192.0.2.1'],
    ['ipv6', '2001:db8::/32'],
    ['ipv4', '192.0.2.1,ban'],
  ];
  t.strictSame(await linesOf(outputs.crowdsec, rows), {
    lines: ['duration,scope,value', '24h,Ip,192.0.2.1', '24h,Range,2001:db8::/32'],
    notWritable: 1,
  });
  const { lines } = await linesOf(outputs.crowdsec, rows, { hours: 4 });
  t.equal(lines[1], '4h,Ip,192.0.2.1');
});

t.test('splunk: the exact headers, the confidence as weight, and no cell that is a formula', async (t) => {
  const formula = { description: '=cmd|x, "y"\nz', confidence: 0, sources: jsonText([]) };
  const bare = { description: null, confidence: null, sources: jsonText([{ feed: 'f', feed_name: 'House, the' }]) };
  t.strictSame(
    await linesOf(outputs['splunk-ip'], [
      ['ipv4', '192.0.2.0/24', formula],
      ['ipv6', '2001:db8::1', bare],
      ['ipv4', '192.0.2.1,100'],
    ]),
    {
      lines: ['description,ip,weight', `"'=cmd|x, ""y"" z",192.0.2.0/24,1`, '"House, the",2001:db8::1,'],
      notWritable: 1,
    },
  );
  const plain = { description: 'd', confidence: 85 };
  t.strictSame((await linesOf(outputs['splunk-domain'], [['domain', 'a.example', plain]])).lines, [
    'description,domain,weight',
    'd,a.example,85',
  ]);
  t.strictSame(
    await linesOf(outputs['splunk-file'], [
      ['md5', MD5, plain],
      ['file-name', 'invoice, "new".exe', plain],
      ['file-name', '*.exe', plain],
      ['file-name', '=1.exe', plain],
    ]),
    {
      lines: ['description,file_hash,file_name,weight', `d,${MD5},,85`, 'd,,"invoice, ""new"".exe",85'],
      notWritable: 2,
    },
  );
  t.strictSame(
    await linesOf(outputs['splunk-http'], [
      ['url', 'http://user:word@a.example:8080/b,c#d', plain],
      ['url', 'http://a.example/*', plain],
    ]),
    {
      lines: ['description,http_referrer,http_user_agent,url,weight', 'd,,,"http://a.example:8080/b,c",85'],
      notWritable: 1,
    },
  );
  t.strictSame(
    await linesOf(outputs['splunk-email'], [
      ['email', 'x@a.example', plain],
      ['email', '+1@a.example', plain],
    ]),
    { lines: ['description,src_user,subject,weight', 'd,x@a.example,,85'], notWritable: 1 },
  );
});

t.test('cef: each type under its key, with escapes', async (t) => {
  const about = {
    description: 'a=b\\c|d',
    confidence: 85,
    sources: jsonText([{ feed: 'f', feed_name: 'House' }]),
  };
  const bare = { description: null, confidence: null, sources: jsonText([]) };
  const { lines, notWritable } = await linesOf(outputs.cef, [
    ['ipv4', '192.0.2.1', about],
    ['ipv4', '192.0.2.0/24', bare],
    ['ipv6', '2001:db8::1', bare],
    ['url', 'http://a.example/?b=c', bare],
    ['file-name', 'a=b\\c|d', bare],
    ['email', 'x@a.example', bare],
    ['sha256', SHA256, bare],
    ['cve', 'CVE-2026-0001', bare],
    ['file-name', 'a\nCEF:0|x', bare],
    ['file-name', 'blank ', bare],
    ['url', `http://a.example/${'a'.repeat(1010)}`, bare],
  ]);
  t.strictSame(lines, [
    'CEF:0|Sluice|Sluice|1|ipv4|Indicator|9|cat=House dst=192.0.2.1 cn1Label=Confidence cn1=85 msg=a\\=b\\\\c|d',
    'CEF:0|Sluice|Sluice|1|ipv4|Indicator|Unknown|cs1Label=Indicator cs1=192.0.2.0/24',
    'CEF:0|Sluice|Sluice|1|ipv6|Indicator|Unknown|c6a3Label=Destination IPv6 Address c6a3=2001:db8::1',
    'CEF:0|Sluice|Sluice|1|url|Indicator|Unknown|request=http://a.example/?b\\=c',
    'CEF:0|Sluice|Sluice|1|file-name|Indicator|Unknown|fname=a\\=b\\\\c|d',
    'CEF:0|Sluice|Sluice|1|email|Indicator|Unknown|suser=x@a.example',
    `CEF:0|Sluice|Sluice|1|sha256|Indicator|Unknown|fileHash=${SHA256}`,
    'CEF:0|Sluice|Sluice|1|cve|Indicator|Unknown|cs1Label=Indicator cs1=CVE-2026-0001',
  ]);
  t.equal(notWritable, 3);
});

t.test('yara-hash: a rule per digest, and a description that ends no text', async (t) => {
  const { lines, notWritable } = await linesOf(outputs['yara-hash'], [
    ['md5', MD5, { description: 'ü "} rule x { condition: true } \\' }],
    ['sha256', MD5],
  ]);
  t.strictSame(lines, [
    'import "hash"',
    `rule sluice_md5_${MD5} { meta: description = "? \\"} rule x { condition: true } \\\\" condition: hash.md5(0, filesize) == "${MD5}" }`,
  ]);
  t.equal(notWritable, 1);
});
