import type { ConversationState, Entry, Message, Problem } from './types.js';

/** A conversation of two. Its properties are what is known now; the messenger's events say when they changed. */
export abstract class Conversation {
  /** The channel's id. */
  abstract readonly id: string;
  /** The peer's address: every message was signed by this key. */
  abstract readonly peer: string;
  /** Sixty digits that are the same on both sides only if both see each other's true keys. */
  abstract readonly safetyNumber: string;
  abstract readonly state: ConversationState;
  /** Why something waits; undefined if nothing does, or if it was not tried yet. */
  abstract readonly problem: Problem | undefined;
  /** The latest entries, 500 at most, and all that are queued. */
  abstract readonly entries: readonly Entry[];
  /** Messages of the peer since `markRead`. */
  abstract readonly unread: number;
  /** Of the latest entry; undefined if there is none. */
  abstract readonly updatedAt: Date | undefined;
  /** How often the group's keys have changed; undefined without a group. */
  abstract readonly epoch: number | undefined;

  /**
   * Queues a message; resolves once it is kept durably here. It is sent as soon as that is possible, after all that
   * was queued before it, also by a later messenger of this profile. Text goes as UTF-8.
   */
  abstract send(content: string | Uint8Array<ArrayBuffer>): Promise<Message>;

  /** Entries before a seq, for scrolling back: at most `limit`, in order. */
  abstract earlier(before: number, limit?: number): Promise<Entry[]>;

  /** All that came until now was read. */
  abstract markRead(): Promise<void>;

  /**
   * Puts fresh keys in force, so that one who copied the present ones reads no further. Resolves when they are. It
   * waits for the node, for a group, and, after three updates in a row that the peer has not answered, for the peer.
   */
  abstract updateKeys(): Promise<void>;

  /** Begins a new group in place of the present one; resolves when there is one, this side's or the peer's. */
  abstract reestablish(): Promise<void>;

  /** Resolves when nothing is queued any more. */
  abstract flushed(): Promise<void>;
}
