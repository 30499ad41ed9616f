import fc from 'fast-check';
import type { Test } from 'tap';
import type { Entry } from '../../src/model/entry.ts';
import type { ObservableType } from '../../src/model/observable.ts';
import { readOptions } from '../../src/outputs/options.ts';
import type { Output, OutputRequest } from '../../src/outputs/output.ts';
import { newTally } from '../../src/outputs/tally.ts';
import { indicatorEntry, objectEntry, START } from '../helpers/store.ts';

export const IDENTITY = 'identity--00000000-0000-4000-8000-000000000001';

const collection = { alias: 'all', title: 'All there is', tlp: 'amber' } as const;
const selection = { types: null, prefixes: 'stated', order: 'newest', maximum: null } as const;

/** A request for these slices that counts how far it was read. */
export function requestOf(
  output: Output,
  slices: Entry[][],
  more: { about?: OutputRequest['about']; options?: object } = {},
): OutputRequest & { read(): number } {
  let read = 0;
  return {
    collection,
    selection,
    at: START,
    identityId: IDENTITY,
    about: more.about ?? {},
    options: readOptions(output, { ...more.options }),
    tally: newTally(),
    read: () => read,
    slices: (async function* () {
      for (const slice of slices) {
        read += 1;
        yield slice;
      }
    })(),
  };
}

export async function write(
  output: Output,
  slices: Entry[][],
  more: { about?: OutputRequest['about']; options?: object } = {},
): Promise<string> {
  let text = '';
  for await (const piece of output.write(requestOf(output, slices, more))) text += piece;
  return text;
}

/** The n-th value of a type, where tests need values of it. */
const sampleOf: Partial<Record<ObservableType, (n: number) => string>> = {
  domain: (n) => `h${n}.example`,
  ipv4: (n) => `192.0.${n >> 8}.${n & 255}`,
  ipv6: (n) => `2001:db8::1:${n.toString(16)}`,
  url: (n) => `http://h${n}.example/`,
  email: (n) => `someone@h${n}.example`,
  md5: (n) => n.toString(16).padStart(32, 'a'),
  sha1: (n) => n.toString(16).padStart(40, 'a'),
  sha256: (n) => n.toString(16).padStart(64, 'a'),
};

/** Texts that are harmless where they are taken for what they are, and begin something else in some format. */
const HOSTILE = [
  ...[
    ' ',
    '\t',
    '\n',
    '\r',
    '\0',
    '\u0085',
    '\u2028',
    '\ufeff',
    '\ud800',
    '#',
    ';',
    '!',
    '//',
    '/',
    '\\',
    '*',
    '*.',
    '.',
    '..',
    '-',
  ],
  ...[
    '"',
    "'",
    ',',
    ':',
    '|',
    '||',
    '^',
    '@',
    '@@',
    '$',
    '$ORIGIN .',
    '=cmd|',
    '{',
    '}',
    '[',
    '<',
    '%0a',
    '&',
    '(',
    ')',
    'é',
    '😀',
  ],
  ...[
    'a',
    'example',
    'a.example',
    '0.0.0.0',
    '127.0.0.1',
    '2001:db8::1',
    '10.0.0.0/8',
    '::',
    'http://',
    '.rpz-ip',
    'CNAME',
  ],
];
const hostileText = fc.oneof(
  fc.array(fc.constantFrom(...HOSTILE), { minLength: 1, maxLength: 8 }).map((parts) => parts.join('')),
  fc.string({ unit: 'binary', minLength: 1, maxLength: 40 }),
  fc.constantFrom('a'.repeat(5000), `http://a.example/${'a'.repeat(9000)}`, `${'a.'.repeat(200)}example`),
);

