import t from 'tap';
import { jsonText } from '../../src/model/json.ts';
import { outputs } from '../../src/outputs/registry.ts';
import { IDENTITY, testOutput, write } from '../contracts/output.contract.ts';
import { indicatorEntry, objectEntry, START } from '../helpers/store.ts';

/** RFC 4180, read by hand: quoted cells, doubled quotes, CRLF. */
function cellsOf(text: string): string[][] {
  const table: string[][] = [];
  for (const [, line] of text.matchAll(/((?:"(?:[^"]|"")*"|[^"\r])*)\r\n/g)) {
    const cells = [...(line ?? '').matchAll(/(?:^|,)("(?:[^"]|"")*"|[^,]*)/g)].map(([, cell = '']) =>
      cell.startsWith('"') ? cell.slice(1, -1).replaceAll('""', '"') : cell,
    );
    table.push(cells);
  }
  return table;
}

const literalOf = (pattern: string): string =>
  (/= '(.*)'\]$/.exec(pattern)?.[1] ?? '').replaceAll("\\'", "'").replaceAll('\\\\', '\\');
const patternsOf = (objects: any[]): string[] =>
  objects.filter(({ type }) => type === 'indicator').map(({ pattern }) => literalOf(pattern));

/** Lines that are no comments. */
const linesOf = (text: string, comment = '#'): string[] =>
  text
    .split('\n')
    .slice(0, -1)
    .filter((line) => !line.trimStart().startsWith(comment));
/** Words of lines, as readers split them that take several in a line. */
const wordsOf = (line: string): string[] => line.split(/\s+/).filter((word) => word !== '');

/** A line of a reader that takes URLs without their scheme. */
const withScheme = (line: string): string =>
  /^[^/]+\/./.test(line) && !/^[0-9a-f.:]+\/\d+$/.test(line) ? `http://${line}` : line;

/** Owner names of a zone in the order of their first rule; a wildcard is the name below which it stands. */
const policiesOf = (zone: string): string[] => {
  const [ttl, soa, ns, ...rules] = linesOf(zone, ';');
  if (
    ttl !== '$TTL 300' ||
    !/^@ IN SOA localhost\. hostmaster\.localhost\. \d+ /.test(soa ?? '') ||
    ns !== '@ IN NS localhost.'
  )
    throw new Error('no zone');
  const owners = rules.map((rule) => {
    const [, owner = '', target] = /^(?:\*\.)?([a-z0-9_.-]+) CNAME (\S+)$/.exec(rule) ?? [];
    if (target !== '.') throw new Error(`no rule: ${rule}`);
    return owner;
  });
  return [...new Set(owners)];
};

/** Each line is one value of this form, or the file is refused. */
const matched = (lines: string[], form: RegExp): string[] =>
  lines.map((line) => {
    const [, value] = form.exec(line) ?? [];
    if (value === undefined) throw new Error(`no line of this format: ${line}`);
    return value;
  });
