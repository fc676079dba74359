import { fullJitter } from './backoff.js';
import { sleep } from './clock.js';
import type { Clock } from './clock.js';
import { cancelled, QuicproquoError } from './errors.js';

const backoff = { first: 100, longest: 10_000 };
const longestWait = 30_000; // of one call, in all its waits together
const mostUnanswered = 5; // tries

/**
 * Tries until it succeeds, or until another try is of no use: only for what has the effect of once if it is
 * done twice. It waits as long as the server asks for, within bounds, and some more at random.
 */
export async function retrying<T>(clock: Clock, signal: AbortSignal, attempt: () => Promise<T>): Promise<T> {
  let left = longestWait;
  for (let failures = 1; ; failures++) {
    try {
      return await attempt();
    } catch (failure) {
      if (signal.aborted) throw cancelled(signal);
      const wait = pauseAfter(failure, failures, clock);
      if (wait === undefined || wait > left) throw failure;
      left -= wait;
      await sleep(clock, wait, signal);
      if (signal.aborted) throw cancelled(signal);
    }
  }
}

/** Milliseconds until the next try; undefined: there is none. What limits refuse is tried as long as time allows. */
function pauseAfter(failure: unknown, failures: number, clock: Clock): number | undefined {
  if (!(failure instanceof QuicproquoError)) return undefined;
  const limited = failure.code === 'rate_limited';
  if (!limited && (failure.code !== 'unavailable' || failures >= mostUnanswered)) return undefined;
  return (failure.retryAfterMs ?? 0) + Math.max(1, fullJitter(backoff, failures, clock));
}
