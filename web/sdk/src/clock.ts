/** Time as the client takes it; tests bring their own. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  setTimeout(run: () => void, ms: number): unknown;
  clearTimeout(handle: unknown): void;
  /** From 0 inclusive to 1 exclusive: spreads retries. */
  random(): number;
}

/** The platform's time. */
export const systemClock: Clock = {
  now: () => Date.now(),
  setTimeout: (run, ms) => setTimeout(run, ms),
  clearTimeout: (handle) => clearTimeout(handle as number),
  random: () => Math.random(),
};

/** Waits; ends early, without an error, when the signal aborts. */
export function sleep(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const finish = (): void => {
      clock.clearTimeout(timer);
      signal.removeEventListener('abort', finish);
      resolve();
    };
    const timer = clock.setTimeout(finish, ms);
    signal.addEventListener('abort', finish);
  });
}

/** An AbortController that follows other signals until it is let go, so that they keep nothing of it. */
export class Scope {
  readonly #controller = new AbortController();
  readonly #followed: readonly AbortSignal[];
  readonly #abort = (): void => this.abort();

  constructor(...followed: readonly (AbortSignal | undefined)[]) {
    this.#followed = followed.filter((signal) => signal !== undefined);
    for (const signal of this.#followed) {
      if (signal.aborted) this.abort();
      else signal.addEventListener('abort', this.#abort);
    }
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  abort(): void {
    this.#controller.abort();
    this.release();
  }

  release(): void {
    for (const signal of this.#followed) signal.removeEventListener('abort', this.#abort);
  }
}
