/** Single flight: equal calls that are under way at the same time are made once. Whoever comes second gets what the first one gets, a failure too. */
export type Flights<T> = Map<string, Promise<T>>;

/** `isShared`: the value is of a call that somebody else made. */
export async function shareFlight<T>(
  flights: Flights<T>,
  key: string,
  call: () => Promise<T>,
): Promise<{ value: T; isShared: boolean }> {
  const running = flights.get(key);
  if (running !== undefined) return { value: await running, isShared: true };
  const started = call();
  flights.set(key, started);
  try {
    return { value: await started, isShared: false };
  } finally {
    flights.delete(key);
  }
}
