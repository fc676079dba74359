import type { Conversation } from './conversation.js';
import type { Locks } from './locks.js';
import type { MessengerClient, MessengerIdentity } from './ports.js';
import type { Store } from './store.js';
import type { MessengerEvent } from './types.js';

/** What a Messenger is made of. */
export interface MessengerOptions {
  readonly client: MessengerClient;
  /** The client's identity; Ed25519. */
  readonly identity: MessengerIdentity;
  readonly store: Store;
  /** Default: navigator.locks; where there is none, nothing keeps two messengers from one store. */
  readonly locks?: Locks | undefined;
  /** If another tab has this profile open: wait for it, instead of rejecting with `profile_in_use`. */
  readonly wait?: boolean | undefined;
  /** Ends the waiting. */
  readonly signal?: AbortSignal | undefined;
  /** How many one-time key packages the node shall hold. Default: 50. */
  readonly keyPackages?: number | undefined;
  /** Whether a broken group is replaced by itself. Default: true. */
  readonly heal?: boolean | undefined;
}

/** End-to-end encrypted conversations of an identity, kept in a store. */
export abstract class Messenger {
  /** One's own address. */
  abstract readonly address: string;

  /** Opens the profile that the store holds, or begins one, and follows the node's events until it is closed. */
  static open(_options: MessengerOptions): Promise<Messenger> {
    return Promise.reject(new Error('not written yet'));
  }

  /** All conversations, the one with the latest entry first. */
  abstract conversations(): Conversation[];

  abstract conversation(id: string): Conversation | undefined;

  /** The conversation with an address, which is begun if there is none. Needs the node for a new one. */
  abstract start(address: string): Promise<Conversation>;

  /** What changes. Ends when the messenger is closed or the signal aborts. */
  abstract events(options?: { readonly signal?: AbortSignal | undefined }): AsyncIterable<MessengerEvent>;

  /** Calls back with what changes, until the returned function is called. */
  abstract subscribe(listener: (event: MessengerEvent) => void): () => void;

  /** Stops, after what is being written is written; gives the profile back. May be called twice. */
  abstract close(): Promise<void>;
}
