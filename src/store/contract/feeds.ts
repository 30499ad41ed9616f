import type { FeedState } from '../../model/state.ts';

export interface FeedReader {
  /** The state of a feed; an empty one where nothing was saved. */
  feedState(feed: string): Promise<FeedState>;
  /** All saved states, ascending by feed. */
  feedStates(): Promise<FeedState[]>;
}

export interface FeedWriter {
  /** Feeds that have a saved state, an observation or an object; ascending. */
  knownFeeds(): Promise<string[]>;
  /** Writes the properties that the patch names; the others stay. */
  saveFeedState(feed: string, patch: Partial<Omit<FeedState, 'feed' | 'observations' | 'objects'>>): Promise<void>;
  /** Removes the state, observations, objects, ended versions, rejections of a feed and all verdicts on it. */
  removeFeed(feed: string): Promise<void>;
}
