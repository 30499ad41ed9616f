// slow (70 s): Elasticsearch 8.19.21
import t from 'tap';
import { proveVersion } from './on-a-node/versions.ts';

t.test('Elasticsearch 8.19.21', (t) => proveVersion(t, '8.19.21'));
