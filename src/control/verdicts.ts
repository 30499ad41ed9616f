import Type from 'typebox';
import { analystVerdictKinds, MAX_VERDICT_NOTE } from '../model/analyst-verdict.ts';
import { observableTypes } from '../model/observable.ts';

/** What the verbs on verdicts of analysts take (model/analyst-verdict.ts). */

const name = Type.String({ maxLength: 256 });
const time = Type.Integer({ minimum: 0 });
const value = {
  ioc: Type.String({ minLength: 1, maxLength: 8192 }),
  type: Type.Optional(Type.Enum([...observableTypes])),
  pool: Type.Optional(name),
};
const kind = Type.Enum([...analystVerdictKinds]);
const by = Type.String({ minLength: 1, maxLength: 256 });
const closed = { additionalProperties: false };

export const newVerdictSchema = Type.Object(
  {
    ...value,
    kind,
    by,
    allPools: Type.Optional(Type.Boolean()),
    note: Type.Optional(Type.String({ maxLength: MAX_VERDICT_NOTE })),
    seenAt: Type.Optional(time),
    until: Type.Optional(time),
  },
  closed,
);

export const endedVerdictsSchema = Type.Object(
  { ...value, kind: Type.Optional(kind), by, allPools: Type.Optional(Type.Boolean()) },
  closed,
);

/** `maxRows`: that one answer may hold. */
export function listedVerdictsSchema(maxRows: number) {
  return Type.Object(
    {
      ...value,
      ioc: Type.Optional(value.ioc),
      withEnded: Type.Boolean(),
      before: Type.Optional(Type.Integer({ minimum: 1 })),
      limit: Type.Integer({ minimum: 0, maximum: maxRows }),
    },
    closed,
  );
}
