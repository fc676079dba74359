import { decodeBase64url, encodeBase64url, utf8 } from './base64url.js';
import type { Clock } from './clock.js';
import { QuicproquoError } from './errors.js';
import { bytes, count, object, text, time } from './fields.js';
import type { Schemas } from './fields.js';
import type { Http } from './http.js';
import type { Identity } from './identity.js';

const longestMargin = 60_000; // milliseconds before its expiry that a token is renewed, if it lives long enough
const challengeLife = 60_000;

/** A token, and what is known of its life by our own clock. */
interface Held {
  readonly token: string;
  readonly renewAt: number | undefined;
  readonly expiresAt: number | undefined;
}

/** Brings access tokens, and renews them before they expire. One renewal at a time serves all who ask. */
export abstract class Tokens {
  protected readonly clock: Clock;
  #held: Held | undefined;
  #renewing: Promise<Held> | undefined;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** A new token; milliseconds it lives, if they are known. */
  protected abstract bring(): Promise<{ token: string; life: number | undefined }>;

  /** A token that is good for a while, as far as one knows. */
  async get(): Promise<string> {
    const held = this.#held;
    const now = this.clock.now();
    if (held && now < (held.renewAt ?? Infinity)) return held.token;
    try {
      return await this.renew();
    } catch (failure) {
      if (held && now < (held.expiresAt ?? Infinity)) return held.token; // it works yet; the next call tries again
      throw failure;
    }
  }

  /** A new token, whatever the present one is worth. */
  async renew(): Promise<string> {
    this.#renewing ??= this.#bring().finally(() => { this.#renewing = undefined; });
    return (await this.#renewing).token;
  }

  /** Forgets a token that was refused. */
  discard(token: string): void {
    if (this.#held?.token === token) this.#held = undefined;
  }

  /** Milliseconds until the present token should be renewed; undefined if that is not known. */
  renewIn(): number | undefined {
    const renewAt = this.#held?.renewAt;
    return renewAt === undefined ? undefined : Math.max(0, renewAt - this.clock.now());
  }

  async #bring(): Promise<Held> {
    const asked = this.clock.now();
    const { token, life } = await this.bring();
    const expiresAt = life === undefined ? undefined : asked + life;
    const renewAt = life === undefined ? undefined : asked + life - Math.min(longestMargin, life / 3);
    this.#held = { token, expiresAt, renewAt };
    return this.#held;
  }
}

/** Tokens that somebody else brings, by a callback. */
export class BroughtTokens extends Tokens {
  readonly #callback: () => Promise<string>;

  constructor(clock: Clock, callback: () => Promise<string>) {
    super(clock);
    this.#callback = callback;
  }

  protected override async bring(): Promise<{ token: string; life: number | undefined }> {
    try {
      const token = text(await this.#callback());
      return { token, life: lifeOf(token) };
    } catch (cause) {
      throw new QuicproquoError('unavailable', 'no token was brought', { cause });
    }
  }
}

/** How long a JWT lives by its own words, which need no common clock; undefined for other tokens. */
function lifeOf(token: string): number | undefined {
  const payload = decodeBase64url(token.split('.')[1] ?? '');
  try {
    const { exp, iat } = JSON.parse(new TextDecoder().decode(payload)) as { exp?: unknown; iat?: unknown };
    return typeof exp === 'number' && typeof iat === 'number' && exp > iat ? (exp - iat) * 1000 : undefined;
  } catch {
    return undefined;
  }
}

/** Tokens of logins by the identity's key. */
export class LoginTokens extends Tokens {
  readonly #http: Http;
  readonly #identity: Identity;
  readonly #audience: string;
  readonly #signal: AbortSignal;

  constructor(clock: Clock, http: Http, identity: Identity, audience: string, signal: AbortSignal) {
    super(clock);
    this.#http = http;
    this.#identity = identity;
    this.#audience = audience;
    this.#signal = signal;
  }

  protected override async bring(): Promise<{ token: string; life: number }> {
    const nonce = await this.#challenge();
    const signature = await this.#identity.sign(loginBytes(this.#audience, this.#identity.publicKey, nonce));
    const json: Schemas['LoginRequest'] = {
      identity: this.#identity.address, nonce: encodeBase64url(nonce), signature: encodeBase64url(signature),
      revoke_older: false,
    };
    const answer = await this.#post('/v1/auth/token', json);
    const raw = object<Schemas['AccessToken']>(answer);
    return { token: text(raw.access_token), life: count(raw.expires_in) * 1000 };
  }

  /** A nonce to sign. The node's word on its audience is only compared: never is anything signed for it. */
  async #challenge(): Promise<Uint8Array<ArrayBuffer>> {
    const json: Schemas['ChallengeRequest'] = { identity: this.#identity.address };
    const answer = await this.#post('/v1/auth/challenge', json);
    const raw = object<Schemas['Challenge']>(answer);
    const audience = text(raw.audience);
    if (audience !== this.#audience) {
      const detail = `the node takes itself for ${audience}; this client logs in to ${this.#audience} only`;
      throw new QuicproquoError('permission_denied', detail);
    }
    this.#http.skew = time(raw.expires_at).getTime() - challengeLife - this.clock.now();
    return bytes(raw.nonce);
  }

  #post(path: string, json: object): Promise<unknown> {
    return this.#http.exchange({ method: 'POST', path, json }, undefined, this.#signal);
  }
}

/** What a login signs: "quicproquo login v1" 00 ‖ audience ‖ 00 ‖ identity ‖ nonce. */
export function loginBytes(audience: string, identity: Uint8Array, nonce: Uint8Array): Uint8Array<ArrayBuffer> {
  const head = utf8(`quicproquo login v1\0${audience}\0`);
  const all = new Uint8Array(head.length + identity.length + nonce.length);
  all.set(head);
  all.set(identity, head.length);
  all.set(nonce, head.length + identity.length);
  return all;
}
