import { parse } from './group.js';
import type { Group, Mls, Parsed } from './group.js';
import { Refused } from './policy.js';
import { keyPackageKey } from './records.js';
import type { EntryRecord, KeyPackageRecord } from './records.js';
import { answered, replaced } from './standing.js';
import type { Standing } from './standing.js';
import type { NoticeKind } from './types.js';
import type { Update, Vault } from './vault.js';

/** What a channel brings, in the channel's order. A gap stands at its end. */
export type Item =
  | { readonly kind: 'message'; readonly seq: number; readonly time: number; readonly payload: Uint8Array }
  | { readonly kind: 'gap'; readonly seq: number; readonly from: number; readonly time: number };

/** What became of an item: all of it is to be written in one step, and the item acknowledged after. */
export interface Received {
  readonly standing: Standing;
  readonly entry: EntryRecord | undefined;
  /** Beside the standing and the entry. */
  readonly updates: readonly Update[];
}

/** What opening a message decided: how the conversation stands then, and what there is to show. */
interface Verdict {
  readonly standing: Standing;
  readonly content?: Uint8Array<ArrayBuffer> | undefined;
  readonly notice?: NoticeKind | undefined;
  /** The one-time key package that is used up, with its secrets. */
  readonly spent?: string | undefined;
}

/**
 * Decides on items, and changes nothing itself. Every item has an outcome, so that the queue never stops at one:
 * it is read, or shown as a notice, or (repetitions, losers of a race) passed over.
 */
export class Receiver {
  readonly #mls: Mls;
  readonly #vault: Vault;
  readonly peer: Uint8Array;

  constructor(mls: Mls, vault: Vault, peer: Uint8Array) {
    this.#mls = mls;
    this.#vault = vault;
    this.peer = peer;
  }

  async receive(before: Standing, item: Item): Promise<Received> {
    const verdict = item.kind === 'gap' ? { standing: before, notice: 'gap' as const } : await this.#judge(before, parse(item.payload));
    const standing = { ...verdict.standing, received: item.seq };
    const updates: Update[] = verdict.spent ? [[keyPackageKey(verdict.spent), undefined]] : [];
    return { standing, entry: entryFor(item, verdict), updates };
  }

  #judge(before: Standing, parsed: Parsed): Promise<Verdict> {
    if (parsed.kind === 'welcome') return this.#welcome(before, parsed);
    if (parsed.kind === 'private') return this.#open(before, parsed);
    return Promise.resolve({ standing: before, notice: 'undecryptable' });
  }

  async #welcome(before: Standing, { welcome, refs }: Parsed & { kind: 'welcome' }): Promise<Verdict> {
    const own = await this.#ownKeyPackage(refs);
    if (!own) return broken(before);
    let group: Group;
    try {
      group = await this.#mls.join(welcome, own, this.peer);
    } catch (error) {
      if (error instanceof Refused) return { standing: before, notice: 'refused' };
      return broken(before);
    }
    // A last-resort key package opens its old Welcomes again, and then all that was ever said in their groups.
    if (before.groups.includes(group.id)) return { standing: before, notice: 'undecryptable' };
    return {
      standing: { ...replaced(before, group), attempts: 0 },
      notice: before.groups.length > 0 || before.state === 'broken' ? 'reestablished' : undefined,
      spent: own.lastResort ? undefined : own.ref,
    };
  }

  async #ownKeyPackage(refs: readonly string[]): Promise<KeyPackageRecord | undefined> {
    for (const ref of refs.slice(0, 2)) {
      const found = await this.#vault.get<KeyPackageRecord>(keyPackageKey(ref));
      if (found) return found;
    }
    return undefined;
  }

  async #open(before: Standing, parsed: Parsed & { kind: 'private' }): Promise<Verdict> {
    const { group, previous } = before;
    if (previous && parsed.groupId === previous.id) return openFormer(before, previous, parsed);
    // The peer is in a group, or an epoch, that nothing which came before led to.
    if (!group || parsed.groupId !== group.id || parsed.epoch > group.epoch) return broken(before);
    try {
      const opened = await group.open(parsed.message);
      if (opened.kind === 'ignored') return { standing: { ...before, group: opened.group } };
      if (opened.kind === 'commit') return { standing: answered(before, opened.group) };
      // Only what was encrypted in the present epoch shows that the peer has reached it.
      const standing = parsed.epoch === group.epoch ? answered(before, opened.group) : { ...before, group: opened.group };
      // The peer sends in order: after its first message here none comes from the group before.
      return { standing: { ...standing, previous: undefined }, content: opened.content };
    } catch (error) {
      // The peer stands behind a commit of its own that is refused here: from now on it is elsewhere.
      if (error instanceof Refused) return { standing: { ...before, state: 'broken' }, notice: 'refused' };
      return { standing: before, notice: 'undecryptable' };
    }
  }
}

async function openFormer(before: Standing, previous: Group, parsed: Parsed & { kind: 'private' }): Promise<Verdict> {
  try {
    const opened = await previous.open(parsed.message);
    if (opened.kind !== 'message') return { standing: before };
    return { standing: { ...before, previous: opened.group }, content: opened.content };
  } catch {
    return { standing: before, notice: 'undecryptable' };
  }
}

function broken(before: Standing): Verdict {
  return { standing: { ...before, state: 'broken' }, notice: 'undecryptable' };
}

function entryFor(item: Item, { content, notice }: Verdict): EntryRecord | undefined {
  const { seq, time } = item;
  if (notice) return { notice, seq, from: item.kind === 'gap' ? item.from : seq, time };
  return content && { direction: 'in', id: String(seq), seq, time, content };
}
