import type { ConversationState, Message, Notice, NoticeKind } from './types.js';

/** What is shown, and held in memory, of one message; a larger one is cut here, for a peer may send 5 MiB. */
export const shownBytes = 64 * 1024;

type Bytes = Uint8Array<ArrayBuffer>;

// The keys of records. A conversation's entries lie in the channel's order.
export const profileKey = 'profile';
export const conversationPrefix = 'conversation/';
export const keyPackagePrefix = 'keypackage/';
export const conversationKey = (id: string): string => `${conversationPrefix}${id}`;
export const keyPackageKey = (ref: string): string => `${keyPackagePrefix}${ref}`;
export const readKey = (id: string): string => `read/${id}`;
export const entryPrefix = (id: string): string => `entry/${id}/`;
export const outboxPrefix = (id: string): string => `outbox/${id}/`;
export const outboxKey = (id: string, place: number): string => outboxPrefix(id) + ordinal(place);
/** A message whole, of which its entry has only the beginning. */
export const contentKey = (id: string, seq: number): string => `content/${id}/${ordinal(seq)}`;
export const historyKey = (id: string): string => `history/${id}`;
/** A notice may stand beside a message of one's own with the same seq, and then after it. */
export const entryKey = (id: string, seq: number, notice = false): string =>
  `${entryPrefix(id)}${ordinal(seq)}${notice ? '~' : ''}`;

/** Numbers up to 2^53 as text that sorts like them. */
function ordinal(number: number): string {
  return number.toString(16).padStart(14, '0');
}

/** Whose profile a store holds. */
export interface ProfileRecord {
  readonly format: 1;
  readonly address: string;
}

/** A conversation: all of it that must change in one step. */
export interface ConversationRecord {
  readonly id: string;
  readonly peer: string;
  readonly state: ConversationState;
  /** Whether `start` was called: a group is begun if there is none. */
  readonly wanted: boolean;
  /** All of the peer's messages up to this seq were handled. */
  readonly received: number;
  readonly group?: Bytes | undefined;
  /** The group before, to read what the peer sent before it knew of the present one. */
  readonly previous?: Bytes | undefined;
  /** Own commits in a row that the peer has not answered. */
  readonly unanswered: number;
  /** Own groups in a row that the peer has not answered, and when the latest was begun. */
  readonly attempts: number;
  readonly foundedAt: number;
  readonly pending?: PendingRecord | undefined;
  /** Of a claim whose key package is not used yet. */
  readonly claimId?: Bytes | undefined;
  /** Ids of the groups that there were: a Welcome to one of them is a repetition. */
  readonly groups: readonly string[];
}

/** A Welcome or commit that may or may not be stored at the node: the same bytes until that is known. */
export interface PendingRecord {
  readonly kind: 'welcome' | 'commit';
  readonly payload: Bytes;
  readonly messageId: string;
  readonly ifHead: number;
  /** The group as it is once the payload is stored. */
  readonly next: Bytes;
}

/** A message of one's own that the node has not confirmed. */
export interface OutboxRecord {
  readonly place: number;
  /** Its message id at the node, too. */
  readonly id: string;
  readonly content: Bytes;
  readonly time: number;
  /** What it became when it was encrypted: the same bytes at every attempt. */
  readonly sealed?: Bytes | undefined;
  /** The node will never take it. */
  readonly failed?: boolean | undefined;
}

/** A message's content is its beginning where it has a size: all of it is a record of its own. */
export type EntryRecord =
  | {
    readonly direction: 'in' | 'out'; readonly id: string; readonly seq: number; readonly time: number;
    readonly content: Bytes; readonly size?: number | undefined;
  }
  | { readonly notice: NoticeKind; readonly seq: number; readonly from: number; readonly time: number };

/** How much is kept of a conversation's past. */
export interface HistoryRecord {
  readonly bytes: number;
}

export interface ReadRecord {
  readonly through: number;
}

/** A key package of one's own that others may hold. */
export interface KeyPackageRecord {
  readonly ref: string;
  readonly publicPackage: Bytes;
  readonly initPrivateKey: Bytes;
  readonly encryptionPrivateKey: Bytes;
  readonly lastResort: boolean;
  /** Seconds since 1970: until then a Welcome to it may come. */
  readonly keepUntil: number;
  /** Seconds since 1970: until then the node hands it out. */
  readonly validUntil: number;
}

export function entryOf(record: EntryRecord): Message | Notice {
  const { seq } = record;
  const time = new Date(record.time);
  if ('notice' in record) {
    return { kind: 'notice', id: `${seq}~`, notice: record.notice, time, seq, from: record.from };
  }
  const delivery = record.direction === 'in' ? 'received' : 'sent';
  return { ...message(record.id, record.content, time, record.size), direction: record.direction, delivery, seq };
}

export function queuedEntry(record: OutboxRecord): Message {
  const delivery = record.failed ? 'failed' : 'queued';
  return { ...message(record.id, record.content, new Date(record.time)), direction: 'out', delivery, seq: undefined };
}

function message(id: string, content: Bytes, time: Date, size = content.length) {
  // A copy, or the whole would stay in memory.
  const bytes = content.length > shownBytes ? content.slice(0, shownBytes) : content;
  return { kind: 'message' as const, id, time, size, bytes, text: textOf(bytes, size > bytes.length) };
}

function textOf(bytes: Bytes, isCut: boolean): string | undefined {
  try {
    // As a stream's part, it may end within a character.
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes, { stream: isCut });
  } catch {
    return undefined;
  }
}
