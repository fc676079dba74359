import { encodeBase64url } from '../base64url.js';
import type { QuicproquoError } from '../errors.js';

/** Those who wait for one thing. */
export class Waiters {
  #waiters: { resolve: () => void; reject: (error: Error) => void }[] = [];

  get waiting(): boolean {
    return this.#waiters.length > 0;
  }

  add(): Promise<void> {
    return new Promise((resolve, reject) => { this.#waiters.push({ resolve, reject }); });
  }

  resolve(): void {
    for (const waiter of this.#take()) waiter.resolve();
  }

  reject(error: Error): void {
    for (const waiter of this.#take()) waiter.reject(error);
  }

  #take() {
    const waiters = this.#waiters;
    this.#waiters = [];
    return waiters;
  }
}

/** An id for the node: visible ASCII, 128 random bits. */
export function randomId(): string {
  return encodeBase64url(crypto.getRandomValues(new Uint8Array(16)));
}

const longestAsked = 600_000; // milliseconds that a node is listened to; timers of far more would run at once

/** How long to wait after so many failures in a row: full jitter up to half a minute, and what the node asks for. */
export function pauseAfter(failures: number, error: QuicproquoError): number {
  return Math.min(error.retryAfterMs ?? 0, longestAsked) + Math.random() * Math.min(30_000, 500 * 2 ** failures);
}
