import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import t from 'tap';
import { makeParser } from '../../grammar/make.ts';
import type { ObservableType } from '../../src/model/observable.ts';
import { parseSingleComparison } from '../../src/stix/pattern/single-comparison.ts';
import { MAX_VALUES, splitPattern } from '../../src/stix/pattern/split.ts';
import { MAX_PATTERN, parseSyntax } from '../../src/stix/pattern/syntax.ts';
import { readPattern } from '../../src/stix/pattern/values.ts';
import { samples } from '../helpers/observables.ts';
import { runPython } from '../helpers/python.ts';

const { md5, sha1, sha256, sha512 } = samples;

type Split = [types: string, value: string, ...labels: string[]];

/** Types, value and labels of each value; or the fault. */
function splitOf(pattern: string): Split[] | string {
  const read = readPattern(pattern);
  if ('fault' in read) return read.fault;
  return read.values.map(({ types, value, labels }) => [types.join('|'), value, ...labels]);
}

t.test('the parser is made from the grammar beside it', async (t) => {
  const made = readFileSync(new URL('../../src/stix/pattern/parser.ts', import.meta.url), 'utf8');
  t.ok(made === makeParser(), 'node grammar/generate.ts writes it anew');
});

t.test('a single comparison is read in all spellings of the field', async (t) => {
  const read: [string, ObservableType, string][] = [
    ["[ipv4-addr:value='1.2.3.4']", 'ipv4', '1.2.3.4'],
    ["  [ ipv4-addr:value   =  '1.2.3.4' ]\n", 'ipv4', '1.2.3.4'],
    ["[ipv4-addr:value == '1.2.3.4']", 'ipv4', '1.2.3.4'],
    ["[ipv4-addr:value ISSUBSET '198.51.100.0/24']", 'ipv4', '198.51.100.0/24'],
    ["[ipv6-addr:value   ISSUBSET   '2001:db8::/32']", 'ipv6', '2001:db8::/32'],
    [`[file:hashes.SHA256 = '${sha256}']`, 'sha256', sha256],
    [`[file:hashes."SHA-256" = '${sha256}']`, 'sha256', sha256],
    [`[file:hashes.'sha-256' = '${sha256}']`, 'sha256', sha256],
    [`[file:hashes.SHA-256 = '${sha256}']`, 'sha256', sha256],
    [`[file:hashes.'SHA256' = '${sha256}']`, 'sha256', sha256],
    [`[file:hashes.sha1 = '${sha1}']`, 'sha1', sha1],
    [`[file:hashes.'MD5' = '${md5}']`, 'md5', md5],
    [`[file:hashes.md5 = '${md5}']`, 'md5', md5],
    [`[x509-certificate:hashes.SHA1 = '${sha1}']`, 'x509', sha1],
    ['[autonomous-system:number=64496]', 'asn', '64496'],
    ["[autonomous-system:number = '64496']", 'asn', '64496'],
    ["[url:value = 'http://e.example/it\\'s']", 'url', "http://e.example/it's"],
    ["[windows-registry-key:key = 'HKLM\\\\Software\\\\X']", 'registry-key', 'HKLM\\Software\\X'],
    ["[windows-registry-key:key = 'HKLM\\Software\\X']", 'registry-key', 'HKLM\\Software\\X'],
    ["[domain-name:value = 'a OR b']", 'domain', 'a OR b'],
  ];
  for (const [pattern, type, value] of read) {
    t.same(parseSingleComparison(pattern), { type, value }, pattern);
    t.same(splitOf(`(${pattern})`), [[type, value]], `${pattern}, by the grammar`);
  }
});

