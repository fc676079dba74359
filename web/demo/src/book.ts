import type { Profile } from './model.js';

/** What a profile remembers of a person. */
export interface Contact {
  /** What the profile's owner calls them; empty: what they call themselves. */
  readonly name: string;
  /** Whether the safety number was compared. */
  readonly compared: boolean;
}

const database = 'quicproquo-chat';

/** The profiles of this device, and whom they know, in IndexedDB. Keys and messages are kept elsewhere, sealed. */
export class Book {
  readonly #database: IDBDatabase;

  private constructor(opened: IDBDatabase) {
    this.#database = opened;
  }

  static async open(): Promise<Book> {
    // Where a browser keeps nothing for a page, some have no such thing at all.
    if (typeof indexedDB === 'undefined') throw new DOMException('there is no IndexedDB', 'SecurityError');
    const opening = indexedDB.open(database, 1);
    opening.onupgradeneeded = () => {
      opening.result.createObjectStore('profiles', { keyPath: 'id' });
      opening.result.createObjectStore('contacts');
    };
    return new Book(await result(opening));
  }

  /** All profiles, the oldest first. */
  async profiles(): Promise<Profile[]> {
    const all = await result(this.#database.transaction('profiles').objectStore('profiles').getAll()) as Profile[];
    return all.sort((a, b) => a.createdAt - b.createdAt);
  }

  async addProfile(profile: Profile): Promise<void> {
    await this.#write((profiles) => profiles.add(profile));
  }

  /** Forgets a profile, and whom it knows. */
  async removeProfile(id: string): Promise<void> {
    await this.#write((profiles, contacts) => {
      profiles.delete(id);
      contacts.delete(contactsOf(id));
    });
  }

  /** All that a profile knows, by address. */
  async contacts(profile: string): Promise<Map<string, Contact>> {
    const range = contactsOf(profile);
    const kept = this.#database.transaction('contacts').objectStore('contacts');
    const [keys, values] = await Promise.all([result(kept.getAllKeys(range)), result(kept.getAll(range))]);
    return new Map(keys.map((key, i) => [(key as [string, string])[1], values[i] as Contact]));
  }

  async putContact(profile: string, peer: string, contact: Contact): Promise<void> {
    await this.#write((_, contacts) => contacts.put(contact, [profile, peer]));
  }

  /** Resolves once it is on disk. It gets there even if the page is gone in the next moment. */
  #write(change: (profiles: IDBObjectStore, contacts: IDBObjectStore) => void): Promise<void> {
    const transaction = this.#database.transaction(['profiles', 'contacts'], 'readwrite', { durability: 'strict' });
    change(transaction.objectStore('profiles'), transaction.objectStore('contacts'));
    transaction.commit();
    return new Promise((resolve, reject) => {
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(transaction.error ?? new Error('IndexedDB gave up'));
    });
  }
}

/** The keys of a profile's contacts: pairs of it and an address. */
function contactsOf(profile: string): IDBKeyRange {
  return IDBKeyRange.bound([profile], [profile, []]);
}

function result<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error('IndexedDB failed'));
  });
}
