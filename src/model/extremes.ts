/** The lesser of two numbers, such as dates, of which either may not be there. */
export function leastOf(a: number | null, b: number | null): number | null {
  return a === null ? b : b === null ? a : Math.min(a, b);
}

/** The greater of two. */
export function greatestOf(a: number | null, b: number | null): number | null {
  return a === null ? b : b === null ? a : Math.max(a, b);
}
