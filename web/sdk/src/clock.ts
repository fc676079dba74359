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

/** Beyond it, timers of the platform run at once. */
const longestTimer = 2 ** 31 - 1;

/** Waits, at most for 24 days; ends early, without an error, when the signal aborts. */
export function sleep(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const finish = (): void => {
      clock.clearTimeout(timer);
      signal.removeEventListener('abort', finish);
      resolve();
    };
    const timer = clock.setTimeout(finish, Math.min(ms, longestTimer));
    signal.addEventListener('abort', finish);
  });
}

/** An AbortController that follows another signal until it is let go, so that the other keeps nothing of it. */
export class Scope {
  readonly #controller = new AbortController();
  readonly #followed: AbortSignal | undefined;
  readonly #follow = (): void => this.abort(this.#followed?.reason);

  constructor(followed?: AbortSignal) {
    this.#followed = followed;
    if (followed?.aborted) this.#follow();
    else followed?.addEventListener('abort', this.#follow);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  abort(reason?: unknown): void {
    this.#controller.abort(reason);
    this.release();
  }

  release(): void {
    this.#followed?.removeEventListener('abort', this.#follow);
  }
}
