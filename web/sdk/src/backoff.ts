/** From 0 inclusive to 1 exclusive. */
interface Chance {
  random(): number;
}

/** How long to wait after failures. */
export interface Backoff {
  /** The bound of the first wait, in milliseconds; it doubles with every failure. */
  readonly first: number;
  readonly longest: number;
}

/**
 * A random share of a bound that doubles with every failure ("full jitter"), so that clients who failed
 * together do not come back together. `failures` counts from 1.
 */
export function fullJitter({ first, longest }: Backoff, failures: number, chance: Chance): number {
  const bound = Math.min(longest, first * 2 ** Math.min(failures - 1, 30));
  return Math.ceil(chance.random() * bound);
}

/** What a server asked to wait, and up to a quarter more: it may have asked many at once. */
export function jittered(ms: number, chance: Chance): number {
  return Math.ceil(ms * (1 + chance.random() / 4));
}
