import type { Clock } from '@quicproquo/client';

/** A clock that stands still until it is told otherwise. */
export class ManualClock implements Clock {
  #now = 0;
  #timers: { readonly at: number; readonly run: () => void }[] = [];

  readonly #share: number; // what random gives

  constructor(share = 0.5) {
    this.#share = share;
  }

  now(): number {
    return this.#now;
  }

  setTimeout(run: () => void, ms: number): unknown {
    const timer = { at: this.#now + ms, run };
    this.#timers.push(timer);
    return timer;
  }

  clearTimeout(handle: unknown): void {
    this.#timers = this.#timers.filter((timer) => timer !== handle);
  }

  random(): number {
    return this.#share;
  }

  /** The milliseconds until each timer. */
  get pending(): number[] {
    return this.#timers.map(({ at }) => at - this.#now).sort((a, b) => a - b);
  }

  /** Goes on to the next timer, and lets what waits for it go on. */
  async next(): Promise<void> {
    const [first] = [...this.#timers].sort((a, b) => a.at - b.at);
    if (!first) throw new Error('there is no timer');
    this.#now = first.at;
    this.clearTimeout(first);
    first.run();
    await settled();
  }
}

/** Resolves when everything that could go on without time has gone on. */
export function settled(): Promise<void> {
  return new Promise((resolve) => { setImmediate(resolve); });
}
