import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { ClientRate } from '../model/definition.ts';
import { formatDuration } from '../model/duration.ts';
import { messageOf } from '../model/error.ts';
import { type ClientRole, clientRoles, MAX_CERTIFICATES } from '../model/state.ts';
import { type Tlp, tlpLevels } from '../model/tlp.ts';
import { type AnswerOptions, type CommandContext, withAnswer, withControl } from './context.ts';
import { formatJson, formatTable, printable, timeText } from './terminal.ts';

export function addClient(program: Command, context: CommandContext): void {
  const client = program
    .command('client')
    .description('who may read or contribute: add, list, revoke')
    .helpCommand(false);

  withAnswer(client.command('add'))
    .description('add a client and show its key, once')
    .argument('<name>', 'a team or tool', clientName)
    .option('--collections <list>', 'collections it may read, by name, with commas (default: all)', nameList)
    .option(
      '--write <list>',
      'contributed collections whose objects it may add and remove, with commas (default: none)',
      nameList,
    )
    .addOption(new Option('--write-only', 'it reads no collection').conflicts('collections'))
    .addOption(new Option('--tlp <level>', 'highest TLP it may see').choices([...tlpLevels]).default('amber'))
    .option('--rate <n/unit>', 'requests per s, min, h or d', parseRate, { max: 600, per: 60_000 })
    .addOption(new Option('--role <role>', 'operator: it may also use the control routes').choices([...clientRoles]))
    .option('--cert <file>', 'PEM certificate it signs in with in place of a key; may be repeated', certificate)
    .option('--fingerprint <hex>', 'the same by its SHA-256', fingerprint)
    .addOption(
      new Option('--path-key', 'it reads lists at /lists/t/KEY/LIST, and its key is good for nothing else').conflicts([
        'write',
        'writeOnly',
        'role',
        'cert',
        'fingerprint',
      ]),
    )
    .action(async (name: string, options: AddOptions) => {
      const { tlp, rate, role, write, pathKey, cert = [], fingerprint = [] } = options;
      const collections = options.writeOnly ? [] : (options.collections ?? null);
      const certificates = [...new Set([...cert, ...fingerprint])];
      const more = {
        ...(write === undefined ? {} : { writes: write }),
        ...(role === undefined ? {} : { role }),
        ...(certificates.length === 0 ? {} : { certificates }),
        ...(pathKey === undefined ? {} : { pathKey }),
      };
      const issued = await withControl(
        context,
        options,
        (control) => control.addClient({ name, collections, tlp, rate, ...more }),
        { mayMake: true },
      );
      if (options.json) {
        const { key } = issued;
        const { pathKey: path_key, ...others } = more;
        const shown = { ...others, ...(path_key === undefined ? {} : { path_key }) };
        return context.terminal.out(formatJson({ name, key, collections, tlp, rate: formatRate(rate), ...shown }));
      }
      context.terminal.out(
        `Client ${printable(issued.name)} may read ${readable(collections)} up to TLP:${tlp.toUpperCase()}, ` +
          `${formatRate(rate)}.\n${write === undefined ? '' : `It may add to and remove from ${write.join(', ')}.\n`}${role === 'operator' ? 'It is an operator: it may use the control routes.\n' : ''}${
            issued.key === null
              ? `It signs in with ${certificates.length === 1 ? 'its certificate' : `${certificates.length} certificates`}.\n`
              : `Its key is shown only now${pathKey ? ', for /lists/t/KEY/LIST' : ''}:\n${issued.key}\n`
          }`,
      );
    });

  withAnswer(client.command('list'))
    .description('list clients; their keys are not known any more')
    .action(async (options: AnswerOptions) => {
      const clients = await withControl(context, options, (control) => control.listClients());
      const wire = clients.map(
        ({ name, role, collections, writes, tlp, rate, createdAt, revokedAt, keyHashes, certificates, pathKey }) => ({
          name,
          role,
          collections,
          writes,
          tlp,
          rate: formatRate(rate),
          keys: keyHashes.length,
          certificates,
          path_key: pathKey,
          created_at: timeText(createdAt),
          revoked_at: timeText(revokedAt),
        }),
      );
      if (options.json) return context.terminal.out(formatJson(wire));
      const rows = wire.map((row) => [
        row.name,
        row.revoked_at === null ? 'active' : `revoked ${row.revoked_at}`,
        row.collections === null ? 'all' : row.collections.join(', ') || 'none',
        row.writes.join(', ') || 'none',
        row.tlp,
        row.rate,
        row.role,
        row.path_key ? 'key in the path' : row.certificates.length > 0 ? 'certificate' : 'key',
        row.created_at ?? '',
      ]);
      context.terminal.out(
        formatTable(['NAME', 'STATE', 'READS', 'WRITES', 'TLP', 'RATE', 'ROLE', 'SIGN-IN', 'CREATED'], rows),
      );
    });

  withAnswer(client.command('revoke'))
    .description('stop a client: its keys end within a second')
    .argument('<name>', 'its name')
    .action(async (name: string, options: AnswerOptions) => {
      await withControl(context, options, (control) => control.revokeClient(name));
      context.terminal.out(
        options.json ? formatJson({ name, revoked: true }) : `Client ${printable(name)} is revoked.\n`,
      );
    });
}

