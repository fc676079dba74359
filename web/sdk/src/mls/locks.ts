import { MessengerError } from './errors.js';

/** What navigator.locks is, as far as it is needed here. */
export interface Locks {
  request(
    name: string,
    options: { readonly ifAvailable?: boolean; readonly signal?: AbortSignal },
    held: (lock: unknown) => Promise<void>,
  ): Promise<unknown>;
}

/** navigator.locks, where there is such a thing. */
export function platformLocks(): Locks | undefined {
  return (globalThis.navigator as { locks?: Locks } | undefined)?.locks;
}

/**
 * Takes a profile for this tab, and returns the function that gives it back; a tab that dies gives it back too.
 * With `wait`, waits until the tab that has it gives it back; otherwise rejects with `profile_in_use`.
 */
export function takeProfile(
  locks: Locks, name: string, options: { readonly wait?: boolean | undefined; readonly signal?: AbortSignal | undefined },
): Promise<() => Promise<void>> {
  return new Promise((resolve, reject) => {
    let release = (): void => {};
    const until = new Promise<void>((done) => { release = done; });
    // The platform takes a signal only with a request that may wait.
    const asked = options.wait ? (options.signal ? { signal: options.signal } : {}) : { ifAvailable: true };
    const over = locks.request(`quicproquo-mls:${name}`, asked, (lock) => {
      if (lock === null) return Promise.reject(new MessengerError('profile_in_use', 'another tab has this profile open'));
      resolve(async () => {
        release();
        await over;
      });
      return until;
    }).catch(reject); // a lock that is lost after it was given keeps nobody from closing
  });
}

/** Locks among the messengers of one process, for where the platform has none (Node before 24). */
export class MemoryLocks implements Locks {
  /** The last holder or waiter of each name; guarded by being single-threaded. */
  readonly #tails = new Map<string, Promise<unknown>>();

  async request(
    name: string,
    options: { readonly ifAvailable?: boolean; readonly signal?: AbortSignal },
    held: (lock: unknown) => Promise<void>,
  ): Promise<unknown> {
    const before = this.#tails.get(name);
    if (before && options.ifAvailable) return held(null);
    let leave = (): void => {};
    const mine = new Promise<void>((done) => { leave = done; });
    const tail = Promise.resolve(before).then(() => mine);
    this.#tails.set(name, tail);
    try {
      await (before && abortable(before, options.signal));
      return await held({ name });
    } finally {
      leave();
      if (this.#tails.get(name) === tail) this.#tails.delete(name);
    }
  }
}

function abortable(wait: Promise<unknown>, signal: AbortSignal | undefined): Promise<unknown> {
  if (!signal) return wait;
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
    wait.then(resolve, reject);
  });
}
