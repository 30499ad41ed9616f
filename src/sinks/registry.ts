import { elasticsearch } from './elasticsearch.ts';
import { file } from './file.ts';
import type { SinkKind } from './sink.ts';

/** Every kind of sink there is. */
export const sinkKinds = { elasticsearch, file } satisfies Record<string, SinkKind>;
