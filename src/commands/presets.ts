import type { Command } from 'commander';
import { findPresets, type Preset, presets, presetYaml, promiseOf, termsOf, usualRows } from '../feeds/presets.ts';
import type { Redistribution } from '../model/definition.ts';
import { GatewayError } from '../model/error.ts';
import type { CommandContext } from './context.ts';
import { formatJson, formatTable, printable } from './terminal.ts';

/** `sluice presets`: lists the well-known feeds, searches them, and shows all that is known of one. */
export function addPresets(program: Command, { terminal }: CommandContext): void {
  program
    .command('presets')
    .description('list or search the well-known feeds; with the name of one, show it and the lines to paste')
    .argument('[words...]', 'words that the name, title or tags hold, or a name')
    .option('--json', 'answer in JSON')
    .action((words: string[], options: { json?: boolean }) => {
      const [name = ''] = words;
      const one = words.length === 1 && Object.hasOwn(presets, name) ? presets[name] : undefined;
      const found: [string, Preset][] = one === undefined ? findPresets(words) : [[name, one]];
      if (found.length === 0) {
        throw new GatewayError('not-found', `No preset has ${words.join(' and ')} in its name, title or tags.`);
      }
      if (options.json) terminal.out(formatJson(found.map(([name, preset]) => ({ name, ...preset }))));
      else terminal.out(one === undefined ? tableOf(found) : describe(name, one));
    });
}

function tableOf(found: readonly [string, Preset][]): string {
  const rows = found.map(([name, { title, facts, options }]) => [
    name,
    facts.key === 'none' ? '-' : facts.key,
    String(options['every'] ?? 'by plan'),
    title,
  ]);
  return `${formatTable(['NAME', 'KEY', 'EVERY', 'FEED'], rows)}\nsluice presets NAME shows all that is known of one, and the lines to paste.\n`;
}

function describe(name: string, preset: Preset): string {
  const { title, format, facts, options } = preset;
  const { homepage, key, key_from, min_every, caution, tags, read } = facts;
  const { attribution, terms, redistribution } = termsOf(preset);
  const passedOn: Record<Redistribution, string> = {
    yes: 'yes',
    'non-commercial': 'yes, but not for money',
    no: 'no: inside of your organisation only',
    unknown: 'not known: ask its publisher',
  };
  const lines: [string, string | undefined][] = [
    ['Homepage', homepage],
    ['Format', format],
    ['Key', key_from === undefined ? key : `${key}, from ${key_from}`],
    ['Polled every', `${options['every'] ?? 'as the plan allows'}, at least ${min_every}`],
    ['Usual size', usualRows(preset) ?? undefined],
    ['Stalled after', promiseOf(preset)],
    ['Attribution', attribution],
    ['Terms', terms],
    ['May be passed on', passedOn[redistribution]],
    ['Caution', caution],
    ['Tags', tags.join(', ')],
    ['Facts read on', read],
  ];
  const known = lines.flatMap(([label, text]) => (text === undefined ? [] : [`${label.padEnd(18)}${printable(text)}`]));
  return `${name}: ${title}\n\n${known.join('\n')}\n\n${presetYaml(name, preset)}`;
}
