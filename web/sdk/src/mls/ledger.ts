import type { Mls } from './group.js';
import type { MessengerClient } from './ports.js';
import { standingUpdate } from './standing.js';
import type { Standing } from './standing.js';
import type { Update, Vault } from './vault.js';

/** What all conversations of a messenger share. */
export interface Desk {
  /** Rejects whatever is still asked when the signal aborts. */
  readonly client: MessengerClient;
  readonly mls: Mls;
  readonly vault: Vault;
  readonly heal: boolean;
  /** Bytes of each conversation's past that are kept. */
  readonly history: number;
  /** Aborts when the messenger closes. */
  readonly signal: AbortSignal;
  changed(id: string): void;
  /** The messenger cannot go on: what is in memory and what is stored may differ. */
  failed(error: unknown): void;
}

/** How a conversation stands. What is in memory follows what is written, never the other way round. */
export class Ledger {
  readonly #desk: Desk;
  /** As it is written. Owned by the steps of the conversation's engine, of which one runs at a time. */
  #standing: Standing;

  constructor(desk: Desk, standing: Standing) {
    this.#desk = desk;
    this.#standing = standing;
  }

  get standing(): Standing {
    return this.#standing;
  }

  /** Writes a standing, and what belongs to it, in one step; from then on it is in force. */
  async put(standing: Standing, ...updates: readonly Update[]): Promise<void> {
    await this.write([standingUpdate(standing), ...updates]);
    this.#standing = standing;
  }

  /** Writes what is no part of the standing. */
  async write(updates: readonly Update[]): Promise<void> {
    try {
      await this.#desk.vault.write(updates);
    } catch (error) {
      this.#desk.failed(error);
      throw error;
    }
  }

  /** The conversation looks different now. */
  changed(): void {
    this.#desk.changed(this.#standing.id);
  }
}
