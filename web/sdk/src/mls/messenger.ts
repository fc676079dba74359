import { decodeBase64url } from '../base64url.js';
import { sleep, systemClock } from '../clock.js';
import { QuicproquoError } from '../errors.js';
import type { ServerEvent } from '../events.js';
import { abandoning } from './abandoning.js';
import { Broadcast } from './broadcast.js';
import { Conversation } from './conversation.js';
import { Engine, itemOf } from './engine.js';
import { MessengerError } from './errors.js';
import { Mls } from './group.js';
import { KeyPackages } from './keypackages.js';
import type { Desk } from './ledger.js';
import { platformLocks, takeProfile } from './locks.js';
import type { Locks } from './locks.js';
import type { MessengerClient, MessengerIdentity } from './ports.js';
import { checkProfile, keyOf } from './profile.js';
import { conversationPrefix } from './records.js';
import type { ConversationRecord } from './records.js';
import type { Item } from './receiving.js';
import { RemovalWatch, removed } from './removal.js';
import { safetyNumber } from './safety.js';
import { newStanding, openStanding, standingUpdate } from './standing.js';
import type { Standing } from './standing.js';
import type { Store } from './store.js';
import { Transcript } from './transcript.js';
import type { MessengerEvent } from './types.js';
import { Vault } from './vault.js';
import { pauseAfter } from './waiting.js';

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
  /** How many one-time key packages the node shall hold, up to 200. Default: 50. */
  readonly keyPackages?: number | undefined;
  /** Whether a broken group is replaced by itself. Default: true. */
  readonly heal?: boolean | undefined;
  /** How many bytes of each conversation's past are kept; the oldest entries go first. Default: 256 MiB. */
  readonly history?: number | undefined;
}

/** End-to-end encrypted conversations of an identity, kept in a store. */
export class Messenger {
  /** One's own address. */
  readonly address: string;
  readonly #identity: MessengerIdentity;
  readonly #store: Store;
  readonly #release: () => Promise<void>;
  readonly #ending = new AbortController();
  readonly #desk: Desk;
  readonly #keyPackages: KeyPackages;
  readonly #broadcast = new Broadcast<MessengerEvent>((event) => (event.type === 'conversation' ? event.conversation : event.type));
  readonly #engines = new Map<string, Engine>();
  readonly #conversations = new Map<string, Conversation>();
  /** Conversations that are being made, so that each is made once. */
  readonly #making = new Map<string, Promise<Engine>>();
  #following: Promise<void> = Promise.resolve();
  #closing: Promise<void> | undefined;

  private constructor(options: MessengerOptions, mls: Mls, vault: Vault, release: () => Promise<void>) {
    this.address = options.identity.address;
    this.#identity = options.identity;
    this.#store = options.store;
    this.#release = release;
    this.#desk = {
      client: abandoning(options.client, this.#ending.signal),
      mls,
      vault,
      heal: options.heal ?? true,
      history: options.history ?? 256 * 1024 * 1024,
      signal: this.#ending.signal,
      changed: (id) => this.#changed(id),
      failed: (error) => void this.#end(error instanceof Error ? error : new Error(String(error))),
    };
    this.#keyPackages = new KeyPackages(this.#desk, options.keyPackages ?? 50);
  }