/** What every format keeps to (src/outputs/output.ts). `valuesOf` reads a document back, as whoever reads the format does. */
export function testOutput(t: Test, name: string, output: Output, valuesOf: (document: string) => string[]): void {
  const types = output.needs?.(readOptions(output, {})).types ?? (Object.keys(sampleOf) as ObservableType[]);
  const type = types.includes('domain') ? 'domain' : (types.find((each) => sampleOf[each] !== undefined) ?? 'domain');
  const rows = (count: number, from = 0) =>
    Array.from({ length: count }, (_, i) => indicatorEntry({ type, value: sampleOf[type]?.(from + i) ?? '' }));

  t.test(`${name}: describes itself`, async (t) => {
    t.equal(output.name, name, 'by its name in the registry');
    t.match(output.mediaType, /^[a-z]+\/[a-z+-]+(; ?[a-z]+=[a-z0-9.-]+)?$/i);
    for (const alias of output.aliases) t.match(alias, /^[a-z]+\/[a-z+-]+$/);
    t.match(output.title, /^.{5,120}$/);
    t.match(output.extension, /^[a-z0-9]+$/);
  });

  t.test(`${name}: its options have defaults and descriptions, and unknown ones are refused`, async (t) => {
    t.equal((output.options as { additionalProperties?: unknown }).additionalProperties, false);
    for (const [option, schema] of Object.entries<object>(output.options.properties)) {
      t.match(schema, { description: /./ }, option);
      t.ok('default' in schema, `${option}: a reader who says nothing gets a document`);
      t.ok('enum' in schema || ('type' in schema && /^(boolean|integer)$/.test(String(schema.type))), option);
    }
    t.throws(() => readOptions(output, { no_such_option: true }), { code: 'bad-request' });
  });

  t.test(`${name}: every indicator of every slice, in order, whatever the slices are`, async (t) => {
    const expected = rows(7).map(({ value }) => value);
    for (const slices of [
      [rows(7)],
      [rows(3), rows(4, 3)],
      [[], rows(3), [], [], rows(4, 3), []],
      rows(7).map((row) => [row]),
    ]) {
      t.strictSame(valuesOf(await write(output, slices)), expected, slices.map(({ length }) => length).join('+'));
    }
  });

  t.test(`${name}: a page without rows is a whole document`, async (t) => {
    for (const slices of [[], [[]], [[], []]]) t.strictSame(valuesOf(await write(output, slices)), []);
  });

  if (output.isAppendable) {
    t.test(`${name}: documents can be appended, and say which entries are withdrawn`, async (t) => {
      const both = (await write(output, [rows(2)])) + (await write(output, [rows(2, 2)]));
      t.strictSame(
        valuesOf(both),
        rows(4).map(({ value }) => value),
      );
      const [live] = rows(1);
      t.not(await write(output, [[{ ...live, revoked: true } as Entry]]), await write(output, [[live as Entry]]));
    });
  }

  t.test(`${name}: a slice is read when the one before it is written, not sooner`, async (t) => {
    const slices = Array.from({ length: 50 }, (_, i) => rows(20, i * 20));
    const page = requestOf(output, slices);
    let ahead = 0;
    let written = 0;
    for await (const piece of output.write(page)) {
      ahead = Math.max(ahead, page.read() - written);
      while (isIn(piece, slices[written]?.at(-1)?.value ?? '\n\n')) written += 1;
    }
    t.ok(ahead <= 2, `never more than one slice ahead of what is written (${ahead})`);
    t.equal(page.read(), 50);
  });

  t.test(`${name}: a reader that stops ends the reading of slices`, async (t) => {
    const page = requestOf(
      output,
      Array.from({ length: 50 }, (_, i) => rows(20, i * 20)),
    );
    let pieces = 0;
    for await (const piece of output.write(page)) {
      pieces += piece === '' ? 0 : 1;
      if (pieces === 3) break;
    }
    t.ok(page.read() <= 4, `${page.read()} slices of 50 were read`);
  });

  t.test(`${name}: a failing slice fails the document`, async (t) => {
    const failing: OutputRequest = {
      ...requestOf(output, []),
      slices: (async function* () {
        yield rows(1);
        throw new Error('the store failed');
      })(),
    };
    const read = async (): Promise<void> => {
      for await (const _ of output.write(failing));
    };
    await t.rejects(read(), { message: 'the store failed' });
  });

  if (output.needs?.(readOptions(output, {})).types == null) {
    t.test(`${name}: values with special characters are escaped`, async (t) => {
      const values = [
        'a"b.example',
        "quote'd",
        'comma,and;tab\tx',
        'ünïcödé.example',
        '<script>',
        '\\back\\slash',
        '%0a',
        '{"a":1}',
      ];
      const entries = values.map((value) => indicatorEntry({ type: 'file-name', value }));
      t.strictSame(valuesOf(await write(output, [entries])), values);
    });
  }

  t.test(`${name}: whatever a value holds, it stands alone in the document or is left out and counted`, async (t) => {
    const [first, last] = rows(2);
    for (const options of output.lines?.comment == null ? [{}] : [{ comments: true }, { comments: false }]) {
      const property = fc.asyncProperty(fc.constantFrom(...types), hostileText, async (type, value) => {
        const request = requestOf(output, [[first, indicatorEntry({ type, value }), last] as Entry[]], { options });
        let text = '';
        for await (const piece of output.write(request)) text += piece;
        const read = valuesOf(text);
        const expected = 3 - request.tally.notWritable;
        if (read.length !== expected) throw new Error(`${read.length} values are read of ${JSON.stringify(text)}`);
        if (read[0] !== first?.value || read.at(-1) !== last?.value) throw new Error(`the others changed: ${text}`);
      });
      await fc.assert(property, { numRuns: 100 });
    }
    t.pass();
  });

  if (output.lines !== undefined) {
    t.test(`${name}: a page and a maximum cut by lines; what has no line is counted or has its own`, async (t) => {
      const whole = await write(output, [rows(9)], { options: commentsOff(output) });
      const parts = [];
      for (const skip of [0, 4, 8, 12, 16]) {
        const request = requestOf(output, [rows(4), rows(5, 4)], { options: commentsOff(output) });
        let text = '';
        for await (const piece of output.write({ ...request, page: { skip, take: 4 } })) text += piece;
        parts.push(text);
      }
      const head = await write(output, [], { options: commentsOff(output) });
      t.equal(head + parts.map((part) => part.slice(head.length)).join(''), whole);
      const cut = requestOf(output, [rows(9)], { options: commentsOff(output) });
      let text = '';
      for await (const piece of output.write({ ...cut, selection: { ...cut.selection, maximum: 4 } })) text += piece;
      t.equal(text, parts[0]);
      const empty = requestOf(output, [], { options: commentsOff(output) });
      let line = '';
      for await (const piece of output.write({ ...empty, emptyLine: '192.0.2.255' })) line += piece;
      t.equal(line, `${head}192.0.2.255\n`);
      t.ok(line.endsWith('\n') && whole.endsWith('\n'), 'the last line ends');
    });
  }

  t.test(`${name}: objects that are no indicators are written whole or left out`, async (t) => {
    const mixed = [objectEntry({ stixType: 'identity', isProducerObject: true, name: 'producer' }), ...rows(2)];
    t.strictSame(
      valuesOf(await write(output, [mixed])),
      rows(2).map(({ value }) => value),
    );
  });
}

/** As it is, or in Base64, which some formats write. */
function isIn(piece: string, value: string): boolean {
  return piece.includes(value) || piece.includes(Buffer.from(value).toString('base64'));
}

function commentsOff({ lines }: Output): object {
  return lines?.comment == null ? {} : { comments: false };
}
