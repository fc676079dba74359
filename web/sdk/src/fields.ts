import { decodeBase64url } from './base64url.js';
import type { ChannelView } from './channel.js';
import { QuicproquoError } from './errors.js';
import type { Gap, Message } from './events.js';
import type { components } from './generated/openapi.js';

/** The contract's objects. */
export type Schemas = components['schemas'];

/** An object of the contract as it came: its members have names, and nothing else is known of them. */
export type Raw<T> = { readonly [K in keyof T]?: unknown };

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const reasons: readonly string[] = ['expired', 'acked', 'restored'] satisfies Gap['reason'][];

/** The error of what a node would not say. */
export function unreadable(what: string): QuicproquoError {
  return new QuicproquoError('internal', `the node's answer cannot be read: ${what}`);
}

export function object<T>(value: unknown): Raw<T> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw unreadable('an object is expected');
  return value;
}

export function list(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw unreadable('an array is expected');
  return value;
}

export function text(value: unknown): string {
  if (typeof value !== 'string') throw unreadable('a string is expected');
  return value;
}

export function flag(value: unknown): boolean {
  if (typeof value !== 'boolean') throw unreadable('true or false is expected');
  return value;
}

/** An integer from `least` to 2^53 - 1. */
export function count(value: unknown, least = 0): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= least) return value;
  throw unreadable(`an integer from ${least} is expected`);
}

export function time(value: unknown): Date {
  const date = new Date(text(value));
  if (Number.isNaN(date.getTime())) throw unreadable('a time is expected');
  return date;
}

export function bytes(value: unknown): Uint8Array<ArrayBuffer> {
  const decoded = decodeBase64url(text(value));
  if (decoded === undefined || decoded.length === 0) throw unreadable('bytes in base64url are expected');
  return decoded;
}

export function channelId(value: unknown): string {
  const id = text(value);
  if (!uuid.test(id)) throw unreadable('a channel id is expected');
  return id;
}

export function channelView(value: unknown): ChannelView {
  const raw = object<Schemas['Channel']>(value);
  return {
    id: channelId(raw.channel_id), peer: text(raw.peer), createdAt: time(raw.created_at),
    head: count(raw.head), acked: count(raw.acked), unread: count(raw.unread),
  };
}

export function message(value: unknown): Message {
  const raw = object<Schemas['Message']>(value);
  return {
    type: 'message', channelId: channelId(raw.channel_id), seq: count(raw.seq, 1),
    receivedAt: time(raw.received_at), payload: bytes(raw.payload),
  };
}

export function gap(id: string, value: unknown): Gap {
  const raw = object<Schemas['Gap']>(value);
  const from = count(raw.from, 1);
  const to = count(raw.to, from);
  const reason = text(raw.reason);
  if (!reasons.includes(reason)) throw unreadable('the reason of a gap is unknown');
  return { type: 'gap', channelId: id, from, to, reason: reason as Gap['reason'] };
}
