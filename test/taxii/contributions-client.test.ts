// slow (5 s): OASIS' TAXII client and stix2 contribute
import t from 'tap';
import { openContributing } from '../helpers/contributing.ts';
import { readAll } from '../helpers/gateway.ts';
import { stixIndicator } from '../helpers/indicator.ts';
import { runPython } from '../helpers/python.ts';

const script = new URL('./contribute.py', import.meta.url);
const yaml = `
data: ./data
feeds: { team: { format: collection, collection: drop, tlp: green } }
pools: { main: { feeds: [team] } }
collections:
  all: { pool: main }
  drop: { contributed: true }
`;

t.test('the OASIS client adds, follows the status and removes; stix2 writes and reads its own', async (t) => {
  const gateway = await openContributing(t, { yaml });
  const base = await gateway.listen();
  const domain = (n: number, name: string) => stixIndicator(n, `[domain-name:value = '${name}']`);
  const objects = [domain(1, 'one.example'), domain(2, 'two.example'), { ...domain(3, 'x.example'), pattern: 'no' }];
  const { both, writer } = gateway.keys;
  const result = await runPython(t, script, [base, both, writer, 'drop'], JSON.stringify(objects));
  if (result === null) return;
  t.equal(result.code, 0, result.stderr.slice(-2000));
  const report = JSON.parse(result.stdout);
  t.match(report, {
    can_read: true,
    can_write: true,
    most: 10_485_760,
    added: ['complete', 3, 2, 1, 0],
    failures: [[objects[2]?.id, /pattern/]],
    asked: ['complete', 3, 2, 1, 0, 2],
    object: objects[0],
    removed: 404,
    writer: [false, true, ['complete', 1, 1, 0, 0]],
    unread: true,
    stix2: true,
  });
  await gateway.side.poll('team');
  const names = (await readAll(gateway, 'all')).flatMap(({ type, name }) => (type === 'indicator' ? [name] : []));
  t.strictSame(names.sort(), ['stix2.example', 'two.example'], 'a pool has what is left');
});
