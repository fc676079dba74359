import { codeOf } from './errors.js';
import type { Code } from './errors.js';
import type { ServerEvent } from './events.js';
import { channelId, count, gap, message, object, text, time, unreadable } from './fields.js';
import type { Raw } from './fields.js';

/** The frames of the node that are about the stream itself. */
export type ControlFrame =
  | { readonly type: 'hello'; readonly identity: string; readonly pingMs: number }
  | { readonly type: 'ping' }
  | { readonly type: 'token_expiring' }
  | { readonly type: 'draining'; readonly retryAfterMs: number }
  | { readonly type: 'error'; readonly code: Code; readonly detail: string };

export type Frame = ControlFrame | ServerEvent;

/** The frames of clients. */
export type ClientFrame =
  | { readonly type: 'ack'; readonly channel_id: string; readonly through: number }
  | { readonly type: 'auth'; readonly token: string }
  | { readonly type: 'pong' };

/** Far above a message of the largest payload that nodes take by default. */
export const maxFrame = 64 * 1024 * 1024;

interface Members {
  type: string; channel_id: string; identity: string; ping_ms: number; peer: string; created_at: string; head: number;
  through: number; suite: number; remaining: number; retry_after_ms: number; code: string; detail: string;
}

/** Reads a frame. undefined: of a type that this version does not know. Throws what no node would send. */
export function decodeFrame(data: unknown): Frame | undefined {
  if (typeof data !== 'string' || data.length > maxFrame) throw unreadable('a frame is a text of bounded length');
  let parsed: unknown;
  try {
    parsed = JSON.parse(data);
  } catch {
    throw unreadable('a frame is not JSON');
  }
  const raw = object<Members>(parsed);
  const type = text(raw.type);
  // Own members only: "constructor" is no frame.
  const decode = Object.hasOwn(decoders, type) ? decoders[type] : undefined;
  return decode?.(raw);
}

const decoders: Readonly<Record<string, (raw: Raw<Members>) => Frame>> = {
  hello: (raw) => ({ type: 'hello', identity: text(raw.identity), pingMs: count(raw.ping_ms, 1) }),
  message,
  gap: (raw) => gap(channelId(raw.channel_id), raw),
  channel: (raw) => ({
    type: 'channel', channelId: channelId(raw.channel_id), peer: text(raw.peer),
    createdAt: time(raw.created_at), head: count(raw.head),
  }),
  caught_up: () => ({ type: 'caught_up' }),
  acked: (raw) => ({ type: 'acked', channelId: channelId(raw.channel_id), through: count(raw.through) }),
  key_packages_low: (raw) => ({ type: 'key_packages_low', suite: count(raw.suite), remaining: count(raw.remaining) }),
  token_expiring: () => ({ type: 'token_expiring' }),
  draining: (raw) => ({ type: 'draining', retryAfterMs: count(raw.retry_after_ms) }),
  error: (raw) => ({ type: 'error', code: codeOf(text(raw.code)) ?? 'internal', detail: text(raw.detail) }),
  ping: () => ({ type: 'ping' }),
};