const allLinesOf = (text: string): string[] => text.split('\n').slice(0, -1);
/** The lines behind a header. */
const behind = (header: string, [first, ...lines]: string[]): string[] => {
  if (first !== header) throw new Error(`no header: ${first}`);
  return lines;
};
const ADDRESS = '[0-9.]+|[0-9a-f:]*:[0-9a-f:]*';
/** `"KEY":` or `KEY:`. */
const CDB_LINE = /^(?:"(?=[^"]*:)(?=[^"]+":$)|(?=[^":]+:$))([^"]+?)"?:$/;
const ZEEK_FIELDS = 'fields\tindicator\tindicator_type\tmeta.source\tmeta.desc\tmeta.url';
const ZEEK_LINE = /^([^\t#\\][^\t\\]*)\tIntel::(?:ADDR|SUBNET|DOMAIN|URL|EMAIL|FILE_HASH)(?:\t[^\t\\]+){3}$/;
/** The one cell of each row beside description and weight that is not empty. */
const lookedUp = (header: string, text: string): string[] => {
  const columns = header.split(',');
  const [names, ...rows] = cellsOf(text.replaceAll('\n', '\r\n'));
  if (names?.join() !== header) throw new Error('no header');
  return rows.map((cells) => {
    const compared = cells.filter((cell, i) => !['description', 'weight'].includes(columns[i] ?? '') && cell !== '');
    if (cells.length !== columns.length || compared.length !== 1) throw new Error(`no row: ${cells.join('|')}`);
    return compared[0] ?? '';
  });
};
/** Seven fields, then keys with values; a value ends where the next key begins. */
const CEF_LINE = /^CEF:0\|Sluice\|Sluice\|1\|[a-z0-9-]+\|Indicator\|(?:Unknown|\d|10)\|([A-Za-z]\w*=.+)$/;
const cefValue = (extension: string): string => {
  const pairs = extension.split(/ (?=[A-Za-z]\w*=)/).map((pair) => /^(\w+)=((?:[^\\=]|\\[\\=])*)$/.exec(pair) ?? []);
  const known = ['cat', 'cn1', 'cn1Label', 'cs1Label', 'c6a3Label', 'msg'];
  const values = pairs.filter(([, key = '']) => !known.includes(key));
  if (values.length !== 1 || pairs.some(([pair]) => pair === undefined)) throw new Error(`no event: ${extension}`);
  return (values[0]?.[2] ?? '').replace(/\\(.)/g, '$1');
};
const YARA_RULE =
  /^rule sluice_(?=(md5|sha1|sha256)_([0-9a-f]+) )\w+ \{ meta: description = "(?:[^"\\]|\\["\\])*" condition: hash\.\1\(0, filesize\) == "(?<value>\2)" \}$/;

const readers: Record<keyof typeof outputs, (document: string) => string[]> = {
  json: (text) => JSON.parse(text).data.map((row: any) => row.value),
  csv: (text) =>
    cellsOf(text)
      .slice(1)
      .map((cells) => cells[2] ?? ''),
  // Without comments, `#` begins a value like any other.
  txt: (text) =>
    text
      .split('\n')
      .slice(0, -1)
      .filter((line) => !/^# (?:All there is \(all\), TLP|Left out: )/.test(line)),
  ecs: (text) =>
    text
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line).threat.indicator.name),
  stix: (text) => patternsOf(JSON.parse(text).objects),
  adblock: (text) =>
    linesOf(text, '!').map((rule) => {
      const [, name] = /^\|\|([^|^$*@/]+)\^$/.exec(rule) ?? [];
      if (name === undefined) throw new Error(`another rule: ${rule}`);
      return name;
    }),
  domains: (text) => linesOf(text).flatMap(wordsOf),
  hosts: (text) => linesOf(text).flatMap((line) => wordsOf(line).slice(1)),
  'panos-domain': (text) => linesOf(text).flatMap(wordsOf),
  'panos-ip': (text) => linesOf(text).flatMap(wordsOf),
  'panos-url': (text) =>
    linesOf(text)
      .flatMap(wordsOf)
      .map((url) => url.replace(/^(\w+\.example)\/$/, '$1')),
  rpz: policiesOf,
  crowdsec: (text) =>
    matched(
      behind('duration,scope,value', allLinesOf(text)),
      /^\d+h,(?:Ip,(?=[^/]+$)|Range,(?=[^/]+\/\d+$))([0-9a-f:./]+)$/,
    ),
  'suricata-domain': (text) =>
    matched(allLinesOf(text), /^([A-Za-z0-9+/]+={0,2})$/).map((line) => Buffer.from(line, 'base64').toString()),
  'suricata-ip': (text) => matched(allLinesOf(text), new RegExp(`^(${ADDRESS})$`)),
  'suricata-iprep': (text) =>
    matched(
      linesOf(text),
      new RegExp(`^((?:${ADDRESS})(?:/\\d{1,3})?),(?:[1-9]|[1-5]\\d),(?:[1-9]\\d?|1[01]\\d|12[0-7])$`),
    ),
  'suricata-md5': (text) => matched(allLinesOf(text), /^([0-9a-f]{32})$/),
  'suricata-sha256': (text) => matched(allLinesOf(text), /^([0-9a-f]{64})$/),
  'wazuh-cdb': (text) => matched(allLinesOf(text), CDB_LINE),
  'zeek-intel': (text) => matched(behind(ZEEK_FIELDS, linesOf(text.replace('#fields\t', 'fields\t'))), ZEEK_LINE),
  cef: (text) => matched(allLinesOf(text), CEF_LINE).map(cefValue),
  'splunk-domain': (text) => lookedUp('description,domain,weight', text),
  'splunk-email': (text) => lookedUp('description,src_user,subject,weight', text),
  'splunk-file': (text) => lookedUp('description,file_hash,file_name,weight', text),
  'splunk-http': (text) => lookedUp('description,http_referrer,http_user_agent,url,weight', text),
  'splunk-ip': (text) => lookedUp('description,ip,weight', text),
  'yara-hash': (text) =>
    behind('import "hash"', linesOf(text, '//')).map((rule) => {
      const value = YARA_RULE.exec(rule)?.groups?.['value'];
      if (value === undefined) throw new Error(`no rule: ${rule}`);
      return value;
    }),
  checkpoint: (text) => {
    const [header, ...records] = text.split('\n').slice(0, -1);
    if (header !== '#UNIQ-NAME,VALUE,TYPE,CONFIDENCE,SEVERITY,PRODUCT,COMMENT') throw new Error('another header');
    return records.map((record) => {
      const fields = [...record.matchAll(/(?:^|,)"((?:[^"]|"")*)"/g)].map(([, field = '']) =>
        field.replaceAll('""', '"'),
      );
      if (fields.length !== 7 || fields.includes('')) throw new Error(`no whole record: ${record}`);
      return fields[1] ?? '';
    });
  },
  'cisco-fmc': (text) => linesOf(text).flatMap(wordsOf).map(withScheme),
  dnsmasq: (text) => matched(linesOf(text), /^server=\/([a-z0-9_.-]+)\/$/),
  f5: (text) => matched(linesOf(text), /^([0-9a-f.:]+),\d{1,3},bl,$/),
  fortinet: (text) => linesOf(text).flatMap(wordsOf),
  ipset: (text) => matched(linesOf(text).slice(4), /^add sluice[46] ([0-9a-f.:/]+) -exist$/),
  juniper: (text) => linesOf(text).flatMap(wordsOf),
  mikrotik: (text) =>
    matched(
      linesOf(text).slice(2),
      /^:do \{ \/(?:ip|ipv6) firewall address-list add list=sluice address=([0-9a-f.:/]+) \} on-error=\{\}$/,
    ),
  opnsense: (text) => linesOf(text).flatMap(wordsOf),
  pfsense: (text) => linesOf(text).flatMap(wordsOf),
  sonicwall: (text) => linesOf(text).flatMap(wordsOf),
  sophos: (text) => linesOf(text).flatMap(wordsOf),
  squid: (text) => linesOf(text).flatMap(wordsOf),
  unbound: (text) => matched(linesOf(text).slice(1), /^local-zone: "([a-z0-9_.-]+)\." always_nxdomain$/),
  ndjson: (text) =>
    patternsOf(
      text
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line)),
    ),
};

