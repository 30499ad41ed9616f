import t from 'tap';
import { readReferences, shown } from '../../src/normalise/property.ts';

const read = (value: unknown): { references: object[]; complaints: string[] } => {
  const complaints: string[] = [];
  const references = readReferences(value, 'The feed', (property, text) => complaints.push(`${property}: ${text}`));
  return { references, complaints };
};

t.test('a reference keeps what it says: source, description, link and id', async (t) => {
  const whole = {
    source_name: 'Vendor',
    description: 'A report',
    url: 'https://vendor.example/1',
    external_id: 'R-1',
  };
  t.strictSame(read([whole]), { references: [whole], complaints: [] });
  t.strictSame(read('https://vendor.example/2').references, [
    { source_name: 'The feed', url: 'https://vendor.example/2' },
  ]);
});

t.test('a link that is none is left out of its reference, and complained about', async (t) => {
  t.strictSame(read([{ source_name: 'Vendor', external_id: 'R-1', url: 'javascript:alert(1)' }]), {
    references: [{ source_name: 'Vendor', external_id: 'R-1' }],
    complaints: ['references: javascript:alert(1) is no http(s) link'],
  });
  for (const url of ['', 7, null]) {
    const { references, complaints } = read([{ source_name: 'Vendor', external_id: 'R-1', url }]);
    t.strictSame(references, [{ source_name: 'Vendor', external_id: 'R-1' }], `${url}`);
    t.strictSame(complaints, [], `${url}`);
  }
});

t.test('what is no reference is complained about and left out', async (t) => {
  for (const item of [7, true, ['https://vendor.example/']]) {
    const { references, complaints } = read([item]);
    t.strictSame(references, []);
    t.match(complaints, [/is no http\(s\) link and no reference$/]);
  }
});

t.test('a complaint shows the first 80 characters of a value', async (t) => {
  t.equal(shown('x'.repeat(80)), 'x'.repeat(80));
  t.equal(shown('x'.repeat(81)), `${'x'.repeat(80)}…`);
});
