import type { Key } from '../platform.js';
import { MessengerError } from './errors.js';

/** One change of a store; no value: the record goes. */
export interface Change {
  readonly key: string;
  readonly value: Uint8Array<ArrayBuffer> | undefined;
}

/** A range of keys, in order. */
export interface Range {
  readonly prefix: string;
  /** Only keys below this one. */
  readonly before?: string | undefined;
  /** At most so many, from the range's end. Default: all. */
  readonly last?: number | undefined;
  /** At most so many, from the range's beginning. Never together with `last`. */
  readonly first?: number | undefined;
}

/**
 * Where a messenger keeps its profile. Values are sealed before they come here; keys are not, and say
 * which channels there are, and how many messages.
 */
export interface Store {
  /** The AES-GCM key of this store, which nothing can export; the store makes it when it is first asked. */
  key(): Promise<Key>;
  get(key: string): Promise<Uint8Array<ArrayBuffer> | undefined>;
  /** The records of a range, by ascending key. */
  list(range: Range): Promise<[key: string, value: Uint8Array<ArrayBuffer>][]>;
  /** All changes or none; when it resolves they outlive a power cut. */
  write(changes: readonly Change[]): Promise<void>;
  close(): void;
}

/** What an erased store answers to whoever still has it. */
export function erased(): MessengerError {
  return new MessengerError('profile_removed', 'what was kept here was erased');
}

/** A new key to seal records with. */
export function generateStoreKey(): Promise<Key> {
  return crypto.subtle.generateKey({ name: 'AES-GCM', length: 256 }, false, ['encrypt', 'decrypt']);
}

/** Keeps a profile as long as the object lives, through any number of messengers one after the other. */
export class MemoryStore implements Store {
  readonly #records = new Map<string, Uint8Array<ArrayBuffer>>();
  #key: Promise<Key> | undefined;
  #erased = false;

  key(): Promise<Key> {
    this.#key ??= generateStoreKey();
    return this.#key;
  }

  get(key: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
    return Promise.resolve(this.#records.get(key)?.slice());
  }

  list({ prefix, before, last, first }: Range): Promise<[string, Uint8Array<ArrayBuffer>][]> {
    const found = [...this.#records].filter(([key]) => key.startsWith(prefix) && (before === undefined || key < before));
    found.sort(([a], [b]) => (a < b ? -1 : 1));
    const wanted = last === undefined ? found : found.slice(Math.max(0, found.length - last));
    if (first !== undefined) wanted.splice(first);
    return Promise.resolve(wanted.map(([key, value]) => [key, value.slice()]));
  }

  write(changes: readonly Change[]): Promise<void> {
    if (this.#erased) return Promise.reject(erased());
    for (const { key, value } of changes) {
      if (value === undefined) this.#records.delete(key);
      else this.#records.set(key, value.slice());
    }
    return Promise.resolve();
  }

  close(): void {}

  /** Forgets everything, and takes nothing any more. */
  erase(): Promise<void> {
    this.#erased = true;
    this.#records.clear();
    this.#key = undefined;
    return Promise.resolve();
  }
}
