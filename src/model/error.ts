/** The failures of a request, a poll or a command that are foreseen. Any other is `internal`. */
export type ErrorCode =
  // what a caller did
  | 'bad-request'
  | 'unauthenticated'
  | 'forbidden'
  | 'not-found'
  | 'method-not-allowed'
  | 'not-acceptable'
  | 'body-too-large'
  | 'uri-too-long'
  | 'unsupported-media-type'
  | 'unprocessable'
  | 'rate-limited'
  // what an upstream did
  | 'upstream-unauthorized'
  | 'upstream-forbidden'
  | 'upstream-rate-limited'
  | 'upstream-failed'
  | 'upstream-timeout'
  | 'upstream-too-large'
  | 'upstream-malformed'
  | 'budget-exhausted'
  // what a sink's target did
  | 'sink-unavailable'
  | 'sink-refused'
  // what stands on this machine
  | 'config-invalid'
  | 'data-locked'
  | 'store-failed'
  | 'store-full'
  | 'store-damaged'
  | 'unavailable'
  | 'internal';

/** Faults of a store as a whole: its disk is full, or its file is damaged. */
export type StoreFault = Extract<ErrorCode, 'store-full' | 'store-damaged'>;

export interface ErrorOptions {
  cause?: unknown;
  /** Seconds after which trying again makes sense; becomes Retry-After. */
  retryAfter?: number;
  /** Short facts for the caller, without secrets: TAXII `details` and members of problem+json. */
  details?: Record<string, string>;
  /** The beginning of what was received, for the operator only: a feed may point at a file that readers must not see. */
  excerpt?: string;
}

/** An error of a known code. Its message may be shown to the caller. */
export class GatewayError extends Error {
  readonly code: ErrorCode;
  readonly retryAfter: number | undefined;
  readonly details: Record<string, string> | undefined;
  readonly excerpt: string | undefined;

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'GatewayError';
    this.code = code;
    this.retryAfter = options.retryAfter;
    this.details = options.details;
    this.excerpt = options.excerpt;
  }
}

/** The message of whatever was thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** The message of a feed's error with its excerpt, for the operator. */
export function errorText({ message, excerpt }: { message: string; excerpt?: string | undefined }): string {
  return excerpt === undefined ? message : `${message} It begins with: ${excerpt}`;
}

/** The `code` of an error of Node or the operating system (`ENOENT`); undefined for any other value. */
export function systemErrorCode(error: unknown): string | undefined {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : undefined;
}

/** HTTP status by code (RFC 9110 section 15, RFC 6585). */
export const httpStatusOf: Record<ErrorCode, number> = {
  'bad-request': 400,
  unauthenticated: 401,
  forbidden: 403,
  'not-found': 404,
  'method-not-allowed': 405,
  'not-acceptable': 406,
  'body-too-large': 413,
  'uri-too-long': 414,
  'unsupported-media-type': 415,
  unprocessable: 422,
  'rate-limited': 429,
  'upstream-unauthorized': 502,
  'upstream-forbidden': 502,
  'upstream-rate-limited': 503,
  'upstream-failed': 502,
  'upstream-timeout': 504,
  'upstream-too-large': 502,
  'upstream-malformed': 502,
  'budget-exhausted': 503,
  'sink-unavailable': 503,
  'sink-refused': 502,
  'config-invalid': 500,
  'data-locked': 503,
  'store-failed': 500,
  'store-full': 503,
  'store-damaged': 500,
  unavailable: 503,
  internal: 500,
};
