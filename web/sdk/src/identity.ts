import { encodeBase64url } from './base64url.js';
import { IndexedDBIdentityStore, MemoryIdentityStore } from './identitystore.js';
import type { Algorithm, IdentityStore, StoredIdentity } from './identitystore.js';
import type { Key } from './platform.js';

/** Where an identity is kept. */
export interface IdentityOptions {
  /** Default: IndexedDB, and where there is none, memory. */
  readonly store?: IdentityStore | undefined;
  /** Default: "default". */
  readonly name?: string | undefined;
}

export interface GenerateOptions extends IdentityOptions {
  /** Default: Ed25519. */
  readonly algorithm?: Algorithm | undefined;
}

/**
 * A client's MLS signature key pair, which is the account: whoever holds the private key is that identity.
 * The private key is a CryptoKey that cannot be exported.
 */
export class Identity {
  readonly algorithm: Algorithm;
  /** Ed25519: 32 bytes; P-256: 65 bytes, uncompressed. */
  readonly publicKey: Uint8Array<ArrayBuffer>;
  /** The public key in base64url: what one gives to others. */
  readonly address: string;
  readonly privateKey: Key;
  /** Where it is kept; undefined: that is somebody else's to know. */
  readonly #place: IdentityOptions | undefined;

  private constructor(kept: StoredIdentity, place?: IdentityOptions) {
    this.#place = place;
    this.algorithm = kept.algorithm;
    this.publicKey = kept.publicKey;
    this.privateKey = kept.privateKey;
    this.address = encodeBase64url(kept.publicKey);
  }

  /** Makes a new identity and keeps it; rejects if its name is taken in the store. */
  static async generate(options: GenerateOptions = {}): Promise<Identity> {
    const algorithm = options.algorithm ?? 'Ed25519';
    const pair = await crypto.subtle.generateKey(keyAlgorithm(algorithm), false, ['sign', 'verify']) as CryptoKeyPair;
    const publicKey = new Uint8Array(await crypto.subtle.exportKey('raw', pair.publicKey));
    const kept = { algorithm, publicKey, privateKey: pair.privateKey };
    await storeOf(options).add(nameOf(options), kept);
    return new Identity(kept, options);
  }

  /** The identity that was kept; undefined if there is none. */
  static async open(options: IdentityOptions = {}): Promise<Identity | undefined> {
    const kept = await storeOf(options).get(nameOf(options));
    return kept && new Identity(kept, options);
  }

  /** Removes the identity that was kept, if there is one. Nobody can bring its key back. */
  static async remove(options: IdentityOptions = {}): Promise<void> {
    await storeOf(options).remove(nameOf(options));
  }

  /** An identity whose keys come from elsewhere. */
  static of(keys: StoredIdentity): Identity {
    return new Identity(keys);
  }

  /** Whether its key is still kept where it was opened or made; true of keys that came from elsewhere. */
  async isKept(): Promise<boolean> {
    if (!this.#place) return true;
    const kept = await storeOf(this.#place).get(nameOf(this.#place));
    return kept !== undefined && encodeBase64url(kept.publicKey) === this.address;
  }

  /** Ed25519, or ECDSA-P256-SHA256 as raw r and s: 64 bytes. */
  async sign(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
    const algorithm = this.algorithm === 'P-256' ? { name: 'ECDSA', hash: 'SHA-256' } : 'Ed25519';
    return new Uint8Array(await crypto.subtle.sign(algorithm, this.privateKey, bytes));
  }
}

function keyAlgorithm(algorithm: Algorithm): AlgorithmIdentifier | EcKeyGenParams {
  return algorithm === 'P-256' ? { name: 'ECDSA', namedCurve: 'P-256' } : { name: 'Ed25519' };
}

/** One store for all who name none where there is no IndexedDB, so that open finds what generate kept. */
const memory = new MemoryIdentityStore();

function storeOf(options: IdentityOptions): IdentityStore {
  return options.store ?? (typeof indexedDB === 'undefined' ? memory : new IndexedDBIdentityStore());
}

function nameOf(options: IdentityOptions): string {
  return options.name ?? 'default';
}
