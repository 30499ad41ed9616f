/**
 * Equal requests that are on their way at the same time are one: two feeds on one account that ask for the same thing at
 * the same moment, as two pools on one list do after every start. Whoever comes second is handed what the first one gets,
 * its failure too. An answer that is larger than what is read ahead can't be handed out twice; then each asks for itself,
 * which costs a request and never a row.
 */
export type Flights = Map<string, Promise<unknown>>;

/** `fly` makes the call; the answer says whether it was made here or by somebody else. */
export async function shareFlight<T>(
  flights: Flights,
  name: string,
  fly: () => Promise<T>,
): Promise<{ value: T; isShared: boolean }> {
  const running = flights.get(name) as Promise<T> | undefined;
  if (running !== undefined) return { value: await running, isShared: true };
  const started = fly();
  flights.set(name, started);
  try {
    return { value: await started, isShared: false };
  } finally {
    flights.delete(name);
  }
}
