import { GatewayError } from '../model/error.ts';

/** A position in the configuration file, counted from 1. Line 0: the command line. */
export interface Mark {
  line: number;
  column: number;
}

/** An error or warning about the configuration. Never holds a value that may be a secret. */
export interface ConfigProblem extends Mark {
  /** Dotted, as in `collections.ips.types[1]`; empty for the file as a whole. */
  path: string;
  message: string;
}

export type Step = string | number;

/** Called for each problem that is found; reading goes on. */
export type Report = (at: Mark, path: readonly Step[], message: string) => void;

/** Problems in the message of an error. */
const MAX_PROBLEMS_SHOWN = 100;

/** `feeds.house.url`, `collections.ips.types[1]`, `taxii.api_roots."/taxii/one/"`. */
export function pathText(path: readonly Step[]): string {
  let text = '';
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`;
    else text += `${text === '' ? '' : '.'}${/^[\w-]+$/.test(step) ? step : JSON.stringify(shorten(step))}`;
  }
  return text;
}

/** Cuts a name for a message to 64 characters. */
export function shorten(name: string): string {
  return name.length <= 64 ? name : `${name.slice(0, 61)}...`;
}

/** One line: `sluice.yaml:12:9: feeds.house.every: ...`. */
export function formatProblem(file: string, problem: ConfigProblem): string {
  const place = problem.line === 0 ? '' : `${file}:${problem.line}:${problem.column}: `;
  return `${place}${problem.path === '' ? '' : `${problem.path}: `}${problem.message}`;
}

export function sortProblems(problems: readonly ConfigProblem[]): ConfigProblem[] {
  return problems.toSorted((a, b) => a.line - b.line || a.column - b.column || (a.path < b.path ? -1 : 1));
}

/** A `config-invalid` error with one line per problem. `problemsOf` returns the problems. */
export function configInvalid(file: string, problems: readonly ConfigProblem[]): GatewayError {
  const sorted = sortProblems(problems);
  const lines = sorted.slice(0, MAX_PROBLEMS_SHOWN).map((problem) => formatProblem(file, problem));
  if (sorted.length > lines.length) lines.push(`${file}: and ${sorted.length - lines.length} more problems`);
  return new GatewayError('config-invalid', lines.join('\n'), { cause: { problems: sorted } });
}

/** The problems that a `config-invalid` error carries; none for any other error. */
export function problemsOf(error: unknown): ConfigProblem[] {
  if (!(error instanceof GatewayError) || error.code !== 'config-invalid') return [];
  const cause = error.cause as { problems?: ConfigProblem[] } | undefined;
  return cause?.problems ?? [];
}
