import { Client, Identity } from '@quicproquo/client';
import { Messenger, MessengerError } from '@quicproquo/client/mls';
import type { Conversation } from '@quicproquo/client/mls';
import type { Book, Contact } from './book.js';
import { pack } from './envelope.js';
import { History } from './history.js';
import { claimedName, entryOf, lastOf, linesLeftBy, linesOf } from './lines.js';
import { shortAddress } from './link.js';
import type { Invitation } from './link.js';
import type { Line, Overview, Profile, Summary, Talk } from './model.js';
import { keyOf, removeFromBrowser, storeOf } from './removal.js';
import { clockOf, sentenceOf, standingOf } from './sentences.js';

export interface ChatOptions {
  readonly book: Book;
  readonly profile: Profile;
  /** Wait for the tab that has the profile open. */
  readonly wait?: boolean;
  readonly signal?: AbortSignal;
}

/** A profile that is open in this tab: what the screens read and do. */
export class Chat {
  readonly profile: Profile;
  readonly address: string;
  readonly #book: Book;
  readonly #client: Client;
  readonly #messenger: Messenger;
  /** By address; owned by this tab while it has the profile. */
  readonly #contacts: Map<string, Contact>;
  /** The conversations that were read back, by address: the messenger holds the latest entries only. */
  readonly #histories = new Map<string, History>();
  /** Nothing is noted of a profile that was removed. */
  #removed = false;
  /** What is wrong with the clock of this device, as the node sees it. */
  #clock: string | undefined;
  /** Static after `onChange`, which the screen calls once. */
  #changed: () => void = () => {};
  #stopped: (problem: Error | undefined) => void = () => {};

  private constructor({ book, profile }: ChatOptions, client: Client, messenger: Messenger, contacts: Map<string, Contact>) {
    this.profile = profile;
    this.address = messenger.address;
    this.#book = book;
    this.#client = client;
    this.#messenger = messenger;
    this.#contacts = contacts;
  }

  /** Makes a profile. It is listed once it has its key, for one without was removed. */
  static async create(book: Book, name: string): Promise<Profile> {
    const profile = { id: crypto.randomUUID(), name, createdAt: Date.now() };
    await Identity.generate({ name: profile.id });
    await book.addProfile(profile);
    return profile;
  }

  /**
   * Opens a profile, at the node that served this page. Rejects with `profile_in_use` where another tab has it, and
   * with `profile_removed` where it is no more.
   */
  static async open(options: ChatOptions): Promise<Chat> {
    const { book, profile, wait, signal } = options;
    const identity = await keyOf(profile);
    if (!identity) {
      await removeFromBrowser(book, profile); // should that have been cut off
      throw new MessengerError('profile_removed', 'it has no key');
    }
    const client = new Client({ url: new URL('.', location.href).href.replace(/\/$/, ''), identity });
    const store = storeOf(profile);
    try {
      const messenger = await Messenger.open({ client, identity, store, wait, signal });
      return new Chat(options, client, messenger, await book.contacts(profile.id));
    } catch (error) {
      void client.close();
      store.close();
      throw error;
    }
  }

