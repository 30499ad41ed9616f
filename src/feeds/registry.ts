import type { FeedFormat } from './feed.ts';
import { socdefenders } from './socdefenders.ts';
import { stix } from './stix.ts';
import { taxii } from './taxii.ts';

/** Every feed format there is. */
export const feedFormats = { socdefenders, stix, taxii } satisfies Record<string, FeedFormat>;
