import Type, { type Static } from 'typebox';
import { GatewayError } from '../../model/error.ts';
import type { FeedRow } from '../feed.ts';
import { type FieldOptions, fieldOptions, rowMaker } from '../fields.ts';
import { networksOfRange } from '../reading/address-range.ts';
import { readAdblockLine } from './adblock.ts';
import { readHostsLine } from './hosts.ts';
import type { LineContent, LineFault, LineValues, ReadLine } from './line.ts';
import { patternReader } from './pattern.ts';

/** How a line is read. */
export const layoutOptions = {
  layout: Type.Union([Type.Literal('lines'), Type.Literal('hosts'), Type.Literal('adblock')], {
    default: 'lines',
    description:
      'lines: a value a line, or what fields, delimiter or pattern find in it; a range of addresses, first-last, becomes networks. hosts: names behind an address, as in /etc/hosts. adblock: rules that block a host, as ||bad.example^.',
  }),
  pattern: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 1000,
      description:
        'An expression in RE2’s syntax; each match in a line is a row. Groups named as in fields, (?P<value>...), are its fields; without groups the match is the value.',
    }),
  ),
  delimiter: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 8,
      description: 'Between the fields of a line, which fields names by number. Default: spaces and tabs.',
    }),
  ),
  range_end: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 1000,
      description: 'The number of the field that holds the last address of a range whose first is the value.',
    }),
  ),
};
const layoutSchema = Type.Object({ ...layoutOptions, ...fieldOptions });
type LayoutOptions = Static<typeof layoutSchema>;

/** Throws `config-invalid` for options that contradict each other, or an expression that can't be read. */
export function lineReader(options: LayoutOptions): ReadLine {
  const { layout, pattern, delimiter, range_end, fields } = options;
  const refuse = (message: string): never => {
    throw new GatewayError('config-invalid', message);
  };
  if (layout !== 'lines') {
    if ((pattern ?? delimiter ?? range_end ?? fields) !== undefined) {
      refuse(`layout ${layout} goes without pattern, delimiter, range_end and fields`);
    }
    return hostReader(layout === 'hosts' ? readHostsLine : readAdblockLine, options);
  }
  if (pattern !== undefined) {
    if ((delimiter ?? range_end) !== undefined) refuse('pattern goes without delimiter and range_end');
    return withNetworks(patternReader(pattern, options));
  }
  if ((delimiter ?? range_end ?? fields) === undefined) {
    const makeRows = rowMaker({ ...options, fields: { value: 1 } });
    return withNetworks((line) => makeRows(() => line));
  }
  if (
    Object.values(fields ?? {})
      .flat()
      .some((selector) => typeof selector === 'string')
  ) {
    refuse('fields of a line have numbers, and names with pattern only');
  }
  return withNetworks(tokenReader(options));
}

/** A host is a name or an address, unless the configuration says more. */
function hostReader(readValues: (line: string) => LineValues, options: FieldOptions): ReadLine {
  const constants = { type: 'host', ...options.constants };
  const makeRows = rowMaker({ ...options, constants, fields: { value: 1 } });
  return (line) => {
    const values = readValues(line);
    if (values === null) return null;
    return Array.isArray(values) ? values.flatMap((value) => makeRows(() => value)) : [values];
  };
}

function tokenReader({ delimiter, range_end: rangeEnd, ...options }: LayoutOptions): ReadLine {
  const makeRows = rowMaker({ ...options, fields: { value: 1, ...options.fields } });
  return (line) => {
    const tokens = delimiter === undefined ? line.split(/\s+/) : line.split(delimiter);
    const rows = makeRows((selector) => tokens[Number(selector) - 1]);
    const end = rangeEnd === undefined ? '' : (tokens[rangeEnd - 1]?.trim() ?? '');
    return end === '' ? rows : rows.map((row) => ({ ...row, value: `${row.value}-${end}` }));
  };
}

/** Puts networks in the place of ranges. */
function withNetworks(readLine: ReadLine): ReadLine {
  return (line): LineContent => {
    const content = readLine(line);
    return content?.some(isDashed) ? content.flatMap(spread) : content;
  };
}

function isDashed(row: FeedRow | LineFault): row is FeedRow & { value: string } {
  return 'value' in row && typeof row.value === 'string' && row.value.includes('-');
}

function spread(row: FeedRow | LineFault): (FeedRow | LineFault)[] {
  const networks = isDashed(row) ? networksOfRange(row.value) : null;
  if (networks === null) return [row];
  return Array.isArray(networks) ? networks.map((value) => ({ ...row, value })) : [networks];
}
