import { readFileSync } from 'node:fs';
import peggy from 'peggy';

const grammar = new URL('stix-pattern.peggy', import.meta.url);

const HEAD = '// @ts-nocheck: made from grammar/stix-pattern.peggy by `node grammar/generate.ts`.\n';

/** The parser of STIX patterns as source text: plain JavaScript that needs nothing else to run. */
export function makeParser(): string {
  const source = peggy.generate(readFileSync(grammar, 'utf8'), {
    grammarSource: 'grammar/stix-pattern.peggy',
    format: 'es',
    output: 'source',
  });
  return HEAD + source;
}