t.test('the short way for one comparison says what the grammar says, or nothing', async (t) => {
  const pieces = fc.constantFrom(
    ...[
      '[',
      ']',
      '(',
      ')',
      ' ',
      '\n',
      "'",
      '\\',
      "\\'",
      '"',
      '.',
      ':',
      '=',
      '==',
      '!=',
      'ISSUBSET',
      ' ISSUBSET ',
      ' OR ',
    ],
    ...['ipv4-addr', 'value', 'file', 'hashes', 'SHA-256', 'MD5', 'autonomous-system', 'number', '0', '07', '64496'],
    ...["[ipv4-addr:value = '", "[file:hashes.'SHA-256' = '", '[autonomous-system:number = ', "']", 'x', '/**/', '//'],
  );
  const { assert, property, array, record, constantFrom } = fc;
  const near = record({
    space: constantFrom('', ' ', '\t\n'),
    head: constantFrom(
      'ipv4-addr:value',
      'url:value',
      'file:name',
      'file:hashes.MD5',
      "file:hashes.'SHA-1'",
      'file:hashes."SHA-512"',
      'autonomous-system:number',
      'mutex:name',
      'constructor:value',
    ),
    operator: constantFrom('=', '==', ' ISSUBSET ', ' ISSUBSET', 'ISSUBSET', '!=', ' NOT = '),
    value: array(constantFrom('a', '1', "\\'", '\\\\', '\\', ' ', ']', '[', 'OR', '\n'), { maxLength: 6 }),
    quote: constantFrom("'", "'", "'", ''),
    tail: constantFrom(']', ' ]', '] ', ']]', ''),
  }).map(
    ({ space, head, operator, value, quote, tail }) =>
      `[${space}${head}${space}${operator}${space}${quote}${value.join('')}${quote}${tail}`,
  );
  let plain = 0;
  assert(
    property(
      fc.oneof(
        near,
        array(pieces, { maxLength: 12 }).map((all) => all.join('')),
      ),
      (pattern) => {
        const short = parseSingleComparison(pattern);
        if (short === null) return true;
        plain += 1;
        const syntax = parseSyntax(pattern);
        const split = 'root' in syntax ? splitPattern(syntax.root) : [];
        return JSON.stringify(split) === JSON.stringify([{ types: [short.type], value: short.value, labels: [] }]);
      },
    ),
    { numRuns: 10_000, seed: 11 },
  );
  t.ok(plain > 300, `${plain} patterns came the short way`);
});