interface AddOptions extends AnswerOptions {
  collections?: string[];
  write?: string[];
  writeOnly?: boolean;
  tlp: Tlp;
  rate: ClientRate;
  role?: ClientRole;
  cert?: string[];
  fingerprint?: string[];
  pathKey?: boolean;
}

function readable(collections: readonly string[] | null): string {
  if (collections === null) return 'all collections';
  return collections.length === 0 ? 'no collection' : collections.join(', ');
}

const units = { s: 1000, min: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const MAX_RATE = 1_000_000;

/** `600/min`: requests per s, min, h or d. */
export function parseRate(text: string): ClientRate {
  const match = /^(\d{1,7})\/(s|min|h|d)$/.exec(text);
  const max = Number(match?.[1] ?? 0);
  if (match === null || max < 1 || max > MAX_RATE) {
    throw new InvalidArgumentError(`It must be like 600/min: 1 to ${MAX_RATE} requests per s, min, h or d.`);
  }
  return { max, per: units[match[2] as keyof typeof units] };
}

export function formatRate({ max, per }: ClientRate): string {
  const unit = (Object.keys(units) as (keyof typeof units)[]).find((unit) => units[unit] === per);
  return `${max}/${unit ?? formatDuration(per)}`;
}

function certificate(path: string, before: string[] = []): string[] {
  let text: Buffer;
  try {
    text = readFileSync(path);
  } catch (error) {
    throw new InvalidArgumentError(`It can't be read: ${messageOf(error)}`);
  }
  try {
    return fingerprint(new X509Certificate(text).fingerprint256, before);
  } catch (error) {
    if (error instanceof InvalidArgumentError) throw error;
    throw new InvalidArgumentError('It holds no certificate.');
  }
}

/** As openssl and browsers show it, with colons or without. */
function fingerprint(text: string, before: string[] = []): string[] {
  const hex = text.replaceAll(':', '').toLowerCase();
  if (!/^[0-9a-f]{64}$/.test(hex)) throw new InvalidArgumentError('It must be a SHA-256 in hex: 64 digits.');
  if (before.length >= MAX_CERTIFICATES) throw new InvalidArgumentError(`A client has ${MAX_CERTIFICATES} at most.`);
  return [...before, hex];
}

function clientName(text: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/.test(text)) return text;
  throw new InvalidArgumentError('It must be 1 to 64 letters, digits and ._@- and start with a letter or digit.');
}

function nameList(text: string): string[] {
  const names = text.split(',').map((name) => name.trim());
  if (names.some((name) => name === ''))
    throw new InvalidArgumentError('It must be names with commas between, such as ips,hashes.');
  return [...new Set(names)];
}
