import type { Databases, Key } from '../platform.js';
import { erased, generateStoreKey } from './store.js';
import type { Change, Range, Store } from './store.js';

/** Keeps a profile in IndexedDB: sealed records, and the key that opens them, which nothing can export. */
export class IndexedDBStore implements Store {
  readonly #name: string;
  readonly #factory: IDBFactory;
  /** Opened by the first use. */
  #database: Promise<IDBDatabase> | undefined;
  /** Here or in another tab: to open it again would make it anew. */
  #erased = false;

  constructor(options: { readonly database?: string; readonly factory?: Databases } = {}) {
    this.#name = options.database ?? 'quicproquo-mls';
    this.#factory = options.factory ?? indexedDB;
  }

  async key(): Promise<Key> {
    const kept = await this.#run('keys', 'readonly', (keys) => keys.get('records') as IDBRequest<CryptoKey | undefined>);
    if (kept) return kept;
    // Of two that come here at once, the second add fails, and its caller reads what the first one kept.
    const made = await generateStoreKey();
    await this.#run('keys', 'readwrite', (keys) => keys.add(made, 'records')).catch((error: unknown) => {
      if ((error as Error).name !== 'ConstraintError') throw error;
    });
    return this.key();
  }

  get(key: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
    return this.#run('records', 'readonly', (records) => records.get(key) as IDBRequest<Uint8Array<ArrayBuffer> | undefined>);
  }

  async list({ prefix, before, last, first }: Range): Promise<[string, Uint8Array<ArrayBuffer>][]> {
    const end = before ?? `${prefix}\uffff`;
    if (end <= prefix) return [];
    const most = first ?? last;
    const found: [string, Uint8Array<ArrayBuffer>][] = [];
    await this.#run('records', 'readonly', (records) => {
      const request = records.openCursor(IDBKeyRange.bound(prefix, end, false, true), first === undefined ? 'prev' : 'next');
      request.onsuccess = () => {
        const cursor = request.result;
        if (!cursor) return;
        found.push([cursor.key as string, cursor.value as Uint8Array<ArrayBuffer>]);
        if (most === undefined || found.length < most) cursor.continue();
      };
      return request;
    });
    return first === undefined ? found.reverse() : found;
  }

  async write(changes: readonly Change[]): Promise<void> {
    await this.#run('records', 'readwrite', (records) => {
      for (const { key, value } of changes) {
        if (value === undefined) records.delete(key);
        else records.put(value, key);
      }
    });
  }

  close(): void {
    this.#database?.then((database) => database.close(), () => {});
    this.#database = undefined;
  }

  /** Deletes the database. Whoever still has it open, in whichever tab, can use it no more. */
  async erase(): Promise<void> {
    // What is in it goes at once, also where somebody has it open who does not listen.
    for (const objects of ['keys', 'records'] as const) {
      await this.#run(objects, 'readwrite', (all) => { all.clear(); });
    }
    this.#erased = true;
    this.close();
    await new Promise<void>((resolve, reject) => {
      const deleting = this.#factory.deleteDatabase(this.#name);
      deleting.onsuccess = () => resolve();
      deleting.onblocked = () => resolve(); // it is empty, and goes when the last page that has it open is closed
      deleting.onerror = () => reject(deleting.error ?? new Error('IndexedDB cannot be deleted'));
    });
  }

  async #run<T>(
    from: 'records' | 'keys',
    mode: IDBTransactionMode,
    act: (objects: IDBObjectStore) => IDBRequest<T> | void,
  ): Promise<T> {
    if (this.#erased) throw erased();
    this.#database ??= this.#open().catch((error: unknown) => {
      this.#database = undefined; // the next use may fare better
      throw error;
    });
    // Strict: a state that is told to be kept must outlive a power cut, for what it encrypted is sent next.
    const transaction = (await this.#database).transaction(from, mode, { durability: 'strict' });
    const request = act(transaction.objectStore(from));
    await new Promise<void>((resolve, reject) => {
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(transaction.error ?? new Error('IndexedDB gave up'));
    });
    return request ? request.result : (undefined as T);
  }

  #open(): Promise<IDBDatabase> {
    return new Promise((resolve, reject) => {
      const opening = this.#factory.open(this.#name, 1);
      opening.onupgradeneeded = () => {
        opening.result.createObjectStore('records');
        opening.result.createObjectStore('keys');
      };
      opening.onsuccess = () => {
        opening.result.onversionchange = ({ newVersion }) => {
          this.#erased = newVersion === null;
          this.close();
        };
        resolve(opening.result);
      };
      opening.onerror = () => reject(opening.error ?? new Error('IndexedDB cannot be opened'));
    });
  }
}
