import type { FastifyInstance } from 'fastify';
import type { Operation } from './methods.ts';
import type { Access } from './operation.ts';
import type { RouteContext } from './parts.ts';

/** Makes the operation of a route from what the application gives its routes. */
export type MakeOperation = (context: RouteContext, scope: FastifyInstance) => Operation;

/** Routes with a common prefix, which are called by the same people and word their errors alike. */
export interface RouteScope {
  /** Without the slash at its end. */
  prefix: string;
  access: Access;
  /** How errors are worded: as TAXII error messages, or as problem details (RFC 9457). */
  protocol: 'taxii' | 'rest';
  /** Appended to the names of operations, where the same ones stand under several prefixes. */
  idSuffix?: string;
  /** Answered also while others are refused with 503 (readiness.ts): figures are for such times. */
  isAlwaysServed?: boolean;
  /** Hooks and parsers of the scope. Runs before its routes are registered. */
  prepare?(scope: FastifyInstance, context: RouteContext): void | Promise<void>;
  /** By method and path. `prepared`: `prepare` registers it. */
  routes: Record<`${'GET' | 'POST' | 'DELETE'} /${string}`, MakeOperation | 'prepared'>;
}
