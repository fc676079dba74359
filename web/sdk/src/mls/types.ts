import type { QuicproquoError } from '../errors.js';

/**
 * How a conversation stands:
 * - `starting`: there is no group yet; it begins as soon as the node is reachable and the peer has a key package.
 * - `active`: messages can be encrypted and read.
 * - `broken`: the group cannot go on, for commits were lost or refused. What is sent waits. A new group is begun
 *   at once, or by `reestablish()` where that was chosen.
 * - `closed`: the node does not know the channel any more; what was said can be read.
 */
export type ConversationState = 'starting' | 'active' | 'broken' | 'closed';

/**
 * - `queued`: kept durably here, not yet stored by the node.
 * - `sent`: stored durably by the node, with a seq. Nobody tells the sender what the peer has read.
 * - `failed`: the node will never take it (it is larger than this node allows, for instance); `discard` removes it.
 * - `received`: from the peer.
 */
export type DeliveryState = 'queued' | 'sent' | 'failed' | 'received';

/** One message of a conversation. */
export interface Message {
  readonly kind: 'message';
  /** Unique in its conversation, and the same before and after it was sent. */
  readonly id: string;
  readonly direction: 'in' | 'out';
  readonly delivery: DeliveryState;
  /** When the node stored it; while it is queued, when it was written. */
  readonly time: Date;
  /** The place in the channel, the same on both sides; undefined while it is queued. */
  readonly seq: number | undefined;
  /** How many bytes it has. */
  readonly size: number;
  /** Its bytes; the first 64 KiB of a larger one, all of which `conversation.content` reads. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** `bytes` as UTF-8, but for a character that is cut in two; undefined if they are none. */
  readonly text: string | undefined;
}

/**
 * What happened:
 * - `gap`: messages `from` to `seq` were lost (they expired at the node, or it was restored from a backup); some of
 *   these seqs may be one's own sends.
 * - `undecryptable`: something came that cannot be read: it was damaged, repeated, or belongs to a lost group.
 * - `refused`: something came that would have let another key than the peer's into the conversation, or that
 *   conversations of two do not do.
 * - `reestablished`: a new group has taken the old one's place. What was under way in the old one may be lost.
 */
export type NoticeKind = 'gap' | 'undecryptable' | 'refused' | 'reestablished';

/** What the conversation has to say between its messages. */
export interface Notice {
  readonly kind: 'notice';
  readonly id: string;
  readonly notice: NoticeKind;
  readonly time: Date;
  readonly seq: number;
  /** Of a gap: its first seq; otherwise the same as `seq`. */
  readonly from: number;
}

/** What a conversation shows, in order: entries with a seq by seq, then those that are queued as they were written. */
export type Entry = Message | Notice;

/** Something changed: read the conversation again. Changes that nobody has read yet are told once. */
export type MessengerEvent =
  | { readonly type: 'conversation'; readonly conversation: import('./conversation.js').Conversation }
  /** The messenger has stopped: closed by its owner (no error), or because it cannot go on. */
  | { readonly type: 'closed'; readonly error: Error | undefined };

/** Why something waits: the error of the last attempt. It is tried again by itself. */
export type Problem = QuicproquoError;
