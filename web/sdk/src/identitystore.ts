import { QuicproquoError } from './errors.js';
import type { Databases, Key } from './platform.js';

/** The signature algorithms that an identity may have. */
export type Algorithm = 'Ed25519' | 'P-256';

/** What a store keeps: the private key never leaves its CryptoKey. */
export interface StoredIdentity {
  readonly algorithm: Algorithm;
  readonly publicKey: Uint8Array<ArrayBuffer>;
  readonly privateKey: Key;
}

/** Where identities are kept, by name. */
export interface IdentityStore {
  get(name: string): Promise<StoredIdentity | undefined>;
  /** Keeps a new one; rejects if the name is taken, so that no key is ever overwritten. */
  add(name: string, identity: StoredIdentity): Promise<void>;
  remove(name: string): Promise<void>;
  names(): Promise<string[]>;
}

/** Keeps identities as long as the object lives. */
export class MemoryIdentityStore implements IdentityStore {
  readonly #kept = new Map<string, StoredIdentity>();

  get(name: string): Promise<StoredIdentity | undefined> {
    return Promise.resolve(this.#kept.get(name));
  }

  add(name: string, identity: StoredIdentity): Promise<void> {
    if (this.#kept.has(name)) return Promise.reject(taken(name));
    this.#kept.set(name, identity);
    return Promise.resolve();
  }

  remove(name: string): Promise<void> {
    this.#kept.delete(name);
    return Promise.resolve();
  }

  names(): Promise<string[]> {
    return Promise.resolve([...this.#kept.keys()]);
  }
}

/** Keeps identities in IndexedDB, which holds CryptoKeys that nothing can export. */
export class IndexedDBIdentityStore implements IdentityStore {
  readonly #database: string;
  readonly #factory: IDBFactory;

  constructor(options: { database?: string; factory?: Databases } = {}) {
    this.#database = options.database ?? 'quicproquo-identities';
    this.#factory = options.factory ?? indexedDB;
  }

  get(name: string): Promise<StoredIdentity | undefined> {
    return this.#run('readonly', (kept) => kept.get(name) as IDBRequest<StoredIdentity | undefined>);
  }

  async add(name: string, identity: StoredIdentity): Promise<void> {
    const { algorithm, publicKey, privateKey } = identity;
    try {
      await this.#run('readwrite', (kept) => kept.add({ algorithm, publicKey, privateKey }, name));
    } catch (failure) {
      throw failure instanceof DOMException && failure.name === 'ConstraintError' ? taken(name) : failure;
    }
  }

  async remove(name: string): Promise<void> {
    await this.#run('readwrite', (kept) => kept.delete(name));
  }

  async names(): Promise<string[]> {
    return (await this.#run('readonly', (kept) => kept.getAllKeys())).map(String);
  }

  /** Opens the database for one transaction, and closes it: another tab may have to upgrade or delete it. */
  async #run<T>(mode: IDBTransactionMode, act: (kept: IDBObjectStore) => IDBRequest<T>): Promise<T> {
    const opening = this.#factory.open(this.#database, 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore('identities');
    const database = await settled(opening);
    try {
      // Strict: a key that is told to be kept must outlive a power cut.
      const transaction = database.transaction('identities', mode, { durability: 'strict' });
      const request = act(transaction.objectStore('identities'));
      await committed(transaction);
      return request.result;
    } finally {
      database.close();
    }
  }
}

function taken(name: string): QuicproquoError {
  return new QuicproquoError('invalid_argument', `there is an identity named ${name} already`);
}

function settled<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error('IndexedDB failed'));
  });
}

function committed(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error ?? new Error('IndexedDB gave up'));
  });
}
