import type { Group, Mls } from './group.js';
import { conversationKey } from './records.js';
import type { ConversationRecord, PendingRecord } from './records.js';
import type { Update } from './vault.js';

/** A Welcome or commit under way, opened. */
export type Pending = Omit<PendingRecord, 'next'> & { readonly next: Group };

/** A conversation's record, opened: a value. It is in force once it is written. */
export type Standing = Omit<ConversationRecord, 'group' | 'previous' | 'pending'> & {
  readonly group?: Group | undefined;
  readonly previous?: Group | undefined;
  readonly pending?: Pending | undefined;
};

/** So many ids of former groups are remembered: a group more needs a key package more. */
const groupsKept = 256;

export function newStanding(id: string, peer: string, received: number, wanted: boolean): Standing {
  return { id, peer, state: 'starting', wanted, received, unanswered: 0, attempts: 0, foundedAt: 0, groups: [] };
}

export function openStanding(record: ConversationRecord, mls: Mls, peer: Uint8Array): Standing {
  const { group, previous, pending, ...rest } = record;
  return {
    ...rest,
    group: group && mls.restore(group, peer),
    previous: previous && mls.restore(previous, peer),
    pending: pending && { ...pending, next: mls.restore(pending.next, peer) },
  };
}

/** The change that puts a standing in force. */
export function standingUpdate(standing: Standing): Update {
  const { group, previous, pending, ...rest } = standing;
  const record: ConversationRecord = {
    ...rest,
    group: group?.encode(),
    previous: previous?.encode(),
    pending: pending && { ...pending, next: pending.next.encode() },
  };
  return [conversationKey(standing.id), record];
}

/** The peer is heard in the present group: whatever was doubted about it is settled. */
export function answered(standing: Standing, group: Group): Standing {
  return { ...standing, group, state: 'active', unanswered: 0, attempts: 0 };
}

/** Another group takes the present one's place, which is kept to read what is still on its way. */
export function replaced(standing: Standing, group: Group): Standing {
  return {
    ...standing,
    group,
    previous: standing.group ?? standing.previous,
    state: 'active',
    wanted: true,
    unanswered: 0,
    pending: undefined,
    claimId: undefined,
    groups: [...standing.groups, group.id].slice(-groupsKept),
  };
}
