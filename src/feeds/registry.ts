import { collection } from './collection.ts';
import { csv } from './csv.ts';
import type { ConfiguredFeed, FeedFormat } from './feed.ts';
import { json } from './json.ts';
import { mispFeed } from './misp-feed.ts';
import { mispRest } from './misp-rest.ts';
import { socdefenders } from './socdefenders.ts';
import { stix } from './stix.ts';
import { taxii } from './taxii.ts';
import { text } from './text.ts';

/** All feed formats by name. */
export const feedFormats = {
  collection,
  csv,
  json,
  'misp-feed': mispFeed,
  'misp-rest': mispRest,
  socdefenders,
  stix,
  taxii,
  text,
} satisfies Record<string, FeedFormat>;

/** The feeds that are polled, each with its format. */
export function configuredFeeds(config: { feeds: readonly Omit<ConfiguredFeed, 'format'>[] }): ConfiguredFeed[] {
  return config.feeds.map(({ definition, options, upstream }) => ({
    definition,
    options,
    upstream,
    format: feedFormats[definition.format as keyof typeof feedFormats],
  }));
}
