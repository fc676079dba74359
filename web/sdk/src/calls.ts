import type { ChannelView, FetchOptions, Page } from './channel.js';
import { bytes, channelView, count, flag, gap, list, message, object, text, time, unreadable } from './fields.js';
import type { Schemas } from './fields.js';
import type { Request } from './http.js';

/** A page of the caller's channels. */
export interface ChannelPage {
  readonly channels: ChannelView[];
  readonly next: string | undefined;
}

export function listChannels(query: { peer?: string | undefined; cursor?: string | undefined }): Request {
  return { method: 'GET', path: '/v1/channels', query };
}

export function readChannels(answer: unknown): ChannelPage {
  const raw = object<Schemas['ChannelList']>(answer);
  return {
    channels: list(raw.channels).map(channelView),
    next: raw.next_cursor === null ? undefined : text(raw.next_cursor),
  };
}

export function fetchMessages(channelId: string, { after, limit, wait }: FetchOptions): Request {
  return {
    method: 'GET', path: `${channelPath(channelId)}/messages`,
    query: { after, limit, wait: wait ? `${Math.ceil(wait)}ms` : undefined }, wait: wait ?? 0,
  };
}

export function readPage(channelId: string, answer: unknown): Page {
  const raw = object<Schemas['Page']>(answer);
  const page = {
    messages: list(raw.messages).map(message), head: count(raw.head), acked: count(raw.acked), floor: count(raw.floor),
    gap: raw.gap === null ? undefined : gap(channelId, raw.gap), more: flag(raw.more),
  };
  const { messages, more } = page;
  const isInPlace = messages.every(({ channelId: id, seq }, i) => id === channelId && seq > (messages[i - 1]?.seq ?? 0));
  if (!isInPlace) throw unreadable('messages of the channel are expected, in their order');
  if (more && messages.length === 0) throw unreadable('there is more, but nothing comes'); // which would be asked for ever
  return page;
}

export const keyPackageStatus: Request = { method: 'GET', path: '/v1/keypackages' };

/** What the node holds of one's key packages of a cipher suite. */
export interface KeyPackageStock {
  readonly suite: number;
  readonly oneTime: number;
  readonly soonestExpiry: Date | undefined;
  readonly lastResort: boolean;
  readonly lastResortUses: number;
}

export function readStocks(answer: unknown): KeyPackageStock[] {
  return list(object<Schemas['KeyPackageStatus']>(answer).suites).map((stock) => {
    const raw = object<Schemas['KeyPackageStock']>(stock);
    return {
      suite: count(raw.suite), oneTime: count(raw.one_time), lastResort: flag(raw.last_resort),
      soonestExpiry: raw.soonest_expiry === null ? undefined : time(raw.soonest_expiry),
      lastResortUses: count(raw.last_resort_uses),
    };
  });
}

/** A key package that was claimed. */
export interface KeyPackage {
  /** As its owner uploaded it. */
  readonly keyPackage: Uint8Array<ArrayBuffer>;
  readonly fingerprint: string;
  readonly suite: number;
  /** Whether others get the same one as well. */
  readonly lastResort: boolean;
}

export function readKeyPackage(answer: unknown): KeyPackage {
  const raw = object<Schemas['KeyPackage']>(answer);
  return {
    keyPackage: bytes(raw.key_package), fingerprint: text(raw.fingerprint),
    suite: count(raw.suite), lastResort: flag(raw.last_resort),
  };
}

/** What the node is, and what it takes. */
export interface Info {
  readonly capabilities: string[];
  readonly audience: string;
  readonly durability: string;
  readonly serverTime: Date;
  readonly maxPayload: number;
  readonly maxFetch: number;
  readonly maxFetchBytes: number;
  readonly maxWaitMs: number;
}

export function readInfo(answer: unknown): Info {
  const raw = object<Schemas['Info']>(answer);
  const limits = object<Schemas['Limits']>(raw.limits);
  return {
    capabilities: list(raw.capabilities).map(text), audience: text(raw.audience), durability: text(raw.durability),
    serverTime: time(raw.server_time), maxPayload: count(limits.max_payload), maxFetch: count(limits.max_fetch),
    maxFetchBytes: count(limits.max_fetch_bytes), maxWaitMs: count(limits.max_wait_ms),
  };
}

export function channelPath(channelId: string): string {
  return `/v1/channels/${encodeURIComponent(channelId)}`;
}
