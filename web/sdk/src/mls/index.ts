/** End-to-end encrypted conversations of two over a quicproquo node: MLS (RFC 9420) by ts-mls. */
export { Conversation } from './conversation.js';
export { MessengerError } from './errors.js';
export type { MessengerErrorCode } from './errors.js';
export { IndexedDBStore } from './indexeddb.js';
export { MemoryLocks } from './locks.js';
export type { Locks } from './locks.js';
export { Messenger } from './messenger.js';
export type { MessengerOptions } from './messenger.js';
export type { MessengerClient, MessengerIdentity } from './ports.js';
export { removeProfile } from './removal.js';
export type { RemovalOptions } from './removal.js';
export { safetyNumber } from './safety.js';
export { MemoryStore } from './store.js';
export type { Change, Range, Store } from './store.js';
export type {
  ConversationState, DeliveryState, Entry, Message, MessengerEvent, Notice, NoticeKind, Problem,
} from './types.js';
