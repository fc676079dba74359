import type { Conversation, Entry } from '@quicproquo/client/mls';

const step = 200; // entries that are read back at once

/** A conversation as far as it was read back: what the messenger lets go of, for something newer, stays here. */
export class History {
  readonly #stored = new Map<string, Entry>();
  #more = true;

  /** Whether there may be something earlier. */
  get more(): boolean {
    return this.#more;
  }

  /** Remembers those that have their place. */
  add(entries: readonly Entry[]): void {
    for (const entry of entries) if (entry.seq !== undefined) this.#stored.set(entry.id, entry);
  }

  /** Reads the entries before the first one. */
  async readBack(conversation: Conversation): Promise<void> {
    const first = this.#inOrder()[0]?.seq;
    const earlier = first === undefined ? [] : await conversation.earlier(first, step);
    this.add(earlier);
    this.#more = earlier.length === step;
  }

  /** Everything, and of the latest entries those that wait for their place. */
  with(latest: readonly Entry[]): Entry[] {
    return [...this.#inOrder(), ...latest.filter(({ seq }) => seq === undefined)];
  }

  #inOrder(): Entry[] {
    return [...this.#stored.values()].sort((a, b) => (a.seq ?? 0) - (b.seq ?? 0));
  }
}
