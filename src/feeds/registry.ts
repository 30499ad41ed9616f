import type { FeedFormat } from './feed.ts';
import { socdefenders } from './socdefenders.ts';
import { stix } from './stix.ts';

/** Every feed format there is. */
export const feedFormats = { socdefenders, stix } satisfies Record<string, FeedFormat>;
