import { Scope, sleep, systemClock } from '../clock.js';
import { Identity } from '../identity.js';
import type { IdentityOptions } from '../identity.js';
import { MessengerError } from './errors.js';
import { platformLocks, takeProfile } from './locks.js';
import type { Locks } from './locks.js';

/** What `removeProfile` removes. */
export interface RemovalOptions {
  /** Where the identity's key is kept: what `Identity.open` is given. */
  readonly identity: IdentityOptions;
  /** Where the messenger keeps the profile. */
  readonly store: { erase(): Promise<void> };
  /** Its token is ended at the node, if that answers in time; it is closed in any case. */
  readonly client?: { logout(): Promise<void>; close(): Promise<void> } | undefined;
  /** As the messengers have them. Default: navigator.locks. */
  readonly locks?: Locks | undefined;
  /** Milliseconds that other tabs, and then the node, are waited for at most. Default: 5000. */
  readonly patience?: number | undefined;
}

/**
 * Removes a profile from this browser for good: its key, groups, transcripts, and what waits to be sent. Messengers
 * that have it open, in whichever tab, or wait for it, stop with `profile_removed`, and none opens it again. Rejects
 * with `profile_in_use`, and has removed nothing, if a tab does not let go of it. May be repeated, after a crash too.
 */
export async function removeProfile(options: RemovalOptions): Promise<{ readonly revoked: boolean }> {
  const { identity: place, store, client, patience = 5_000 } = options;
  const identity = await Identity.open(place);
  const release = identity && await takeFromAll(identity.address, options.locks ?? platformLocks(), patience);
  try {
    const revoked = client ? await revoke(client, patience) : false;
    // The key goes first: without it no messenger opens the profile, should this tab die before the rest is gone.
    await Identity.remove(place);
    await store.erase();
    return { revoked };
  } finally {
    await release?.();
  }
}

/** Has every tab give a profile back, and takes it. */
async function takeFromAll(address: string, locks: Locks | undefined, patience: number): Promise<() => Promise<void>> {
  const patient = new AbortController();
  const timer = setTimeout(() => patient.abort(), patience);
  // Asked for before it is announced: who asks later, and has not heard it, comes later.
  const taking = locks && takeProfile(locks, address, { wait: true, signal: patient.signal });
  const channel = channelOf(address);
  channel?.postMessage('removed');
  try {
    return await taking ?? (() => Promise.resolve());
  } catch (error) {
    throw patient.signal.aborted ? new MessengerError('profile_in_use', 'another tab does not let go of this profile') : error;
  } finally {
    clearTimeout(timer);
    channel?.close();
  }
}

/** Tells whether the node has confirmed it. A token that it has not heard of expires by itself. */
async function revoke(client: NonNullable<RemovalOptions['client']>, patience: number): Promise<boolean> {
  const scope = new Scope();
  const given = sleep(systemClock, patience, scope.signal).then(() => false);
  const revoked = await Promise.race([client.logout().then(() => true, () => false), given]);
  scope.abort();
  if (!revoked) await client.close();
  return revoked;
}

/** Hears that a profile is being removed. */
export class RemovalWatch {
  readonly #channel: BroadcastChannel | undefined;
  readonly #scope: Scope;

  /** `waiting` ends the watch's signal too, until the watch is `settled`. */
  constructor(address: string, waiting?: AbortSignal) {
    this.#scope = new Scope(waiting);
    this.#channel = channelOf(address);
    if (this.#channel) this.#channel.onmessage = () => this.#scope.abort(removed());
  }

  /** Its reason is a MessengerError if the profile is being removed. */
  get signal(): AbortSignal {
    return this.#scope.signal;
  }

  settled(): void {
    this.#scope.release();
  }

  end(): void {
    this.settled();
    this.#channel?.close();
  }
}

export function removed(): MessengerError {
  return new MessengerError('profile_removed', 'this profile is removed from here');
}

function channelOf(address: string): BroadcastChannel | undefined {
  if (typeof BroadcastChannel === 'undefined') return undefined;
  const channel: BroadcastChannel & { unref?(): void } = new BroadcastChannel(`quicproquo-mls:${address}`);
  channel.unref?.(); // it keeps no program of Node from ending
  return channel;
}
