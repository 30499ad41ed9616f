/** Rejected rows kept per feed. Older ones are dropped first; their number stays. */
export const MAX_REJECTIONS_PER_FEED = 10_000;

/** Most dates in one millisecond: an OpenCTI client that cuts `added_after` to milliseconds moves on with a larger page. */
export const MAX_DATES_PER_MILLISECOND = 500;

/** Verdicts of analysts that ended and are kept. */
export const MAX_ENDED_VERDICTS = 10_000;

/** Verdicts of analysts that may stand in a pool. */
export const MAX_STANDING_VERDICTS = 100_000;
