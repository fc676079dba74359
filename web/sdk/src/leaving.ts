/**
 * Loops that end as soon as they are left, also while they wait for what comes next: a generator alone is left only
 * once it has something to give. `begin` is told how its loop is left, as soon as there is something to leave.
 */
export function leavable<T>(
  begin: (onLeave: (leave: () => void) => void) => AsyncGenerator<T, void, undefined>,
): AsyncIterable<T> {
  return { [Symbol.asyncIterator]: () => new Leavable(begin) };
}

class Leavable<T> implements AsyncIterableIterator<T, void, undefined> {
  readonly #events: AsyncGenerator<T, void, undefined>;
  #leave: () => void = () => undefined;

  constructor(begin: (onLeave: (leave: () => void) => void) => AsyncGenerator<T, void, undefined>) {
    this.#events = begin((leave) => { this.#leave = leave; });
  }

  next(): Promise<IteratorResult<T, void>> {
    return this.#events.next();
  }

  return(): Promise<IteratorResult<T, void>> {
    this.#leave();
    return this.#events.return();
  }

  throw(error: unknown): Promise<IteratorResult<T, void>> {
    this.#leave();
    return this.#events.throw(error);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