  /** Opens the profile that the store holds, or begins one, and follows the node's events until it is closed. */
  static async open(options: MessengerOptions): Promise<Messenger> {
    const { identity, store, wait, signal, locks = platformLocks() } = options;
    if (identity.publicKey.length !== 32) throw new MessengerError('wrong_identity', 'conversations need an Ed25519 identity');
    const watch = new RemovalWatch(identity.address, signal);
    let messenger: Messenger | undefined;
    let giveBack = (): Promise<void> => Promise.resolve();
    try {
      if (locks) giveBack = await takeProfile(locks, identity.address, { wait, signal: watch.signal });
      watch.settled();
      if (await identity.isKept?.() === false) throw removed(); // while this one waited, or before
      const vault = await Vault.open(store);
      await checkProfile(vault, identity.address);
      const opened = messenger = new Messenger(options, await Mls.of(identity), vault, async () => {
        watch.end();
        await giveBack();
      });
      await opened.#load();
      watch.signal.throwIfAborted();
      watch.signal.addEventListener('abort', () => void opened.#end(watch.signal.reason as Error));
      opened.#following = opened.#follow();
      opened.#keyPackages.refill();
      return opened;
    } catch (error) {
      watch.end();
      // Conversations that did open may be at work already: who takes the profile next must not meet them.
      await (messenger ? messenger.close() : giveBack());
      throw watch.signal.aborted ? watch.signal.reason : error;
    }
  }

  /** All conversations, the one with the latest entry first. */
  conversations(): Conversation[] {
    const time = (conversation: Conversation): number => conversation.updatedAt?.getTime() ?? Infinity;
    return [...this.#conversations.values()].sort((a, b) => time(b) - time(a) || (a.id < b.id ? -1 : 1));
  }

  conversation(id: string): Conversation | undefined {
    return this.#conversations.get(id);
  }

  /** The conversation with an address, which is begun if there is none. Needs the node for a new one. */
  async start(address: string): Promise<Conversation> {
    if (this.#ending.signal.aborted) throw new MessengerError('closed', 'the messenger was closed');
    if (address === this.address) throw new MessengerError('invalid_argument', 'this is one’s own address');
    if (decodeBase64url(address)?.length !== 32) throw new MessengerError('invalid_argument', 'this is no address of an Ed25519 identity');
    const known = this.conversations().find(({ peer, state }) => peer === address && state !== 'closed');
    const id = known?.id ?? await this.#startChannel(address);
    const conversation = this.#conversations.get(id);
    if (!conversation) throw new MessengerError('closed', 'the messenger was closed');
    // A node that hands out another's channel would have a secret told to the wrong one.
    if (conversation.peer !== address) throw new QuicproquoError('internal', 'the node gave a channel with another peer');
    this.#engines.get(id)?.want();
    return conversation;
  }

  /** What changes. Ends when the messenger is closed or the signal aborts. */
  events(options: { readonly signal?: AbortSignal | undefined } = {}): AsyncIterable<MessengerEvent> {
    return this.#broadcast.events(options.signal);
  }

  /** Calls back with what changes, until the returned function is called. */
  subscribe(listener: (event: MessengerEvent) => void): () => void {
    return this.#broadcast.subscribe(listener);
  }

  /** Stops, after what is being written is written; gives the profile back. May be called twice. */
  close(): Promise<void> {
    return this.#end(undefined);
  }

  #end(error: Error | undefined): Promise<void> {
    this.#closing ??= this.#stop(error);
    return this.#closing;
  }

  async #stop(error: Error | undefined): Promise<void> {
    this.#ending.abort();
    await Promise.all([this.#following, this.#keyPackages.stopped(), ...[...this.#engines.values()].map((engine) => engine.stopped())]);
    this.#store.close();
    await this.#release();
    this.#broadcast.tell({ type: 'closed', error });
    this.#broadcast.end();
  }

  async #load(): Promise<void> {
    const records = await this.#desk.vault.list<ConversationRecord>({ prefix: conversationPrefix });
    const opened = await Promise.allSettled(records.map(async ([, record]) =>
      this.#open(openStanding(record, this.#desk.mls, keyOf(record.peer)))));
    for (const one of opened) if (one.status === 'rejected') throw one.reason;
  }

  /** Puts a conversation that is written to work. */
  async #open(standing: Standing): Promise<Engine> {
    const { id, peer } = standing;
    const engine = new Engine(this.#desk, keyOf(peer), standing, await Transcript.open(id, this.#desk.vault, this.#desk.history));
    const digits = await safetyNumber(this.#identity.publicKey, keyOf(peer));
    this.#engines.set(id, engine);
    this.#conversations.set(id, new Conversation(id, peer, digits, engine));
    this.#changed(id);
    engine.wake();
    return engine;
  }

  async #startChannel(address: string): Promise<string> {
    const channel = await this.#desk.client.createChannel(address);
    await this.#engineOf(channel.id, () => Promise.resolve({ ...channel, peer: address }));
    return channel.id;
  }

  /** The engine of a channel, which is made, from what the node says of it, if there is none. */
  #engineOf(id: string, look: () => Promise<{ readonly peer: string; readonly acked: number }>): Promise<Engine> {
    const known = this.#engines.get(id);
    if (known) return Promise.resolve(known);
    const making = this.#making.get(id) ?? this.#make(id, look).finally(() => this.#making.delete(id));
    this.#making.set(id, making);
    return making;
  }

  async #make(id: string, look: () => Promise<{ readonly peer: string; readonly acked: number }>): Promise<Engine> {
    const { peer, acked } = await look();
    if (!decodeBase64url(peer)) throw new QuicproquoError('internal', 'the node gave a channel with nobody');
    const standing = newStanding(id, peer, acked, false);
    await this.#desk.vault.write([standingUpdate(standing)]);
    return this.#open(standing);
  }

  async #follow(): Promise<void> {
    try {
      const { signal } = this.#ending;
      for await (const event of this.#desk.client.events({ signal, ack: 'explicit' })) await this.#handle(event);
      if (!signal.aborted) throw new QuicproquoError('unavailable', 'the client was closed');
    } catch (error) {
      if (!this.#ending.signal.aborted) this.#desk.failed(error);
    }
  }

  async #handle(event: ServerEvent): Promise<void> {
    switch (event.type) {
      case 'message': return this.#pass(event.channelId, itemOf(event));
      case 'gap': return this.#pass(event.channelId, { kind: 'gap', seq: event.to, from: event.from, time: Date.now() });
      case 'key_packages_low': return this.#keyPackages.refill();
      // The node is reachable (again): what waits for that is tried at once.
      case 'caught_up':
        this.#keyPackages.refill();
        for (const engine of this.#engines.values()) engine.wake();
    }
  }

  /** Hands an item over, after asking whose channel it is if that is not known; the stream waits for that. */
  async #pass(id: string, item: Item): Promise<void> {
    for (let failures = 0; !this.#ending.signal.aborted; failures++) {
      try {
        const engine = await this.#engineOf(id, () => this.#desk.client.channel(id));
        return await engine.deliver(item);
      } catch (error) {
        if (!(error instanceof QuicproquoError)) throw error;
        if (error.code === 'channel_not_found') return;
        await sleep(systemClock, pauseAfter(failures, error), this.#ending.signal);
      }
    }
  }

  #changed(id: string): void {
    const conversation = this.#conversations.get(id);
    if (conversation) this.#broadcast.tell({ type: 'conversation', conversation });
  }
}
