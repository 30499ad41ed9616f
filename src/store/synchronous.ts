import type { GatewayError } from '../model/error.ts';

/** The methods of a contract in an engine that answers at once: promises are put on at the boundary. */
export type Sync<T> = {
  [K in keyof T]: T[K] extends (...args: infer A) => Promise<infer R> ? (...args: A) => R : T[K];
};

/** Puts promises on synchronous methods. `around` runs each call; `asError` makes a GatewayError of what it throws. */
export function promised<T extends object>(
  methods: Sync<T>,
  around: <R>(call: () => R) => R,
  asError: (error: unknown) => GatewayError,
): T {
  const wrapped: Record<string, unknown> = {};
  for (const [name, method] of Object.entries(methods)) {
    wrapped[name] = async (...args: unknown[]) => {
      try {
        return around(() => (method as (...args: unknown[]) => unknown)(...args));
      } catch (error) {
        throw asError(error);
      }
    };
  }
  return wrapped as T;
}