for (const [name, output] of Object.entries(outputs)) {
  testOutput(t, name, output, readers[name as keyof typeof outputs]);
}

const claims = jsonText([
  {
    feed: 'soc',
    feed_name: 'URLhaus',
    category: 'community',
    confidence: 85,
    article_url: 'https://news.example/1',
    techniques: ['T1059'],
  },
  { feed: 'house', feed_name: 'House', techniques: ['T1059', 'T1566'] },
]);

t.test('json: a row has a member for all that is known, with SOC Defenders’ names, and no others', async (t) => {
  const full = indicatorEntry({ type: 'ipv4', value: '192.0.2.1', confidence: 85, description: 'd', sources: claims });
  const bare = indicatorEntry({
    value: 'bare.example',
    confidence: null,
    firstSeen: null,
    lastSeen: null,
    validUntil: null,
    labels: null,
  });
  const { meta, data } = JSON.parse(await write(outputs.json, [[full, bare]], { about: { meta: { total: 2 } } }));
  t.strictSame(meta, { total: 2 });
  const time = '2026-01-01T00:00:00.000Z';
  const [source, house] = JSON.parse(claims);
  t.strictSame(data[0], {
    id: full.objectId.slice(11),
    type: 'ipv4',
    value: '192.0.2.1',
    confidence: 'high',
    confidence_score: 85,
    first_seen: time,
    last_seen: time,
    updated_at: time,
    valid_until: '2026-01-31T00:00:00.000Z',
    tlp: 'green',
    source,
    sources: [source, house],
    context: 'd',
    tags: ['botnet', 'malware'],
    mitre_techniques: ['T1059', 'T1566'],
  });
  t.strictSame(Object.keys(data[1]), [
    'id',
    'type',
    'value',
    'updated_at',
    'tlp',
    'source',
    'sources',
    'tags',
    'mitre_techniques',
  ]);
});

