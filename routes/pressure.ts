import { monitorEventLoopDelay } from 'node:perf_hooks';
import { getHeapStatistics } from 'node:v8';
import { type Clock, MICROS_PER_SECOND } from '../src/model/clock.ts';

/** From where on the process counts as overloaded. */
export interface Pressure {
  /** Mean delay of the event loop in milliseconds; 0: no bound. */
  eventLoopDelay: number;
  /** Of the heap in use; 0: no bound. */
  heapBytes: number;
}

export interface PressureGauge {
  /** Is the process overloaded? */
  isHigh(): boolean;
  close(): void;
}

/** Milliseconds between two samples of the event loop's delay. */
const RESOLUTION = 10;
/** A measurement is used for so long. */
const MEASURED_FOR = MICROS_PER_SECOND;

/**
 * Measures when it is asked, once a second at most. Nothing here opens a file: `process.memoryUsage()`, which
 * @fastify/under-pressure asks for in a timer, throws where all descriptors are used up, and would end the process.
 */
export function measurePressure(clock: Clock, { eventLoopDelay, heapBytes }: Pressure): PressureGauge {
  const delays = eventLoopDelay > 0 ? monitorEventLoopDelay({ resolution: RESOLUTION }) : null;
  delays?.enable();
  let measuredAt = Number.NEGATIVE_INFINITY;
  let isHigh = false;
  const measure = (): boolean => {
    // Without a sample the mean is NaN: nothing was late.
    const isLate = delays !== null && delays.mean / 1e6 - RESOLUTION > eventLoopDelay;
    delays?.reset();
    return isLate || (heapBytes > 0 && getHeapStatistics().used_heap_size > heapBytes);
  };
  return {
    isHigh() {
      const now = clock.now();
      if (now - measuredAt >= MEASURED_FOR || now < measuredAt) {
        measuredAt = now;
        isHigh = measure();
      }
      return isHigh;
    },
    close: () => void delays?.disable(),
  };
}
