import { readFileSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { systemErrorCode } from '../model/error.ts';
import { Secret } from '../model/secret.ts';
import { didYouMean, type SchemaNode } from './messages.ts';
import { type Report, type Step, shorten } from './problem.ts';
import type { ConfigEntry, ConfigNode } from './yaml.ts';

const FORMS = '{env: NAME} or {file: PATH}';
const MAX_SECRET_BYTES = 65_536;
/** Large enough for a bundle of certificate authorities. */
const MAX_PEM_BYTES = 2_000_000;

export interface SecretContext {
  env: Record<string, string | undefined>;
  /** Relative file names start here. */
  base: string;
  report: Report;
  warn: Report;
}

/** The source of a secret as in the file. print-config shows it instead of the secret. */
export type SecretReference = { env: string; optional?: true } | { file: string; optional?: true };

const references = new WeakMap<Secret, SecretReference>();

export function referenceOf(secret: Secret): SecretReference | undefined {
  return references.get(secret);
}

export type SecretReading =
  | { secret: Secret }
  /** Absent with `optional: true`: the secret is empty, and `absent` is the reason. */
  | { secret: Secret; absent: string }
  /** A problem was reported. */
  | 'broken';

/**
 * Reads `{env: NAME}` or `{file: PATH}`, each with or without `optional: true`. No message quotes the file, because a key that was
 * pasted into the wrong place must not be logged.
 */
export function readSecret(
  node: ConfigNode,
  path: readonly Step[],
  schema: SchemaNode,
  context: SecretContext,
): SecretReading {
  if (node.kind === 'broken') return 'broken';
  const reject = (message: string, at = node.at): 'broken' => {
    context.report(at, path, message);
    return 'broken';
  };
  if (node.kind !== 'map') return reject(`is a secret and never stands in this file: give it as ${FORMS}`);
  for (const [key, entry] of node.entries) {
    if (key === 'env' || key === 'file' || key === 'optional') continue;
    return reject(
      `has an unknown key ${shorten(key)}; a secret is ${FORMS}${didYouMean(key, ['env', 'file', 'optional'])}`,
      entry.keyAt,
    );
  }
  const env = node.entries.get('env');
  const file = node.entries.get('file');
  const optional = readOptional(node.entries.get('optional'));
  if (optional === undefined) return reject('optional must be true or false', node.entries.get('optional')?.node.at);
  if ((env === undefined) === (file === undefined)) return reject(`must be either ${FORMS}`);

  const source = env !== undefined ? readEnv(env.node, context) : readFile(file?.node, path, schema, context);
  const place = (env ?? file)?.node.at;
  if ('problem' in source) return reject(source.problem, place);
  const text = schema['x-pem'] ? source.text : source.text.replace(/[\r\n]+$/, '');
  const absent = source.absent ?? (text === '' ? 'it is empty' : undefined);
  // Anything else could never be sent: RFC 9110 section 5.5 allows no control characters in a field.
  if (!schema['x-pem'] && /\p{Cc}/u.test(text)) return reject('must be one line without control characters', place);
  if (absent !== undefined && !optional) return reject(absent, place);
  const secret = new Secret(text);
  references.set(secret, { ...source.reference, ...(optional ? { optional: true } : {}) });
  return absent === undefined ? { secret } : { secret, absent };
}

function readOptional(entry: ConfigEntry | undefined): boolean | undefined {
  if (entry === undefined) return false;
  const value = entry.node.kind === 'scalar' ? entry.node.value : undefined;
  return typeof value === 'boolean' ? value : undefined;
}

type Source = { text: string; reference: SecretReference; absent?: string } | { problem: string };

function readEnv(node: ConfigNode, context: SecretContext): Source {
  const name = node.kind === 'scalar' ? node.value : null;
  // Only a valid name is shown in a message.
  if (typeof name !== 'string' || !/^[A-Z_][A-Z0-9_]{0,127}$/.test(name)) {
    return { problem: 'env must be the name of an environment variable: capitals, digits and _' };
  }
  const text = context.env[name];
  const reference = { env: name };
  if (text === undefined || text === '')
    return { text: '', reference, absent: `the environment variable ${name} is not set` };
  if (Buffer.byteLength(text) > MAX_SECRET_BYTES) return { problem: `holds more than ${MAX_SECRET_BYTES} bytes` };
  return { text, reference };
}

function readFile(
  node: ConfigNode | undefined,
  path: readonly Step[],
  schema: SchemaNode,
  context: SecretContext,
): Source {
  const name = node?.kind === 'scalar' ? node.value : null;
  if (node === undefined || typeof name !== 'string' || name === '' || name.includes('\0')) {
    return { problem: 'file must be the path of a file' };
  }
  const limit = schema['x-pem'] ? MAX_PEM_BYTES : MAX_SECRET_BYTES;
  try {
    const location = resolve(context.base, name);
    const status = statSync(location);
    if (!status.isFile()) return { problem: 'file must name a regular file' };
    if (status.size > limit) return { problem: `the file holds more than ${limit} bytes` };
    if ((status.mode & 0o004) !== 0 && !schema['x-public']) {
      context.warn(node.at, path, 'the file can be read by every user of this machine: chmod 600 it');
    }
    return { text: readFileSync(location, 'utf8'), reference: { file: name } };
  } catch (error) {
    const code = systemErrorCode(error) ?? 'unknown error';
    const where = `relative names start at ${context.base}`;
    if (code === 'ENOENT') return { text: '', reference: { file: name }, absent: `the file is not there (${where})` };
    return { problem: `the file cannot be read: ${code} (${where})` };
  }
}
