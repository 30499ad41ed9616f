import { elasticsearch } from './elasticsearch.ts';
import { file } from './file.ts';
import type { SinkKind } from './sink.ts';
import { taxii } from './taxii.ts';
import { webhook } from './webhook.ts';

/** Every kind of sink there is. */
export const sinkKinds = { elasticsearch, file, taxii, webhook } satisfies Record<string, SinkKind>;
