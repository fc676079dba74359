import { Scope } from './clock.js';
import type { Clock } from './clock.js';
import { cancelled, QuicproquoError } from './errors.js';
import type { Http, Request } from './http.js';
import { retrying } from './retry.js';
import type { Tokens } from './tokens.js';

/**
 * Makes requests as the client's identity, and repeats them: every request of this package may be made twice with the
 * effect of once.
 */
export class Rest {
  readonly #http: Http;
  readonly #tokens: Tokens;
  readonly #clock: Clock;
  /** Aborts when the client is closed. */
  readonly #life: AbortSignal;
  /** Of the calls under way; each is taken out by itself. */
  readonly #scopes = new Set<Scope>();

  constructor(http: Http, tokens: Tokens, clock: Clock, life: AbortSignal) {
    this.#http = http;
    this.#tokens = tokens;
    this.#clock = clock;
    this.#life = life;
    // One listener for all calls: platforms warn of signals with many.
    life.addEventListener('abort', () => this.#scopes.forEach((scope) => scope.abort(life.reason)));
  }

  /** The answer's JSON. */
  call(request: Request, signal?: AbortSignal): Promise<unknown> {
    return this.#within(signal, (scope) => retrying(this.#clock, scope, () => this.#authorized(request, scope)));
  }

  /** As call, but tried once: its caller has its own patience. */
  once(request: Request, signal?: AbortSignal): Promise<unknown> {
    return this.#within(signal, (scope) => this.#authorized(request, scope));
  }

  /** A call that needs no token. */
  open(request: Request, signal?: AbortSignal): Promise<unknown> {
    const attempt = (scope: AbortSignal): Promise<unknown> => this.#http.exchange(request, undefined, scope);
    return this.#within(signal, (scope) => retrying(this.#clock, scope, () => attempt(scope)));
  }

  async #within<T>(signal: AbortSignal | undefined, act: (scope: AbortSignal) => Promise<T>): Promise<T> {
    if (this.#life.aborted) throw new QuicproquoError('unavailable', 'the client was closed');
    const scope = new Scope(signal);
    this.#scopes.add(scope);
    try {
      if (scope.signal.aborted) throw cancelled(scope.signal);
      return await act(scope.signal);
    } finally {
      scope.release();
      this.#scopes.delete(scope);
    }
  }

  /** A token that is refused had no effect; a new one may do better, once. */
  async #authorized(request: Request, signal: AbortSignal): Promise<unknown> {
    const token = await unlessAborted(this.#tokens.get(), signal);
    try {
      return await this.#http.exchange(request, token, signal);
    } catch (failure) {
      if (!isTokenRefused(failure)) throw failure;
      this.#tokens.discard(token);
      return this.#http.exchange(request, await unlessAborted(this.#tokens.get(), signal), signal);
    }
  }
}

/** Others wait for the same token, so it is brought nevertheless. */
function unlessAborted<T>(awaited: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const leave = (): void => reject(cancelled(signal));
    if (signal.aborted) leave();
    signal.addEventListener('abort', leave);
    void awaited.then(resolve, reject).finally(() => signal.removeEventListener('abort', leave));
  });
}

export function isTokenRefused(failure: unknown): boolean {
  return failure instanceof QuicproquoError && (failure.code === 'unauthenticated' || failure.code === 'token_expired');
}
