import Type, { type TObject, type TSchema } from 'typebox';
import { GatewayError } from '../model/error.ts';
import { complaintsAbout, didYouMean, listWords, type SchemaNode } from './messages.ts';
import type { Mark, Step } from './problem.ts';
import { type ReadContext, readValue } from './read-value.ts';
import type { ConfigNode } from './yaml.ts';

/** Reads what the file says to an extension: a feed format, a sink or a storage engine. */

/** Returns the extension that the node names, or a message when there is none of that name. */
export function findExtension<T extends object>(node: ConfigNode | undefined, known: Record<string, T>): T | string {
  const name = node?.kind === 'scalar' ? node.value : null;
  const found = typeof name === 'string' && Object.hasOwn(known, name) ? known[name] : undefined;
  return found ?? `must be ${listWords(Object.keys(known))}${didYouMean(name, Object.keys(known))}`;
}

/** A section of the file that an extension has keys of its own in. */
export interface ExtensionSection<Section> {
  /** All keys, defaults filled in. */
  section: Section & Record<string, unknown>;
  /** The extension's own keys. */
  options: Record<string, unknown>;
  /** Writes `section` back as the file words it. */
  schema: SchemaNode;
}

/**
 * Reads a section with the keys that all such sections have, `common`, and those of the extension, `own`. Of a key in both, the
 * extension's schema counts: it may know better bounds. `check` may report more. Returns null when anything is reported.
 */
export function readExtension<Section extends object>(
  { common, own, required = [] }: { common: TObject; own: TSchema; required?: readonly string[] },
  node: ConfigNode,
  path: readonly Step[],
  outer: ReadContext,
  check: (section: Section, context: ReadContext) => void = () => undefined,
): ExtensionSection<Section> | null {
  let problems = 0;
  const context: ReadContext = {
    ...outer,
    report: (...problem) => {
      problems += 1;
      outer.report(...problem);
    },
  };
  const { properties = {}, required: ownRequired = [] }: SchemaNode = own;
  const schema: SchemaNode = Type.Object({ ...common.properties, ...properties }, { additionalProperties: false });
  schema.required = [...ownRequired, ...required];
  const section = readValue(schema, node, path, context) as ExtensionSection<Section>['section'];
  check(section, context);
  if (problems > 0) return null;
  const keys = Object.keys(properties).filter((key) => Object.hasOwn(section, key));
  return { section, options: Object.fromEntries(keys.map((key) => [key, section[key]])), schema };
}

/** An optional key that an extension was given and that is not there. */
export interface MissingKey {
  /** Null: none is missing. */
  why: string | null;
}

/** Returns a context that notes a missing optional key in `missing`, in place of reporting it. */
export function allowMissingKey(outer: ReadContext, missing: MissingKey): ReadContext {
  return {
    ...outer,
    absent: (_at, _path, why) => {
      missing.why ??= why;
    },
  };
}

/** Says why a feed or sink is left out, and warns where a missing key is the reason. Null: it is not. */
export function idleReasonOf(
  { enabled }: { enabled: boolean },
  { why }: MissingKey,
  path: readonly Step[],
  at: Mark,
  { warn }: ReadContext,
): 'disabled' | 'no-key' | null {
  if (!enabled) return 'disabled';
  if (why === null) return null;
  warn(at, path, `is left out: ${why} (it is optional)`);
  return 'no-key';
}

/**
 * Asks an extension about its options as a whole, which it may refuse by a GatewayError. Returns null when it does, which is reported.
 * Where a key is missing, the extension's schema is not asked.
 */
export function askExtension<T>(
  { own, options, missing, ask }: { own: TSchema; options: object; missing: MissingKey; ask(isComplete: boolean): T },
  path: readonly Step[],
  at: Mark,
  { report }: ReadContext,
): T | null {
  const isComplete = missing.why === null;
  const complaints = isComplete ? complaintsAbout(own, options) : [];
  for (const complaint of complaints) report(at, path, complaint);
  if (complaints.length > 0) return null;
  try {
    return ask(isComplete);
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    report(at, path, error.message);
    return null;
  }
}
