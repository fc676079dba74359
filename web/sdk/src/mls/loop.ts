/**
 * Runs a pass whenever it is woken, one at a time; a wake-up during a pass is followed by another pass. The
 * pass does not reject.
 */
export class Loop {
  readonly #pass: () => Promise<void>;
  #again = false;
  #running: Promise<void> | undefined;

  constructor(pass: () => Promise<void>) {
    this.#pass = pass;
  }

  wake(): void {
    this.#again = true;
    this.#running ??= this.#run();
  }

  /** Resolves when no pass runs. */
  async idle(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    while (this.#again) {
      this.#again = false;
      await this.#pass();
    }
    // In the same breath as the last look at #again: a wake-up in between would be lost.
    this.#running = undefined;
  }
}
