import { type Preset, presets, presetYaml, promiseOf, termsOf, usualRows } from '../src/feeds/presets.ts';

/** The list of presets, made from their files. */
export function makePresetList(): string {
  const all = Object.entries(presets);
  const rows = all.map(([name, { facts, options, title }]) => {
    const key = facts.key === 'none' ? '' : facts.key;
    return `| [${name}](#${name}) | ${title} | ${key} | ${options['every'] ?? 'by plan'} |`;
  });
  return `${[INTRODUCTION, '| preset | feed | key | every |', '|---|---|---|---|', ...rows, '', ...all.flatMap(section)].join('\n').trimEnd()}\n`;
}

const INTRODUCTION = `# Presets

Well-known feeds, made from \`src/feeds/presets/\` (\`node docs/generate.ts\`). \`sluice presets\` lists them, \`sluice presets WORDS\` searches
them, and \`sluice presets NAME\` shows one. A preset and its key are all that a feed needs:

\`\`\`yaml
feeds:
  urlhaus: { preset: urlhaus, key: { env: URLHAUS_KEY } }
\`\`\`

Every key of a preset can be set to something else beside it ([configuration.md](configuration.md)). Only an \`every\` below the publisher's
minimum also needs \`override_minimum: "<reason>"\`. A \`url\` or \`path\` of your own may hold another list: then the preset's copies
(\`fallback_urls\`), expected size (\`expect_rows\`) and guards (\`empty_allowed\`, \`shrink_guard\`) don't count. The facts are from public documents, read on the day that each names; none was tried
against the service. Terms change: read them before you pass anything on.

Not here, because they ended or nobody can get a key: SSLBL, Anomali Limo, DigitalSide, HailATAXII, PhishTank.
`;

function section([name, preset]: [string, Preset]): string[] {
  const { facts, format, options } = preset;
  const { homepage, key, key_from, min_every, caution, read } = facts;
  const { attribution, terms, redistribution } = termsOf(preset);
  const [size, promise] = [usualRows(preset), promiseOf(preset)];
  const said: (string | null)[] = [
    `[${homepage}](${homepage}). Format \`${format}\`, polled every ${options['every'] ?? 'time that the plan allows'}, at least ${min_every} apart.`,
    key === 'none' ? 'It needs no key.' : `Key: ${key}${key_from === undefined ? '' : `, from ${key_from}`}.`,
    size === null ? null : `Usual size: ${size}; a pull of another size is held back.`,
    promise === undefined ? null : `A list that has not changed for ${promise} has stalled.`,
    attribution === undefined ? null : `Attribution: ${attribution}.`,
    terms === undefined ? null : `Terms: ${terms}.`,
    {
      yes: 'It may be passed on.',
      'non-commercial': 'It may be passed on, but not for money.',
      no: 'It may not be passed on.',
      unknown: 'Whether it may be passed on is not known.',
    }[redistribution],
    caution ?? null,
    `Read on ${read}.`,
  ];
  return [
    `## ${name}`,
    '',
    said.filter((one) => one !== null).join(' '),
    '',
    '```yaml',
    presetYaml(name, preset).trimEnd(),
    '```',
    '',
  ];
}
