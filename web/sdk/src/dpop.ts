import { encodeBase64url, utf8 } from './base64url.js';
import type { Identity } from './identity.js';

/** Proves with each request that its sender holds the identity's key (DPoP, RFC 9449). */
export class Prover {
  readonly #identity: Identity;
  /** The server's latest nonce; replaced with every answer that brings one. */
  #nonce: string | undefined;

  constructor(identity: Identity) {
    this.#identity = identity;
  }

  /** A proof for one request: it is spent by it. `now` is the server's time, in milliseconds. */
  async prove(method: string, url: URL, token: string, now: number): Promise<string> {
    const hash = await crypto.subtle.digest('SHA-256', utf8(token));
    const alg = this.#identity.algorithm === 'P-256' ? 'ES256' : 'EdDSA';
    const header = { typ: 'dpop+jwt', alg, jwk: jwkOf(this.#identity) };
    const claims = {
      jti: encodeBase64url(crypto.getRandomValues(new Uint8Array(16))),
      htm: method, htu: url.origin + url.pathname, iat: Math.floor(now / 1000),
      ath: encodeBase64url(new Uint8Array(hash)), nonce: this.#nonce,
    };
    const signed = [header, claims].map((part) => encodeBase64url(utf8(JSON.stringify(part)))).join('.');
    return `${signed}.${encodeBase64url(await this.#identity.sign(utf8(signed)))}`;
  }

  /** Takes the nonce of an answer; true: the request was refused for want of it, and may be made again with it. */
  note(response: Response): boolean {
    const nonce = response.headers.get('DPoP-Nonce');
    this.#nonce = nonce ?? this.#nonce;
    return nonce !== null && response.status === 401;
  }
}

/** The public key as a JWK (RFC 8037, RFC 7518 section 6.2). */
function jwkOf({ algorithm, publicKey }: Identity): Record<string, string> {
  if (algorithm === 'Ed25519') return { kty: 'OKP', crv: 'Ed25519', x: encodeBase64url(publicKey) };
  const [x, y] = [publicKey.subarray(1, 33), publicKey.subarray(33)];
  return { kty: 'EC', crv: 'P-256', x: encodeBase64url(x), y: encodeBase64url(y) };
}
