import { elasticsearch } from './elasticsearch.ts';
import { file } from './file.ts';
import type { SinkKind } from './sink.ts';
import { taxii } from './taxii.ts';

/** Every kind of sink there is. */
export const sinkKinds = { elasticsearch, file, taxii } satisfies Record<string, SinkKind>;
