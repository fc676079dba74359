import { decodeBase64url } from '@quicproquo/client';

/** Somebody to talk with: what a link or a QR code carries. */
export interface Invitation {
  readonly address: string;
  readonly name: string;
}

/** A link that begins a conversation. All of it is in the fragment, which browsers send to nobody. */
export function linkTo({ address, name }: Invitation, page: string): string {
  return `${page.replace(/#.*$/, '')}#to=${address}&name=${encodeURIComponent(name)}`;
}

/**
 * Reads an address, or a link that holds one, as people paste it: with words around it, or broken into lines.
 * Undefined if there is none, or not all of it.
 */
export function parseInvitation(text: string): Invitation | undefined {
  const joined = text.replace(/\s+/g, '');
  const linked = /[#&]to=([\w-]*)/.exec(joined)?.[1];
  const address = linked ?? (isAddress(joined) ? joined : /(?<![\w-])[\w-]{43}(?![\w-])/.exec(text)?.[0]) ?? '';
  const name = linked === undefined ? undefined : /&name=([^\s&#]*)/.exec(text)?.[1];
  return isAddress(address) ? { address, name: tidyName(new URLSearchParams(`name=${name ?? ''}`).get('name') ?? '') } : undefined;
}

/** Characters of a name; what claims to be longer is cut. */
export const maxName = 40;

/**
 * A name as it can stand among other words: one line, nothing that turns the direction of what follows, not too
 * long. Empty if there is nothing to see in it.
 */
export function tidyName(name: string): string {
  const plain = name.replace(/[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu, ' ').replace(/\s+/g, ' ').trim();
  return /[\p{L}\p{N}\p{P}\p{S}]/u.test(plain) ? [...plain].slice(0, maxName).join('') : '';
}

/** Whether this is an Ed25519 public key in base64url. */
export function isAddress(text: string): boolean {
  return decodeBase64url(text)?.length === 32;
}

/** An address as one recognises it, not as one compares it. */
export function shortAddress(address: string): string {
  return `${address.slice(0, 6)}…${address.slice(-4)}`;
}
