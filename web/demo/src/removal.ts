import { Identity } from '@quicproquo/client';
import type { Client } from '@quicproquo/client';
import { IndexedDBStore, removeProfile } from '@quicproquo/client/mls';
import type { Book } from './book.js';
import type { Profile } from './model.js';

/** Where a profile's messages and keys are kept. */
export function storeOf({ id }: Profile): IndexedDBStore {
  return new IndexedDBStore({ database: `quicproquo-mls-${id}` });
}

/** The key of a profile; undefined if it was removed. */
export function keyOf({ id }: Profile): Promise<Identity | undefined> {
  return Identity.open({ name: id });
}

/** Removes a profile from this browser, in all its tabs. May be repeated, and has to be where it was cut off. */
export async function removeFromBrowser(book: Book, profile: Profile, client?: Client): Promise<void> {
  await removeProfile({ identity: { name: profile.id }, store: storeOf(profile), client });
  await book.removeProfile(profile.id); // last: a profile that is listed still can be removed again
}
