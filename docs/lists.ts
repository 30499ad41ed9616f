import type { Output } from '../src/outputs/output.ts';
import { outputs } from '../src/outputs/registry.ts';

/** How lists are had, and the table of their formats, made from the registry. */
export function makeListsPage(): string {
  const rows = Object.values<Output>(outputs).map((output) => {
    const { name, title, readers = '', options } = output;
    const types = output.needs?.({}).types?.join(', ') ?? 'all';
    const own = Object.keys(options.properties).map((option) => `\`${option}\``);
    return `| \`${name}\` | ${[title, types, own.join(', '), readers].map(cell).join(' | ')} |`;
  });
  const table = [
    '| format | what it is | types | its own options | readers, and their limits |',
    '|---|---|---|---|---|',
    ...rows,
  ];
  return `${INTRODUCTION}\n${table.join('\n')}\n`;
}

const cell = (text: string): string => text.replaceAll('|', '\\|');

const INTRODUCTION = `# Lists for firewalls, DNS servers and other tools

A collection as a list, in the form that another tool reads. This page is made (\`node docs/generate.ts\`).

\`\`\`sh
curl -u "apikey:$KEY" "https://ti.example/lists/block.panos-ip?max_entries=50000&aggregate=true"
\`\`\`

\`/lists/COLLECTION.FORMAT\` needs no section of the configuration; its parameters are in \`/docs\`. A list of the configuration has an address that stays,
whatever becomes of its rules:

\`\`\`yaml
lists:
  edge-block: { collection: block, format: panos-ip, max_entries: 50000, min_prefix: 24, aggregate: true, allow_from: [192.0.2.7] }
\`\`\`

It is read at \`/lists/edge-block\`. Everything under \`/lists\` stands under \`/api/v1/lists\` as well, and \`GET /lists\` names what the caller may read.
[consumers.md](consumers.md) says what to set in each consumer, and what it does on an outage.

## What is in a list

- Everything that the collection holds now and the format can say, the strongest first: by confidence in steps of ten, and the newest first within
  each. A reader that cuts a list at its own limit keeps the strongest. \`order: newest\` puts the newest first.
- \`types: [ipv4]\` is IPv4 alone. \`min_confidence\` leaves out what is below it or has no confidence.
- \`aggregate\` makes the fewest networks that hold the same addresses, never one more. A merged network has the least confidence of its parts. A
  million addresses are merged at a time.
- \`min_prefix: 24\` leaves out IPv4 networks wider than a /24, \`min_prefix_v6\` likewise.
- \`max_entries\` counts lines; those in front stay. \`page_size\` splits a list over several objects of a firewall: \`?page=2\`, and \`X-Pages\` says how many
  there are. A line that moves while pages are read one after the other may be missed until the next round.
- What is left out is told: \`X-Left-Out\` counts what is beyond the maximum, too wide, or can't be written safely in the format, and a comment says so
  where the format has comments. \`X-Entries\` counts the lines. Types that a format doesn't hold are not counted.
- Comments name the collection, its TLP, when the content last changed, and the credits that feeds ask for. Lists carry no TLP markings:
  \`X-TLP\` says the ceiling of the collection.
- A value that would begin a line, a comment or a rule of its own is left out and counted.

## How it is served

A list is built once for each state of its collection, into a file under \`lists/\` of the data directory, and sent from there with \`ETag\`, \`Last-Modified\`, 304
and gzip. It is read in one state of the store: nothing is missing because it changed meanwhile. When the content is the same, the file, its tag, its
date and the serial of a zone stay, also over a restart. What takes longer than two seconds to build, or fails, is answered with the last good build.

## Who may read it

Clients as everywhere: a key or a certificate, their collections, their TLP ceiling. For firewalls that bring no key, \`allow_from\` names addresses and
networks that read this one list without, 600 times a minute in all. Behind a proxy this needs \`listen.behind_proxy\`; without it the proxy is who calls.

For tools that can send no key in a header field, a client may have a key for the path, with a rate of its own as every client:

\`\`\`sh
sluice client add edge-fw --collections block --rate 60/min --path-key      # prints the key, once
curl "https://ti.example/lists/t/$KEY/edge-block"
\`\`\`

Such a key is good under \`/lists/t/\` only, and no other key is good there. The gateway shows it nowhere: not in its log, \`/metrics\`, errors or header
fields. A proxy in front of it may log paths, and so may the tool: serve over TLS, and end a key that got out with \`sluice client revoke edge-fw\`.

\`on_refused\` is the status for who may not read the list: 401 unless it says otherwise. PAN-OS stops enforcing a list after 401 and keeps the last one after
503. Clients that send a key only when they are asked for it need 401.

## Formats
`;
