import { leavable } from '../leaving.js';

/** Tells listeners and loops. A loop that is slow is told of each key once, so it holds no more than there are keys. */
export class Broadcast<T> {
  readonly #listeners = new Set<(event: T) => void>();
  readonly #keyOf: (event: T) => unknown;
  #ended = false;
  readonly #endings = new Set<() => void>();

  constructor(keyOf: (event: T) => unknown) {
    this.#keyOf = keyOf;
  }

  tell(event: T): void {
    for (const listener of this.#listeners) {
      try {
        listener(event);
      } catch (error) {
        // A listener's mistake is not this messenger's: it surfaces as if nobody had called the listener.
        queueMicrotask(() => { throw error; });
      }
    }
  }

  /** Ends all loops, after what they have not read yet. */
  end(): void {
    this.#ended = true;
    for (const ending of this.#endings) ending();
  }

  subscribe(listener: (event: T) => void): () => void {
    const own = (event: T): void => listener(event);
    this.#listeners.add(own);
    return () => { this.#listeners.delete(own); };
  }

  events(signal?: AbortSignal): AsyncIterable<T> {
    return leavable((onLeave) => this.#events(signal, onLeave));
  }

  async *#events(signal: AbortSignal | undefined, onLeave: (leave: () => void) => void): AsyncGenerator<T, void, undefined> {
    const unread = new Map<unknown, T>();
    let wake = (): void => {};
    const ending = (): void => wake();
    let left = false;
    onLeave(() => {
      left = true;
      wake();
    });
    const unsubscribe = this.subscribe((event) => {
      unread.set(this.#keyOf(event), event);
      wake();
    });
    this.#endings.add(ending);
    signal?.addEventListener('abort', ending);
    try {
      while (!signal?.aborted && !left) {
        for (const [key, event] of unread) {
          unread.delete(key);
          yield event;
          if (signal?.aborted) return;
        }
        if (unread.size > 0) continue;
        if (this.#ended) return;
        await new Promise<void>((resolve) => { wake = resolve; });
      }
    } finally {
      unsubscribe();
      this.#endings.delete(ending);
      signal?.removeEventListener('abort', ending);
    }
  }
}
