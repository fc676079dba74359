import { Identity, MemoryIdentityStore, QuicproquoError } from '../../src/index.js';
import { MemoryLocks, MemoryStore, Messenger } from '../../src/mls/index.js';
import type {
  Conversation, Entry, MessengerClient, MessengerOptions, Store,
} from '../../src/mls/index.js';

/** One who converses: an identity, a store that outlives messengers, and the present messenger. */
export class Party {
  readonly identity: Identity;
  readonly store: MemoryStore;
  readonly #locks = new MemoryLocks();
  readonly #client: () => MessengerClient;
  readonly #options: Partial<MessengerOptions>;
  #messenger: Messenger | undefined;
  #present: MessengerClient | undefined;

  private constructor(identity: Identity, client: () => MessengerClient, options: Partial<MessengerOptions>) {
    this.identity = identity;
    this.#client = client;
    this.#options = options;
    this.store = new MemoryStore();
  }

  static async of(
    client: (identity: Identity) => MessengerClient, options: Partial<MessengerOptions> = {},
  ): Promise<Party> {
    const identity = await Identity.generate({ store: new MemoryIdentityStore() });
    return new Party(identity, () => client(identity), { keyPackages: 3, ...options });
  }

  get address(): string {
    return this.identity.address;
  }

  get messenger(): Messenger {
    if (!this.#messenger) throw new Error('not open');
    return this.#messenger;
  }

  /** The present messenger's, or one that was made for none. */
  get client(): MessengerClient {
    this.#present ??= this.#client();
    return this.#present;
  }

  async open(changes: Partial<MessengerOptions> = {}): Promise<Messenger> {
    this.#messenger = await Messenger.open({
      client: this.client, identity: this.identity, store: this.store, locks: this.#locks, ...this.#options, ...changes,
    });
    return this.#messenger;
  }

  /** After a death: whatever the messenger had reached. */
  async closeIfOpen(): Promise<void> {
    await this.#messenger?.close();
  }

  async reopen(changes: Partial<MessengerOptions> = {}): Promise<Messenger> {
    await this.messenger.close();
    return this.open(changes);
  }

  with(peer: Party): Conversation {
    const found = this.messenger.conversations().find((conversation) => conversation.peer === peer.address);
    if (!found) throw new Error('no conversation');
    return found;
  }

  /** The conversation with a peer, once it is there and as it shall be. */
  async until(peer: Party, holds: (conversation: Conversation) => boolean = () => true): Promise<Conversation> {
    const find = (): Conversation | undefined =>
      this.messenger.conversations().find((conversation) => conversation.peer === peer.address && holds(conversation));
    const events = this.messenger.events();
    for (const now = find(); now;) return now;
    for await (const event of events) {
      if (event.type === 'closed') throw event.error ?? new Error('closed');
      for (const now = find(); now;) return now;
    }
    throw new Error('the messenger ended');
  }
}

/** What was said, by seq: the same on both sides of a conversation. */
export function transcript(conversation: Conversation, own: Party): string[] {
  return conversation.entries.flatMap((entry) => {
    if (entry.kind === 'notice') return [`${entry.seq} ${entry.notice}`];
    const author = entry.direction === 'out' ? own.address : conversation.peer;
    return [`${entry.seq} ${author} ${entry.text}`];
  });
}

export function texts(conversation: Conversation, direction?: 'in' | 'out'): (string | undefined)[] {
  return messages(conversation).filter((entry) => direction === undefined || entry.direction === direction).map(({ text }) => text);
}

export function messages(conversation: Conversation) {
  return conversation.entries.filter((entry) => entry.kind === 'message');
}

export function notices(conversation: Conversation): string[] {
  return conversation.entries.flatMap((entry: Entry) => (entry.kind === 'notice' ? [entry.notice] : []));
}

/** A store and a client that die at a point: from then on nothing that is asked of them happens. */
export class Crash {
  #left: number;
  #after: boolean;
  #died: () => void = () => {};
  readonly dead: Promise<void>;

  /** Dies at the n-th call, before or after it had its effect. */
  constructor(calls: number, after: boolean) {
    this.#left = calls;
    this.#after = after;
    this.dead = new Promise((resolve) => { this.#died = resolve; });
  }

  get happened(): boolean {
    return this.#left <= 0;
  }

  /** It will not happen, if it has not. */
  avert(): void {
    if (!this.happened) this.#left = Infinity;
  }

  store(store: Store): Store {
    return {
      key: () => store.key(),
      get: (key) => this.#call(() => store.get(key), true),
      list: (range) => this.#call(() => store.list(range), true),
      write: (changes) => this.#call(() => store.write(changes)),
      close: () => {},
    };
  }

  client(client: MessengerClient): MessengerClient {
    return {
      ...client,
      createChannel: (peer) => this.#call(() => client.createChannel(peer)),
      send: (...sending) => this.#call(() => client.send(...sending)),
      ack: (id, through) => this.#call(() => client.ack(id, through)),
      claimKeyPackage: (...claim) => this.#call(() => client.claimKeyPackage(...claim)),
      uploadKeyPackages: (...upload) => this.#call(() => client.uploadKeyPackages(...upload)),
    };
  }

  async #call<T>(effect: () => Promise<T>, free = false): Promise<T> {
    if (this.happened) throw new Error('dead');
    if (!free) this.#left--;
    if (!this.happened) return effect();
    if (this.#after) await effect().catch(() => {});
    this.#died();
    throw new Error('dead');
  }
}

/** A client whose node is away while the switch is off. */
export function switched(client: MessengerClient, on: () => boolean): MessengerClient {
  const guard = <A extends unknown[], T>(call: (...parameters: A) => Promise<T>) => (...parameters: A): Promise<T> =>
    on() ? call(...parameters) : Promise.reject(new QuicproquoError('unavailable', 'the node is away'));
  return {
    ...client,
    createChannel: guard(client.createChannel),
    send: guard(client.send),
    fetch: guard(client.fetch),
    claimKeyPackage: guard(client.claimKeyPackage),
  };
}