/** Patterns of every form that the standard has, and such as miss it by a little. */
function anyPattern(): fc.Arbitrary<string> {
  const { constantFrom, oneof, tuple, array, string, nat } = fc;
  const mostly = (good: string[], bad: string[]) =>
    oneof({ weight: 60, arbitrary: constantFrom(...good) }, { weight: 1, arbitrary: constantFrom(...bad) });
  const word = mostly(
    ['a', 'x_y', 'A1', 'value', '_', 'INx', 'LASTS', 'h', 't'],
    ['IN', 'EXISTS', 'true', 'LAST', 'START', 'a-', 'b-c'],
  );
  const object = mostly(['ipv4-addr', 'a', 'x--y', 'a-'], ['IN', 'true', '-a', '1a', 'LAST']);
  const text = oneof(
    string({ maxLength: 4 }).map((inner) => inner.replace(/['\\]/g, '\\$&')),
    mostly(["\\'", '\\\\', '', ']', 'ü', '\n'], ['\\', "'"]),
  ).map((inner) => `'${inner}'`);
  const number = mostly(
    ['0', '1', '-1', '+1', '-0', '1.5', '.5', '-.5', '12345678901234567890'],
    ['01', '1.', '1.0e3', '--1'],
  );
  const count = mostly(['1', '+2', '0', '10'], ['-1', '-0', '1.5', '-.5', '02']);
  const time = mostly(
    ["t'2024-01-31T23:59:60Z'", "t'2024-02-30T00:00:00.5Z'", "t'0000-12-01T00:00:00Z'"],
    [
      "t'2024-13-01T00:00:00Z'",
      "t'2024-01-01'",
      "t'2024-00-10T24:00:00Z'",
      "t'2024-01-32T00:00:00Z'",
      "t'2024-01-01T00:60:00Z'",
      "t'2024-01-01T00:00:00'",
    ],
  );
  const binary = mostly(
    ["h'ab'", "h''", "b'YWI='", "b''", "b'YQ=='", "b'YWJj'"],
    ["h'a'", "b'YW'", "b'YQ='", "b'Y==='", "h'xy'"],
  );
  const ordered = oneof(text, number, time, binary);
  const literal = oneof({ weight: 5, arbitrary: ordered }, mostly(['true', 'false'], ['TRUE', 'truex']));
  const step = oneof(
    oneof(word, text).map((key) => `.${key}`),
    mostly(['[*]', '[0]', '[-1]', ' . a', ' [ 2 ]'], ['[01]', '["a"]', '."b"', '.', '[a]']),
  );
  const path = tuple(object, oneof(word, text), array(step, { maxLength: 2 })).map(
    ([of, first, steps]) => `${of}:${first}${steps.join('')}`,
  );
  const gap = mostly(
    [' ', ' ', '', '\t\n', '/* x */', '/***/', '// y\n', '\u00a0'],
    ['/* ', '\u200b', '\ufeff', '/*/'],
  );
  const equal = mostly(['=', '==', '!=', '<>', 'NOT =', 'NOT!='], ['=<', 'NOT', '']);
  const order = mostly(['<', '>=', '>', '<=', 'NOT >'], ['=>', '< =']);
  const like = mostly(['LIKE', 'MATCHES', 'ISSUBSET', 'ISSUPERSET', 'NOT LIKE'], ['NOTLIKE', 'like', 'LIKES']);
  const test = oneof(
    tuple(path, gap, equal, gap, literal).map((all) => all.join('')),
    tuple(path, gap, order, gap, ordered).map((all) => all.join('')),
    tuple(path, constantFrom(' '), like, gap, text).map((all) => all.join('')),
    tuple(path, array(literal, { maxLength: 3 }), mostly([' IN ', ' NOT IN ', ' IN\n'], ['IN'])).map(
      ([of, all, word]) => `${of}${word}(${all.join(',')})`,
    ),
    path.map((of) => `EXISTS ${of}`),
  );
  const joined = (part: fc.Arbitrary<string>, words: string[]) =>
    array(part, { minLength: 1, maxLength: 3 }).chain((parts) =>
      array(tuple(gap, constantFrom(...words), gap), { minLength: parts.length, maxLength: parts.length }).map(
        (between) => parts.map((one, i) => (i === 0 ? one : `${between[i]?.join('')}${one}`)).join(''),
      ),
    );
  const facts = joined(
    oneof(
      { weight: 3, arbitrary: test },
      joined(test, ['AND', 'OR']).map((all) => `(${all})`),
    ),
    ['AND', 'OR', 'FOLLOWEDBY', 'and'],
  );
  const bound = oneof(
    tuple(time, time).map(([from, to]) => ` START ${from} STOP ${to}`),
    count.map((n) => ` WITHIN ${n} SECONDS`),
    number.map((n) => ` WITHIN ${n}SECONDS`),
    tuple(count, constantFrom('', ' ')).map(([n, space]) => ` REPEATS ${n}${space}TIMES`),
  );
  const observed = tuple(facts, array(bound, { maxLength: 2 })).map(([all, bounds]) => `[${all}]${bounds.join('')}`);
  const group = joined(observed, ['AND', 'OR', 'FOLLOWEDBY']);
  const whole = oneof(
    { weight: 3, arbitrary: group },
    tuple(
      joined(
        group.map((all) => `(${all})`),
        ['OR', 'FOLLOWEDBY'],
      ),
      oneof(constantFrom(''), bound),
    ).map((all) => all.join('')),
  );
  // One character more or fewer: most are still valid in some part.
  return tuple(
    whole,
    oneof({ weight: 4, arbitrary: constantFrom(null) }, tuple(nat(), constantFrom('', ...'()[]\'" =.:-,1aO'))),
  ).map(([all, change]) => {
    if (change === null) return all;
    const at = change[0] % (all.length + 1);
    return all.slice(0, at) + change[1] + all.slice(at + (change[1] === '' ? 1 : 0));
  });
}

const OASIS = `
import json, sys
from stix2patterns.v21.pattern import Pattern
def valid(text):
    try:
        Pattern(text)
        return True
    except Exception:
        return False
print(json.dumps([valid(text) for text in json.load(sys.stdin)]))
`;

t.test("the grammar takes what OASIS's parser takes, and refuses what it refuses", async (t) => {
  const patterns = fc
    .sample(anyPattern(), { numRuns: 1500, seed: 7 })
    .map((pattern) => pattern.toWellFormed())
    .concat(JSON.parse(readFileSync(new URL('../fixtures/patterns.json', import.meta.url), 'utf8')));
  const result = await runPython(t, OASIS, [], JSON.stringify(patterns));
  if (result === null) return;
  t.equal(result.code, 0, result.stderr);
  const theirs: boolean[] = JSON.parse(result.stdout);
  const ours = patterns.map((pattern) => {
    const syntax = parseSyntax(pattern);
    return 'root' in syntax && !syntax.isLoose;
  });
  const differ = patterns.flatMap((pattern, i) => (ours[i] === theirs[i] ? [] : [{ pattern, ours: ours[i] }]));
  t.same(differ.slice(0, 20), []);
  t.ok(theirs.filter((valid) => valid).length > 150, 'many are valid');
  t.ok(theirs.filter((valid) => !valid).length > 150, 'many are not');
});

t.test('alternatives, lists and parentheses are their values', async (t) => {
  const [a, b, c] = [
    "ipv4-addr:value = '1.2.3.4'",
    "domain-name:value = 'b.example'",
    "url:value = 'http://c.example/'",
  ];
  const [va, vb, vc]: Split[] = [
    ['ipv4', '1.2.3.4'],
    ['domain', 'b.example'],
    ['url', 'http://c.example/'],
  ];
  t.same(splitOf(`[${a} OR ${b}]`), [va, vb]);
  t.same(splitOf(`[${a}] OR [${b}] OR [${c}]`), [va, vb, vc]);
  t.same(splitOf(`[(${a})]`), [va]);
  t.same(splitOf(`([${a}])`), [va]);
  t.same(splitOf(`(([${a} OR (${b} OR (${c}))]) OR [${a}])`), [va, vb, vc, va]);
  t.same(splitOf("[ipv4-addr:value IN ('203.0.113.17','203.0.113.18')]"), [
    ['ipv4', '203.0.113.17'],
    ['ipv4', '203.0.113.18'],
  ]);
  t.same(splitOf("[ipv4-addr:value ISSUBSET '198.51.100.0/24' OR ipv4-addr:value = '1.2.3.4']"), [
    ['ipv4', '198.51.100.0/24'],
    va,
  ]);
  t.same(splitOf('[autonomous-system:number IN (64496, 64497)]'), [
    ['asn', '64496'],
    ['asn', '64497'],
  ]);
  t.same(splitOf(`[${a}] WITHIN 5 SECONDS`), [va], 'one observation lies within any stretch of time');
  t.same(splitOf(`([${a}] OR [${b}]) REPEATS 1 TIMES`), [va, vb]);
  t.same(splitOf(`[${a} /* AND x */ OR // y\n ${b}]`), [va, vb]);
  t.same(splitOf("[domain-name:value = 'x]\\' OR [' OR url:value = 'u AND v']"), [
    ['domain', "x]' OR ["],
    ['url', 'u AND v'],
  ]);
});

t.test('several hashes of one file, or of one certificate, each name it', async (t) => {
  const hashes = `file:hashes.MD5 = '${md5}' AND file:hashes.'SHA-256' = '${sha256}'`;
  const split: Split[] = [
    ['md5', md5],
    ['sha256', sha256],
  ];
  t.same(splitOf(`[${hashes}]`), split);
  t.same(splitOf(`[${hashes.replace('AND', 'OR')}]`), split);
  t.same(
    splitOf(`[${hashes} AND (file:hashes.'SHA-512' = '${sha512}' AND file:hashes.SSDEEP = '3:a:b') AND file:size = 9]`),
    [...split, ['sha512', sha512]],
    'size and other kinds of hash say nothing more',
  );
  t.same(splitOf(`[file:name = 'evil.exe' AND file:hashes.MD5 = '${md5}']`), [['md5', md5, 'file-name:evil.exe']]);
  t.same(splitOf(`[x509-certificate:hashes.'SHA-1' = '${sha1}' AND x509-certificate:hashes.MD5 = '${md5}']`), [
    ['x509', sha1],
    ['x509', md5],
  ]);
  t.same(splitOf(`[(file:name = 'a' AND file:hashes.MD5 = '${md5}') OR file:hashes.'SHA-1' = '${sha1}']`), [
    ['md5', md5, 'file-name:a'],
    ['sha1', sha1],
  ]);
});

t.test('the address at one end of traffic, as MISP and sandboxes write it', async (t) => {
  const any = 'ipv4|ipv6|domain';
  const end = (side: string, type: string, value: string) =>
    `network-traffic:${side}_ref.type = '${type}' AND network-traffic:${side}_ref.value = '${value}'`;
  t.same(splitOf(`[${end('dst', 'ipv4-addr', '198.51.100.7')}]`), [['ipv4', '198.51.100.7']]);
  t.same(splitOf(`[${end('src', 'ipv6-addr', '2001:db8::1')}]`), [['ipv6', '2001:db8::1']]);
  t.same(splitOf(`[${end('dst', 'domain-name', 'a.example')}]`), [['domain', 'a.example']]);
  t.same(splitOf("[network-traffic:src_ref.value = '1.2.3.4']"), [[any, '1.2.3.4']]);
  t.same(splitOf("[network-traffic:dst_ref.value IN ('1.2.3.4', 'a.example')]"), [
    [any, '1.2.3.4'],
    [any, 'a.example'],
  ]);
  t.same(splitOf("[network-traffic:dst_ref.value ISSUBSET '198.51.100.0/24']"), [['ipv4|ipv6', '198.51.100.0/24']]);
  t.same(
    splitOf(`[(${end('dst', 'ipv4-addr', '198.51.100.7')}) AND network-traffic:dst_port = '443']`),
    [['ipv4', '198.51.100.7', 'port:443']],
    "MISP's ip-port object",
  );
  t.same(
    splitOf(
      "[network-traffic:dst_ref.value = '1.2.3.4' AND network-traffic:dst_port = 53 AND network-traffic:protocols[*] = 'udp']",
    ),
    [[any, '1.2.3.4', 'port:53', 'protocol:udp']],
  );
  t.same(splitOf("[domain-name:value = 'a.example' AND network-traffic:dst_port = 8443]"), [
    ['domain', 'a.example', 'port:8443'],
  ]);
  t.same(splitOf(`[${end('src', 'ipv4-addr', '1.2.3.4')}] OR [${end('dst', 'ipv4-addr', '1.2.3.5')}]`), [
    ['ipv4', '1.2.3.4'],
    ['ipv4', '1.2.3.5'],
  ]);
  t.same(splitOf("[email-message:from_ref.value = 'a@b.example']"), [['email', 'a@b.example']]);
});

t.test('a pattern whose values say more than itself is not split, and says why', async (t) => {
  const [ip, name] = ["ipv4-addr:value = '1.2.3.4'", "domain-name:value = 'a.example'"];
  const dst = "network-traffic:dst_ref.value = '1.2.3.4'";
  const others: [string, RegExp][] = [
    [`[${ip}] AND [${name}]`, /^AND of observations$/],
    [`[${ip}] FOLLOWEDBY [${name}]`, /^FOLLOWEDBY of observations$/],
    [`[${ip}] OR ([${ip}] FOLLOWEDBY [${name}])`, /^FOLLOWEDBY of observations$/],
    [`[${ip} AND ${name}]`, /^AND of different things$/],
    [`[${ip} AND url:value = 'http://1.2.3.4/']`, /^AND of different things$/],
    [`[${ip} OR (${name} AND url:value = 'http://a.example/')]`, /^AND of different things$/],
    [`[url:value = 'http://a.example/' AND network-traffic:dst_port = 80]`, /^AND of different things$/],
    [`[file:hashes.MD5 = '${md5}' AND (${ip} OR ${name})]`, /^OR within AND$/],
    [`[${ip}] START t'2024-01-01T00:00:00Z' STOP t'2024-01-02T00:00:00Z'`, /bound by START$/],
    [`[${ip}] REPEATS 5 TIMES WITHIN 60 SECONDS`, /bound by REPEATS$/],
    [`[ipv4-addr:value != '1.2.3.4']`, /by !=$/],
    [`[ipv4-addr:value NOT = '1.2.3.4']`, /by NOT =$/],
    [`[ipv4-addr:value NOT IN ('1.2.3.4')]`, /by NOT IN$/],
    [`[ipv4-addr:value NOT ISSUBSET '1.2.3.0/24']`, /by NOT ISSUBSET$/],
    [`[ipv4-addr:value ISSUPERSET '1.2.3.0/24']`, /by ISSUPERSET$/],
    [`[url:value LIKE 'http://a%']`, /by LIKE$/],
    [`[url:value MATCHES '^http']`, /by MATCHES$/],
    [`[url:value ISSUBSET 'http://a.example']`, /by ISSUBSET$/],
    [`[${ip} OR url:value LIKE 'http://a%']`, /by LIKE$/],
    [`[file:hashes.MD5 = '${md5}' AND file:name NOT = 'a']`, /^AND with a comparison by NOT =$/],
    [`[file:hashes.MD5 = '${md5}' AND file:size > 3]`, /^AND with a comparison by >$/],
    [`[file:hashes.MD5 IN ('${md5}') AND file:name = 'a']`, /^AND with file:hashes.MD5$/],
    [`[file:hashes.MD5 = '${md5}' AND file:hashes.md5 = '${md5}']`, /two hashes of one kind/],
    [`[file:hashes.MD5 = '${md5}' AND file:hashes.MD5 = '${md5}']`, /two comparisons on one property/],
    [
      `[file:hashes.MD5 = '${md5}' AND file:parent_directory_ref.path = 'C:']`,
      /^AND with file:parent_directory_ref.path$/,
    ],
    [`[file:name = 'a' AND file:size = 3]`, /without a hash/],
    [`[file:hashes.SSDEEP = '3:abc' AND file:name = 'a']`, /without a hash/],
    [`[${dst} AND network-traffic:src_ref.value = '1.2.3.5']`, /^AND of different things$/],
    [`[${dst} AND network-traffic:src_port = 80]`, /^AND with network-traffic:src_port$/],
    [`[${dst} AND network-traffic:src_ref.type = 'ipv4-addr']`, /^AND with network-traffic:src_ref.type$/],
    [`[${dst} AND network-traffic:dst_ref.type = 'mac-addr']`, /^AND with network-traffic:dst_ref.type$/],
    [`[${dst} AND network-traffic:dst_port = 70000]`, /^AND with network-traffic:dst_port$/],
    [`[${dst} AND network-traffic:dst_port > 70]`, /by >$/],
    [`[${dst} AND network-traffic:dst_port = true]`, /^AND with network-traffic:dst_port$/],
    [`[${dst} AND network-traffic:dst_port = 80.5]`, /^AND with network-traffic:dst_port$/],
    [`[${dst} AND network-traffic:protocols[0] = 6]`, /^AND with network-traffic:protocols\[0\]$/],
    [
      "[network-traffic:dst_ref.type = 'domain-name' AND network-traffic:dst_ref.value ISSUBSET 'a.example']",
      /by ISSUBSET$/,
    ],
    [`[file:hashes.MD5 = '${md5}' AND file:name = 3]`, /^AND with file:name$/],
    [`[${name} AND network-traffic:dst_port = 80 AND network-traffic:src_port = 80]`, /two ports/],
    [
      `[${name} AND domain-name:resolves_to_refs[*].value = '1.2.3.4']`,
      /^AND with domain-name:resolves_to_refs\[\*\].value$/,
    ],
    ["[domain-name:resolves_to_refs[*].value = '1.2.3.4']", /nothing that is modelled/],
    ["[network-traffic:dst_ref.name = 'x']", /nothing that is modelled/],
    ["[file:hashes.SSDEEP = '3:abc']", /nothing that is modelled/],
    [`[file:hashes.'SHA-512/256' = '${sha256}']`, /nothing that is modelled/],
    [`[x509-certificate:hashes.'SHA-512' = '${sha512}']`, /nothing that is modelled/],
    ["[mutex:name = 'x']", /^mutex:name is nothing that is modelled$/],
    ["[constructor:value = 'x']", /nothing that is modelled/],
    ['[EXISTS ipv4-addr:value]', /by EXISTS$/],
    ['[ipv4-addr:value = 1]', /no text/],
    ["[ipv4-addr:value = t'2024-01-01T00:00:00Z']", /no text/],
    ['[ipv4-addr:value IN ()]', /^no value$/],
  ];
  for (const [pattern, fault] of others) {
    const read = readPattern(pattern);
    t.match(read, { fault, isStix: true }, pattern);
  }
});

t.test('what is no pattern is told with its place; spellings of the field are read and not passed on', async (t) => {
  for (const [text, place] of [
    ['', 1],
    ['rule x { condition: true }', 1],
    ["[a:b = 'x'", 11],
    ["[a:b = 'x]", 11],
    ["[a:b = 'x')", 11],
    ["ipv4-addr:value = '1.2.3.4'", 1],
    ["[ipv4-addr:value = '1.2.3.4'']", 29],
    ["[ipv4-addr:valueISSUBSET '1.2.3.4']", 26],
    ["[a:b = 'x' or c:d = 'y']", 12],
    ['()', 2],
    ['[[a:b = 1]', 2],
  ] as const) {
    t.same(readPattern(text), { fault: `no STIX pattern from character ${place} on`, isStix: false }, text);
  }
  t.match(readPattern("[mutex:name = 'a\\b']"), { fault: /modelled/, isStix: false });
  t.match(readPattern('[mutex:"name" = 1]'), { isStix: false });
  t.match(readPattern('[file:hashes.TLSH-1 = 1]'), { fault: /modelled/, isStix: false });
});

t.test('length, depth and the number of values are bounded', async (t) => {
  const nested = (depth: number) => `${'('.repeat(depth)}[ipv4-addr:value = '1.2.3.4']${')'.repeat(depth)}`;
  t.same(splitOf(nested(64)), [['ipv4', '1.2.3.4']]);
  t.equal(splitOf(nested(65)), 'nested too deep, more than 64 parentheses');
  t.equal(splitOf(nested(10_000)), 'nested too deep, more than 64 parentheses');
  t.equal(splitOf(`[${'('.repeat(10_000)}`), 'nested too deep, more than 64 parentheses');
  t.equal(splitOf('('.repeat(MAX_PATTERN + 1)), `${MAX_PATTERN + 1} characters, more than ${MAX_PATTERN}`);
  const list = (count: number) => `[ipv4-addr:value IN (${Array(count).fill("'1.2.3.4'").join()})]`;
  t.equal(splitOf(list(MAX_VALUES)).length, MAX_VALUES);
  t.equal(splitOf(list(MAX_VALUES + 1)), `${MAX_VALUES + 1} values, more than ${MAX_VALUES}`);
  t.equal(splitOf(`[${Array(300).fill(`file:hashes.'SHA-256' = '${sha256}'`).join(' OR ')}]`).length, 300);
});