  /** Calls back after anything that the screen shows has changed, and once if it stops by itself. */
  onChange(changed: () => void, stopped: (problem: Error | undefined) => void): void {
    this.#changed = changed;
    this.#stopped = stopped;
    this.#client.onState(({ status }) => {
      if (status === 'open') void this.checkClock();
      this.#changed();
    });
    this.#messenger.subscribe((event) => {
      if (event.type !== 'closed') return this.#changed();
      this.#removed ||= event.error instanceof MessengerError && event.error.code === 'profile_removed';
      this.#stopped(event.error);
    });
  }

  overview(): Overview {
    return {
      profile: this.profile, address: this.address, connection: this.#client.state, clock: this.#clock,
      conversations: this.#current().map((conversation) => this.#summary(conversation)),
    };
  }

  /** The conversation with an address; undefined if there is none. */
  talk(peer: string): Talk | undefined {
    const conversation = this.#find(peer);
    if (!conversation) return undefined;
    const history = this.#histories.get(peer);
    history?.add(conversation.entries);
    const open = conversation.state !== 'closed';
    const lines = linesOf(conversation.id, history?.with(conversation.entries) ?? conversation.entries);
    return {
      ...this.#summary(conversation), standing: this.#standing(conversation), open,
      lines: [...this.#past(conversation), ...open ? lines : linesLeftBy(lines)],
      more: history?.more ?? conversation.hasEarlier,
    };
  }

  /** Compares this device's clock with the node's: by a wrong one, the keys that others need are refused. */
  async checkClock(): Promise<void> {
    const { serverTime } = await this.#client.info().catch(() => ({ serverTime: undefined }));
    if (!serverTime) return;
    this.#clock = clockOf(Date.now() - serverTime.getTime());
    this.#changed();
  }

  /** Begins a conversation, or finds the one that there is. Rejects with what is wrong. */
  async start({ address, name }: Invitation): Promise<void> {
    await this.#messenger.start(address);
    const known = this.#contacts.get(address);
    if (name !== '' && name !== known?.name) await this.rename(address, name);
    this.#changed();
  }

  /** Resolves once the text is kept durably on this device; it is sent when that is possible. */
  async send(peer: string, text: string): Promise<void> {
    await this.#find(peer)?.send(pack({ text, name: this.profile.name }));
  }

  /** Reads back what is older than what is shown. */
  async showEarlier(peer: string): Promise<void> {
    const conversation = this.#find(peer);
    if (!conversation) return;
    const history = this.#histories.get(peer) ?? new History();
    history.add(conversation.entries);
    await history.readBack(conversation);
    this.#histories.set(peer, history);
    this.#changed();
  }

  /** Takes a message away that was not sent. */
  async discard(line: string): Promise<void> {
    const [conversation, entry] = entryOf(line);
    await this.#messenger.conversation(conversation)?.discard(entry);
  }

  async markRead(peer: string): Promise<void> {
    const conversation = this.#find(peer);
    if (conversation && conversation.unread > 0) await conversation.markRead();
  }

  rename(peer: string, name: string): Promise<void> {
    return this.#note(peer, { name });
  }

  setCompared(peer: string, compared: boolean): Promise<void> {
    return this.#note(peer, { compared });
  }

  /** What the details show beside the summary. */
  security(peer: string): { safetyNumber: string; epoch: number | undefined } | undefined {
    const conversation = this.#find(peer);
    return conversation && { safetyNumber: conversation.safetyNumber, epoch: conversation.epoch };
  }

  /** Gives back what became of it, in a sentence. */
  async updateKeys(peer: string): Promise<string> {
    try {
      await this.#find(peer)?.updateKeys();
      return 'Fresh keys are in force';
    } catch (error) {
      return sentenceOf(error);
    }
  }

  /** Gives the profile back to other tabs. */
  async close(): Promise<void> {
    await this.#messenger.close();
    await this.#client.close();
  }

  /** Removes the profile from this browser, and so ends this chat, and those of other tabs. */
  async remove(): Promise<void> {
    this.#removed = true;
    await removeFromBrowser(this.#book, this.profile, this.#client);
  }

  #find(peer: string): Conversation | undefined {
    return this.#current().find((conversation) => conversation.peer === peer);
  }

  /** One conversation with each peer: one that the node has forgotten may have a successor. */
  #current(): Conversation[] {
    const all = this.#messenger.conversations();
    return all.filter((conversation) => conversation === (all.find((other) => other.peer === conversation.peer && other.state !== 'closed')
      ?? all.find((other) => other.peer === conversation.peer)));
  }

  /** What was said in those that this one succeeds. */
  #past(conversation: Conversation): Line[] {
    const others = this.#messenger.conversations().filter((other) => other.peer === conversation.peer && other !== conversation);
    return others.reverse().flatMap(({ id, entries }) => linesLeftBy(linesOf(id, entries)));
  }

  /** What keeps a conversation from going on, unless the connection's own words say it. */
  #standing({ state, problem }: Conversation): string | undefined {
    const isAway = this.#client.state.status !== 'open' && problem?.code === 'unavailable';
    return isAway ? undefined : standingOf(state, problem);
  }

  #summary({ peer, unread, entries }: Conversation): Summary {
    const contact = this.#contacts.get(peer);
    const name = contact?.name || claimedName(entries) || shortAddress(peer);
    return { peer, name, compared: contact?.compared ?? false, unread, last: lastOf(entries) };
  }

  async #note(peer: string, change: Partial<Contact>): Promise<void> {
    if (this.#removed) return;
    const contact = { name: '', compared: false, ...this.#contacts.get(peer), ...change };
    this.#contacts.set(peer, contact);
    await this.#book.putContact(this.profile.id, peer, contact);
    this.#changed();
  }
}
