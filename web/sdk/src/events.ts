import type { Code, QuicproquoError } from './errors.js';

/** A message of the reader's queue: opaque bytes from the channel's other member. */
export interface Message {
  readonly type: 'message';
  readonly channelId: string;
  /** The message's place in its channel, from 1, one counter for both directions. */
  readonly seq: number;
  readonly receivedAt: Date;
  readonly payload: Uint8Array<ArrayBuffer>;
}

/**
 * The seqs `from` to `to` will not come: an upper bound, since it may contain the reader's own sends.
 * Go on from `to`, which may be acknowledged like a message's seq.
 */
export interface Gap {
  readonly type: 'gap';
  readonly channelId: string;
  readonly from: number;
  readonly to: number;
  readonly reason: 'expired' | 'acked' | 'restored';
}

/** A channel became visible, live: it comes before the channel's first message. */
export interface ChannelAppeared {
  readonly type: 'channel';
  readonly channelId: string;
  /** The other member's address. */
  readonly peer: string;
  readonly createdAt: Date;
  readonly head: number;
}

/** All that was stored when this connection began has been delivered: once for every connection. */
export interface CaughtUp {
  readonly type: 'caught_up';
}

/** The caller's queue is acknowledged, durably, by this or another session of the same identity. */
export interface Acked {
  readonly type: 'acked';
  readonly channelId: string;
  readonly through: number;
}

/** A cipher suite's one-time key packages fall below 25: upload more. */
export interface KeyPackagesLow {
  readonly type: 'key_packages_low';
  readonly suite: number;
  readonly remaining: number;
}

/** What `client.events()` yields. More types may come: ignore those that you do not know. */
export type ServerEvent = Message | Gap | ChannelAppeared | CaughtUp | Acked | KeyPackagesLow;

/** How the events come at present. */
export type Via = 'websocket' | 'sse' | 'poll';

/** The state of the one stream that all of a client's consumers share. */
export type State =
  /** Nobody consumes events. */
  | { readonly status: 'idle' }
  | { readonly status: 'connecting' }
  | { readonly status: 'open'; readonly via: Via }
  /** The next attempt comes in so many milliseconds (from when the state began). */
  | { readonly status: 'retrying'; readonly in: number; readonly error: QuicproquoError }
  /** It is over: the consumers' loops ended with this error, or the client was closed. */
  | { readonly status: 'closed'; readonly code: Code | undefined };
