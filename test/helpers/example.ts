import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import { openGateway, type TestGateway } from './gateway.ts';

const project = new URL('../../', import.meta.url);

/** What `npm start` runs, in this process: the example configuration, its example feed polled once. */
export async function openExampleGateway(t: Test, change = (yaml: string) => yaml): Promise<TestGateway> {
  const yaml = readFileSync(new URL('sluice.example.yaml', project), 'utf8');
  const feed = fileURLToPath(new URL('examples/feed', project));
  const gateway = await openGateway(t, t.testdir(), change(yaml.replace('./examples/feed', feed)));
  const { outcome } = await gateway.side.poll('example');
  t.equal(outcome, 'whole', 'the example feed is read');
  return gateway;
}
