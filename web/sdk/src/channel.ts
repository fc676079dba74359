import type { Client } from './client.js';
import type { Gap, Message } from './events.js';

/** What the node says of a channel. */
export interface ChannelView {
  readonly id: string;
  /** The other member's address. */
  readonly peer: string;
  readonly createdAt: Date;
  readonly head: number;
  readonly acked: number;
  readonly unread: number;
}

export interface SendOptions {
  /** 1 to 64 visible ASCII characters; a retry by the same id is stored once. Default: a random one. */
  readonly messageId?: string | undefined;
  /** Store it only if the channel's head is still this; otherwise `precondition_failed` with the present head. */
  readonly ifHead?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A message is stored, durably. */
export interface Receipt {
  readonly seq: number;
  readonly receivedAt: Date;
  /** Whether the same message was stored before. */
  readonly duplicate: boolean;
  /** The id that it was sent with. */
  readonly messageId: string;
}

export interface FetchOptions {
  /** Default: what is acknowledged. */
  readonly after?: number | undefined;
  /** 1 to 256. */
  readonly limit?: number | undefined;
  /** Milliseconds to wait for a message or a gap, up to 60,000. Default: 0. */
  readonly wait?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Messages of a queue, and how the queue stands: one snapshot. */
export interface Page {
  readonly messages: Message[];
  readonly head: number;
  readonly acked: number;
  /** The highest seq that expired unacknowledged; 0 if none did. */
  readonly floor: number;
  readonly gap: Gap | undefined;
  readonly more: boolean;
}

/**
 * When messages are acknowledged, which deletes them from the node:
 * - `auto`: when the loop's body has run and asks for the next; leaving the loop (by break, or an exception)
 *   leaves the present message unacknowledged, and it comes again.
 * - `explicit`: only by `ack`. At most 32 unacknowledged messages of a channel (128 of all) are delivered.
 */
export type AckMode = 'auto' | 'explicit';

export interface MessagesOptions {
  /** The highest seq that was handled already: not delivered again. Default: what is acknowledged. */
  readonly after?: number | undefined;
  /** Ends the loop, without an error. */
  readonly signal?: AbortSignal | undefined;
  /** Default: auto. */
  readonly ack?: AckMode | undefined;
}

/** A channel of two identities, as it was when it was read: `head`, `acked` and `unread` do not move. */
export class Channel implements ChannelView {
  readonly id: string;
  readonly peer: string;
  readonly createdAt: Date;
  readonly head: number;
  readonly acked: number;
  readonly unread: number;
  readonly #client: Client;

  /** Channels come from a Client. */
  constructor(client: Client, view: ChannelView) {
    this.#client = client;
    this.id = view.id;
    this.peer = view.peer;
    this.createdAt = view.createdAt;
    this.head = view.head;
    this.acked = view.acked;
    this.unread = view.unread;
  }

  /** Sends 1 byte to 5 MiB; resolves once they are stored durably. */
  send(payload: Uint8Array, options: SendOptions = {}): Promise<Receipt> {
    return this.#client.send(this.id, payload, options);
  }

  /** Reads without acknowledging. */
  fetch(options: FetchOptions = {}): Promise<Page> {
    return this.#client.fetch(this.id, options);
  }

  /** Deletes the messages up to `through`, a seq of a message or gap that was received. */
  ack(through: number): Promise<void> {
    return this.#client.ack(this.id, through);
  }

  /** The messages of this channel, those that wait and those to come, in order, each once. */
  messages(options: MessagesOptions = {}): AsyncIterable<Message | Gap> {
    return this.#client.messages(this.id, options);
  }

  /** The channel as it is now. */
  refresh(): Promise<Channel> {
    return this.#client.channel(this.id);
  }
}
