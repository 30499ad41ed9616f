import type { Rejection } from '../../model/observation.ts';
import type { FeedRow } from '../feed.ts';

/** Why a line gives no row. */
export type LineFault = Pick<Rejection, 'reason' | 'detail'>;

/** What a line holds; null for a line that is no row at all, such as a heading. */
export type LineContent = (FeedRow | LineFault)[] | null;

export type ReadLine = (line: string) => LineContent;

/** Values that a line names, why it names none, or null as above. */
export type LineValues = string[] | LineFault | null;
