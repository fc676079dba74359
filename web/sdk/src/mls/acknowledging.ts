import { Loop } from './loop.js';
import type { MessengerClient } from './ports.js';

/** Acknowledges what is handled durably, in its own time and several messages at once. */
export class Acknowledger {
  readonly #client: MessengerClient;
  readonly #channel: string;
  readonly #signal: AbortSignal;
  readonly #failed: (error: unknown) => void;
  /** All up to here is handled. */
  #handled: number;
  #acked: number;
  readonly #loop = new Loop(() => this.#run());

  constructor(client: MessengerClient, channel: string, handled: number, signal: AbortSignal, failed: (error: unknown) => void) {
    this.#client = client;
    this.#channel = channel;
    this.#handled = handled;
    // What was acknowledged before is not known; what was not comes again.
    this.#acked = handled;
    this.#signal = signal;
    this.#failed = failed;
  }

  handled(through: number): void {
    this.#handled = through;
    this.resume();
  }

  /** A handled message came again, so it is not acknowledged. */
  repeated(seq: number): void {
    this.#acked = Math.min(this.#acked, seq - 1);
    this.resume();
  }

  /** Tries again what failed. */
  resume(): void {
    this.#loop.wake();
  }

  stopped(): Promise<void> {
    return this.#loop.idle();
  }

  async #run(): Promise<void> {
    while (this.#acked < this.#handled && !this.#signal.aborted) {
      const through = this.#handled;
      try {
        await this.#client.ack(this.#channel, through);
        this.#acked = through;
      } catch (error) {
        return this.#failed(error);
      }
    }
  }
}
