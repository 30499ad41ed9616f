import { type ErrorCode, GatewayError, httpStatusOf } from '../model/error.ts';

/** A GatewayError as it crosses a thread or a socket: without its cause and excerpt. */
export interface ErrorJson {
  code: ErrorCode;
  message: string;
  retryAfter?: number | undefined;
  details?: Record<string, string> | undefined;
}

export function errorToJson({ code, message, retryAfter, details }: GatewayError): ErrorJson {
  return { code, message, retryAfter, details };
}

/** A code of another version becomes `internal`. */
export function errorFromJson({ code, message, retryAfter, details }: ErrorJson): GatewayError {
  return new GatewayError(code in httpStatusOf ? code : 'internal', message, {
    ...(retryAfter === undefined ? {} : { retryAfter }),
    ...(details === undefined ? {} : { details }),
  });
}
