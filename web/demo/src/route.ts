import { isAddress, parseInvitation } from './link.js';
import type { Invitation } from './link.js';

/** What the fragment of the page's address asks to be shown; the back button goes through these. */
export type Route =
  | { readonly show: 'list' }
  | { readonly show: 'talk'; readonly peer: string }
  | { readonly show: 'invitation'; readonly invitation: Invitation }
  | { readonly show: 'broken link'; readonly text: string };

export function parseRoute(fragment: string): Route {
  const peer = /^#\/with\/([^/]+)$/.exec(fragment)?.[1];
  if (peer !== undefined && isAddress(peer)) return { show: 'talk', peer };
  if (!fragment.startsWith('#to=')) return { show: 'list' };
  const invitation = parseInvitation(fragment);
  return invitation ? { show: 'invitation', invitation } : { show: 'broken link', text: fragment.slice('#to='.length) };
}

export function fragmentOf(peer: string): string {
  return `#/with/${peer}`;
}
