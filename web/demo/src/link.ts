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

/** Reads an address, or a link that holds one, as people paste it; undefined if it is neither. */
export function parseInvitation(text: string): Invitation | undefined {
  const trimmed = text.trim();
  const fragment = new URLSearchParams(trimmed.slice(trimmed.indexOf('#') + 1));
  const address = fragment.get('to') ?? trimmed;
  return isAddress(address) ? { address, name: (fragment.get('name') ?? '').trim().slice(0, maxName) } : undefined;
}

/** Characters of a name; what claims to be longer is cut. */
export const maxName = 40;

/** Whether this is an Ed25519 public key in base64url. */
export function isAddress(text: string): boolean {
  return decodeBase64url(text)?.length === 32;
}

/** An address as one recognises it, not as one compares it. */
export function shortAddress(address: string): string {
  return `${address.slice(0, 6)}…${address.slice(-4)}`;
}
