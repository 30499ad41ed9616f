import { parseSingleComparison } from '../src/stix/pattern/single-comparison.ts';
import { splitPattern } from '../src/stix/pattern/split.ts';
import { MAX_PATTERN, parseSyntax } from '../src/stix/pattern/syntax.ts';
import { readPattern } from '../src/stix/pattern/values.ts';
import { median, printTable } from './measure.ts';

/**
 * The time to read a pattern: parseSingleComparison beside the grammar on the same text, and the grammar on
 * the largest patterns that it takes.
 */
const ROUNDS = 7;

const sha256 = 'a'.repeat(64);
const plain = [
  "[ipv4-addr:value = '198.51.100.7']",
  "[url:value = 'http://a.example/some/path?with=query']",
  `[file:hashes.'SHA-256' = '${sha256}']`,
];
const fill = (part: string, between = ''): string =>
  Array(Math.floor((MAX_PATTERN - 30) / (part.length + between.length)))
    .fill(part)
    .join(between);
const large: Record<string, string> = {
  'OR of SHA-256': `[${fill(`file:hashes.'SHA-256' = '${sha256}'`, ' OR ')}]`,
  'parentheses, never closed': '('.repeat(MAX_PATTERN),
  'a comment': `[a:b = 1 /*${fill('*')}*/]`,
  'a path': `[a:b${fill('.c')} = 1]`,
  'escaped quotes': `[a:b = '${fill("\\'")}']`,
};

/** Microseconds a call, at the median of the rounds. */
function cost(calls: number, call: (n: number) => unknown): number {
  const times = Array.from({ length: ROUNDS }, () => {
    const started = process.hrtime.bigint();
    for (let n = 0; n < calls; n += 1) call(n);
    return Number(process.hrtime.bigint() - started) / 1000 / calls;
  });
  return median(times);
}

function byGrammar(text: string): unknown {
  const syntax = parseSyntax(text);
  return 'root' in syntax ? splitPattern(syntax.root) : syntax;
}

const short = cost(20_000, (n) => parseSingleComparison(plain[n % plain.length] as string));
const whole = cost(2000, (n) => byGrammar(plain[n % plain.length] as string));
printTable(
  ['one comparison', 'microseconds', 'ratio'],
  [
    ['parseSingleComparison', short.toFixed(2), '1'],
    ['by the grammar', whole.toFixed(2), (whole / short).toFixed(0)],
  ],
);
printTable(
  [`${MAX_PATTERN} characters`, 'milliseconds'],
  Object.entries(large).map(([name, text]) => [name, (cost(3, () => readPattern(text)) / 1000).toFixed(1)]),
);
