// slow (70 s): Elasticsearch 9.5.3
import t from 'tap';
import { proveVersion } from './on-a-node/versions.ts';

t.test('Elasticsearch 9.5.3', (t) => proveVersion(t, '9.5.3'));
