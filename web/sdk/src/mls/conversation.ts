import { MessengerError } from './errors.js';
import type { Engine } from './engine.js';
import { queuedEntry } from './records.js';
import type { ConversationState, Entry, Message, Problem } from './types.js';

/** The node takes 5 MiB; what MLS adds is less than this. */
const contentLimit = 5 * 1024 * 1024 - 4096;

/** A conversation of two. Its properties are what is known now; the messenger's events say when they changed. */
export class Conversation {
  /** The channel's id. */
  readonly id: string;
  /** The peer's address: every message was signed by this key. */
  readonly peer: string;
  /** Sixty digits that are the same on both sides only if both see each other's true keys. */
  readonly safetyNumber: string;
  readonly #engine: Engine;

  /** Conversations come from a Messenger. @internal */
  constructor(id: string, peer: string, safetyNumber: string, engine: Engine) {
    this.id = id;
    this.peer = peer;
    this.safetyNumber = safetyNumber;
    this.#engine = engine;
  }

  get state(): ConversationState { return this.#engine.state; }

  /** Why something waits; undefined if nothing does, or if it was not tried yet. */
  get problem(): Problem | undefined { return this.#engine.problem; }

  /**
   * The latest entries, 500 and 4 MiB at most, and all that are queued. The same array until something changes; an
   * entry that has not changed is the same object.
   */
  get entries(): readonly Entry[] { return this.#engine.transcript.entries; }

  /** Whether entries are kept that come before `entries`; `earlier` reads them. */
  get hasEarlier(): boolean { return this.#engine.transcript.hasEarlier; }

  /** Messages of the peer since `markRead`, as far as they are in `entries`. */
  get unread(): number { return this.#engine.transcript.unread; }

  /** Of the latest entry; undefined if there is none. */
  get updatedAt(): Date | undefined { return this.entries.at(-1)?.time; }

  /** How often the group's keys have changed; undefined without a group. */
  get epoch(): number | undefined { return this.#engine.epoch; }

  /**
   * Queues a message; resolves once it is kept durably here. It is sent as soon as that is possible, after all that
   * was queued before it, also by a later messenger of this profile. Text goes as UTF-8.
   */
  async send(content: string | Uint8Array): Promise<Message> {
    const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : new Uint8Array(content);
    if (bytes.length === 0 || bytes.length > contentLimit) {
      throw new MessengerError('invalid_argument', `a message has 1 to ${contentLimit} bytes, not ${bytes.length}`);
    }
    return queuedEntry(await this.#engine.send(bytes));
  }

  /** Takes back a message by its id, if it was not encrypted yet or has failed; tells whether it could. */
  discard(id: string): Promise<boolean> { return this.#engine.discard(id); }

  /** Entries before a seq, for scrolling back: at most `limit`, in order. */
  earlier(before: number, limit = 100): Promise<Entry[]> { return this.#engine.transcript.earlier(before, limit); }

  /** A message whole, where its `bytes` are fewer than its `size`; undefined if it is not kept any more. */
  content(message: Message): Promise<Uint8Array<ArrayBuffer> | undefined> { return this.#engine.transcript.content(message); }

  /** All that came until now was read. */
  markRead(): Promise<void> { return this.#engine.markRead(); }

  /**
   * Puts fresh keys in force, so that one who copied the present ones reads no further. Resolves when they are. It
   * waits for the node, for a group, and, after three updates in a row that the peer has not answered, for the peer.
   */
  updateKeys(): Promise<void> { return this.#engine.updateKeys(); }

  /** Begins a new group in place of the present one; resolves when there is one, this side's or the peer's. */
  reestablish(): Promise<void> { return this.#engine.reestablish(); }

  /** Resolves when nothing is queued or under way any more. */
  flushed(): Promise<void> { return this.#engine.flushed(); }
}
