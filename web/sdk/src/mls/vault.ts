import { decodeBase64url, encodeBase64url } from '../base64url.js';
import { MessengerError } from './errors.js';
import type { Range, Store } from './store.js';

const ivLength = 12;

/** A change of a record; no record: it goes. */
export type Update = readonly [key: string, record: object | undefined];

/**
 * Records in a store, each sealed with AES-GCM under the store's key and for its own place, so that one
 * cannot be put where another was. What was stored earlier at the same place can be put back: a store that
 * is rolled back is not noticed.
 */
export class Vault {
  readonly #store: Store;
  readonly #key: CryptoKey;

  private constructor(store: Store, key: CryptoKey) {
    this.#store = store;
    this.#key = key;
  }

  static async open(store: Store): Promise<Vault> {
    return new Vault(store, await store.key());
  }

  /** The record of a key, as it was written. */
  async get<T>(key: string): Promise<T | undefined> {
    const sealed = await this.#store.get(key);
    return sealed && this.#unseal<T>(key, sealed);
  }

  async list<T>(range: Range): Promise<[key: string, record: T][]> {
    const found = await this.#store.list(range);
    return Promise.all(found.map(async ([key, sealed]): Promise<[string, T]> => [key, await this.#unseal<T>(key, sealed)]));
  }

  /** All updates or none, durably. */
  async write(updates: readonly Update[]): Promise<void> {
    await this.#store.write(await Promise.all(updates.map(async ([key, record]) => ({
      key, value: record && await this.#seal(key, record),
    }))));
  }

  async #seal(key: string, record: object): Promise<Uint8Array<ArrayBuffer>> {
    const iv = crypto.getRandomValues(new Uint8Array(ivLength));
    const sealed = await crypto.subtle.encrypt(parameters(iv, key), this.#key, utf8(JSON.stringify(record, bytesToText)));
    const value = new Uint8Array(ivLength + sealed.byteLength);
    value.set(iv);
    value.set(new Uint8Array(sealed), ivLength);
    return value;
  }

  async #unseal<T>(key: string, value: Uint8Array<ArrayBuffer>): Promise<T> {
    try {
      const iv = value.slice(0, ivLength);
      const opened = await crypto.subtle.decrypt(parameters(iv, key), this.#key, value.slice(ivLength));
      return JSON.parse(new TextDecoder().decode(opened), textToBytes) as T;
    } catch (cause) {
      throw new MessengerError('damaged', `the record ${key} does not open`, cause);
    }
  }
}

function parameters(iv: Uint8Array<ArrayBuffer>, key: string): AesGcmParams {
  return { name: 'AES-GCM', iv, additionalData: utf8(key) };
}

function utf8(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

/** JSON has no bytes: they become an object of one member that no record has. */
function bytesToText(_name: string, value: unknown): unknown {
  return value instanceof Uint8Array ? { $bytes: encodeBase64url(value) } : value;
}

function textToBytes(_name: string, value: unknown): unknown {
  const text = typeof value === 'object' && value !== null && '$bytes' in value ? value.$bytes : undefined;
  return typeof text === 'string' ? decodeBase64url(text) : value;
}