t.test('json: the words of confidence are STIX 2.1 appendix A’s', async (t) => {
  const words: [number, string][] = [
    [100, 'high'],
    [70, 'high'],
    [69, 'medium'],
    [30, 'medium'],
    [29, 'low'],
    [1, 'low'],
    [0, 'none'],
  ];
  for (const [confidence, word] of words) {
    const { data } = JSON.parse(await write(outputs.json, [[indicatorEntry({ confidence })]]));
    t.equal(data[0].confidence, word, `${confidence}`);
  }
});

t.test('txt: with comments, the first line names the collection', async (t) => {
  const entry = indicatorEntry({ value: 'a.example' });
  t.equal(await write(outputs.txt, [[entry]]), 'a.example\n');
  t.equal(
    await write(outputs.txt, [[entry]], { options: { comments: true } }),
    '# All there is (all), TLP:AMBER, 2026-01-01T00:00:00.000Z\na.example\n',
  );
});

t.test('csv: SOC Defenders’ ten columns, and when a row ends', async (t) => {
  const text = await write(outputs.csv, [[indicatorEntry({ type: 'ipv4', value: '192.0.2.1', sources: claims })]]);
  const [header, row] = cellsOf(text);
  t.equal(
    header?.join(),
    'id,type,value,confidence,first_seen,last_seen,source_article,source_feed,category,tags,valid_until',
  );
  t.strictSame(row?.slice(1), [
    'ipv4',
    '192.0.2.1',
    'high',
    '2026-01-01T00:00:00.000Z',
    '2026-01-01T00:00:00.000Z',
    'https://news.example/1',
    'URLhaus',
    'community',
    'botnet;malware',
    '2026-01-31T00:00:00.000Z',
  ]);
});

t.test('csv: no cell is a formula, whoever wrote it', async (t) => {
  const formulas = [
    '=HYPERLINK("http://x","y")',
    '+1+1',
    '-2+3',
    '@SUM(1)',
    '\t=1',
    '\r=1',
    ' =1',
    '\u00a0=cmd|x',
    '＝1',
    '＠x',
  ];
  for (const value of formulas) {
    const entry = indicatorEntry({
      type: 'file-name',
      value,
      labels: jsonText([value]),
      sources: jsonText([{ feed: 'f', feed_name: value, category: value, article_title: value }]),
    });
    const [, row] = cellsOf(await write(outputs.csv, [[entry]]));
    for (const column of [2, 6, 7, 8, 9])
      t.equal(row?.[column], `'${value}`, `${JSON.stringify(value)} in column ${column}`);
  }
  const [, row] = cellsOf(await write(outputs.csv, [[indicatorEntry({ value: 'a=b-c.example' })]]));
  t.equal(row?.[2], 'a=b-c.example', 'what only holds such a character stays as it is');
});

t.test('stix and ndjson: objects as TAXII serves them, others than indicators as they came', async (t) => {
  const raw = objectEntry({
    name: 'x',
    raw: jsonText({ type: 'relationship', id: 'relationship--1', x_custom: { deep: [1] } }),
  });
  const entry = indicatorEntry({ kept: jsonText({ x_custom: 'kept' }), dateAdded: START });
  const bundle = JSON.parse(await write(outputs.stix, [[raw, entry]]));
  t.match(bundle, { type: 'bundle', id: /^bundle--[0-9a-f]{8}-[0-9a-f]{4}-4/ });
  t.strictSame(bundle.objects[0], JSON.parse(raw.raw));
  t.match(bundle.objects[1], { type: 'indicator', created_by_ref: IDENTITY, x_custom: 'kept' });
  const lines = (await write(outputs.ndjson, [[raw], [entry]])).trimEnd().split('\n');
  t.strictSame(
    lines.map((line) => JSON.parse(line)),
    bundle.objects,
  );
  t.not(JSON.parse(await write(outputs.stix, [])).id, bundle.id, 'each bundle has an id of its own');
});
