import { RE2JS } from 're2js';
import { GatewayError, messageOf } from '../../model/error.ts';
import { type FieldOptions, type RowFieldName, rowFields, rowMaker } from '../fields.ts';
import type { LineContent, ReadLine } from './line.ts';

/** Steps of a compiled expression: with more, a long line would take too much time. */
const MAX_STEPS = 1000;

/**
 * Reads a line by an expression of RE2, whose time grows with the line only. Each match is a row; the groups are its fields. Throws
 * `config-invalid` for an expression that can't be read or has no group for the value.
 */
export function patternReader(pattern: string, options: FieldOptions): ReadLine {
  const expression = compile(pattern);
  const fields = fieldsOf(expression, options);
  const makeRows = rowMaker({ ...options, fields });
  return (line): LineContent => {
    const matcher = expression.matcher(line);
    const read = (selector: string | number): unknown => matcher.group(selector);
    const rows: LineContent = [];
    while (matcher.find()) if (matcher.end() > matcher.start()) rows.push(...makeRows(read));
    return rows.length > 0 ? rows : [{ reason: 'no-value', detail: 'pattern does not match the line' }];
  };
}

function compile(pattern: string): RE2JS {
  let expression: RE2JS;
  try {
    expression = RE2JS.compile(pattern);
  } catch (error) {
    throw new GatewayError('config-invalid', `pattern: ${messageOf(error)}`);
  }
  if (expression.programSize() <= MAX_STEPS) return expression;
  throw new GatewayError('config-invalid', `pattern takes more than ${MAX_STEPS} steps`);
}

/** Groups that bear the name of a field are that field, unless `fields` says otherwise. Without any group the match is the value. */
function fieldsOf(expression: RE2JS, { fields = {} }: FieldOptions): NonNullable<FieldOptions['fields']> {
  const groups = expression.namedGroups();
  for (const selector of Object.values(fields).flat()) {
    const isThere =
      typeof selector === 'number' ? selector <= expression.groupCount() : Object.hasOwn(groups, selector);
    if (!isThere) throw new GatewayError('config-invalid', `pattern has no group ${selector}`);
  }
  const named = Object.keys(groups).filter((name): name is RowFieldName => Object.hasOwn(rowFields, name));
  const all = { ...Object.fromEntries(named.map((name) => [name, name])), ...fields };
  if (all.value !== undefined) return all;
  if (expression.groupCount() > 0) throw new GatewayError('config-invalid', 'pattern needs a group named value');
  return { ...all, value: 0 };
}
