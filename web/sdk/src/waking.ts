import { Scope, sleep } from './clock.js';
import type { Clock } from './clock.js';

const spread = 1_000; // milliseconds over which those come back whom the same event woke
const apart = 5_000; // milliseconds at least between two attempts that events brought forward

/**
 * Waits that end early once the platform says that an attempt may fare better: the network is there again, or somebody
 * looks at the page, whose timers are late while nobody does. Where there are no such events, as in Node, none come.
 */
export class Waking {
  readonly #clock: Clock;
  /** Something happened since the last wait. */
  #woken = false;
  #wake: () => void = () => undefined;
  /** By the clock: no attempt is brought forward to before this. */
  #notBefore = -Infinity;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Listens until the signal aborts: what happens during an attempt shortens the wait after it. */
  listen(signal: AbortSignal): void {
    const wake = (): void => {
      this.#woken = true;
      this.#wake();
    };
    const platform: Partial<typeof globalThis> = globalThis;
    platform.addEventListener?.('online', wake, { signal });
    const { document } = platform;
    document?.addEventListener('visibilitychange', () => {
      if (document.visibilityState === 'visible') wake();
    }, { signal });
  }

  /** Waits, never longer than `ms`. */
  async wait(ms: number, signal: AbortSignal): Promise<void> {
    const until = this.#clock.now() + ms;
    await this.#sleepUnlessWoken(ms, signal);
    const now = this.#clock.now();
    if (this.#woken && now < until && !signal.aborted) {
      const soon = Math.max(Math.ceil(this.#clock.random() * spread), this.#notBefore - now);
      // Never longer than that, also where the clock was set back meanwhile.
      await sleep(this.#clock, Math.min(until - now, soon, apart), signal);
      this.#notBefore = this.#clock.now() + apart;
    }
    this.#woken = false;
  }

  async #sleepUnlessWoken(ms: number, signal: AbortSignal): Promise<void> {
    if (this.#woken) return;
    const scope = new Scope(signal);
    this.#wake = () => scope.abort();
    await sleep(this.#clock, ms, scope.signal);
    scope.release();
  }
}
