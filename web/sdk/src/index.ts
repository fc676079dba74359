/** Client of a quicproquo node: identities, channels, messages, key packages, and one stream of events. */
export { Channel } from './channel.js';
export type {
  AckMode, ChannelView, FetchOptions, MessagesOptions, Page, Receipt, SendOptions,
} from './channel.js';
export { Client } from './client.js';
export type { ChannelsOptions, ClaimOptions, ClientOptions, EventsOptions, UploadOptions } from './client.js';
export type { Info, KeyPackage, KeyPackageStock } from './calls.js';
export { systemClock } from './clock.js';
export type { Clock } from './clock.js';
export { QuicproquoError } from './errors.js';
export type { Code, ErrorExtras } from './errors.js';
export type {
  Acked, CaughtUp, ChannelAppeared, Gap, KeyPackagesLow, Message, ServerEvent, State, Via,
} from './events.js';
export { Identity } from './identity.js';
export type { GenerateOptions, IdentityOptions } from './identity.js';
export { IndexedDBIdentityStore, MemoryIdentityStore } from './identitystore.js';
export type { Algorithm, IdentityStore, StoredIdentity } from './identitystore.js';
export type { WebSocketConstructor, WebSocketLike } from './socket.js';
export { decodeBase64url, encodeBase64url } from './base64url.js';
