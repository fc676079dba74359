import { QuicproquoError } from '../../src/index.js';
import type { Gap, Message, Page, ServerEvent } from '../../src/index.js';
import type { MessengerClient } from '../../src/mls/index.js';

type Bytes = Uint8Array<ArrayBuffer>;

interface Queue { messages: Message[]; acked: number; floor: number }

interface ChannelModel {
  readonly id: string;
  readonly members: readonly [string, string];
  head: number;
  readonly queues: Map<string, Queue>;
  /** By sender and message id. */
  readonly sent: Map<string, { readonly seq: number; readonly receivedAt: Date; readonly text: string }>;
}

interface Stock { oneTime: Bytes[]; lastResort: Bytes | undefined; lastResortUses: number; readonly claims: Map<string, Bytes> }

/** What the specification says of channels and key packages, in memory: for tests that start nodes by the hundred. */
export class ModelNode {
  readonly #channels = new Map<string, ChannelModel>();
  readonly #stocks = new Map<string, Stock>();
  readonly #streams = new Map<string, Set<Stream>>();

  client(address: string): MessengerClient {
    return {
      createChannel: async (peer) => this.#view(this.#create(address, peer), address),
      channel: async (id) => this.#view(this.#channel(id, address), address),
      send: async (id, payload, options) => this.#send(this.#channel(id, address), address, payload, options),
      fetch: async (id, { after }) => this.#page(this.#channel(id, address), address, after),
      ack: async (id, through) => this.#ack(this.#channel(id, address), address, through),
      uploadKeyPackages: async (packages, { lastResort }) => {
        const stock = this.stock(address);
        if (lastResort) Object.assign(stock, { lastResort: packages[0], lastResortUses: 0 });
        else stock.oneTime.push(...packages);
      },
      claimKeyPackage: async (peer, { claimId }) => this.#claim(peer, address + claimId.join()),
      keyPackageStatus: async () => {
        const { oneTime, lastResort, lastResortUses } = this.stock(address);
        return [{ suite: 1, oneTime: oneTime.length, lastResort: lastResort !== undefined, lastResortUses }];
      },
      events: ({ signal }) => this.#events(address, signal),
    };
  }

  stock(address: string): Stock {
    const stock = this.#stocks.get(address) ?? { oneTime: [], lastResort: undefined, lastResortUses: 0, claims: new Map() };
    this.#stocks.set(address, stock);
    return stock;
  }

  /** Loses all that waits for a member, as expiry does. */
  expire(id: string, recipient: string): void {
    const queue = this.#queue(this.#get(id), recipient);
    queue.floor = queue.messages.at(-1)?.seq ?? queue.floor;
    queue.messages = [];
  }

  /** What lies, or lay, in a channel for a member and is not acknowledged. */
  waiting(id: string, recipient: string): Bytes[] {
    return this.#queue(this.#get(id), recipient).messages.map(({ payload }) => payload);
  }

  /** Stores a payload as a hostile node could: without asking anyone. */
  inject(id: string, recipient: string, payload: Bytes): void {
    const channel = this.#get(id);
    const sender = channel.members.find((member) => member !== recipient) ?? '';
    this.#send(channel, sender, payload, { messageId: `injected ${channel.head}` });
  }

  #create(own: string, peer: string): ChannelModel {
    const id = [own, peer].sort().join('+');
    const channel = this.#channels.get(id) ?? { id, members: [own, peer], head: 0, queues: new Map(), sent: new Map() };
    this.#channels.set(id, channel);
    return channel;
  }

  #get(id: string): ChannelModel {
    const channel = this.#channels.get(id);
    if (!channel) throw new QuicproquoError('channel_not_found', 'no such channel');
    return channel;
  }

  #channel(id: string, own: string): ChannelModel {
    const channel = this.#get(id);
    if (!channel.members.includes(own)) throw new QuicproquoError('channel_not_found', 'no such channel');
    return channel;
  }

  #queue(channel: ChannelModel, recipient: string): Queue {
    const queue = channel.queues.get(recipient) ?? { messages: [], acked: 0, floor: 0 };
    channel.queues.set(recipient, queue);
    return queue;
  }

  #view(channel: ChannelModel, own: string) {
    return { id: channel.id, peer: peerOf(channel, own), head: channel.head, acked: this.#queue(channel, own).acked };
  }

  #send(channel: ChannelModel, sender: string, payload: Bytes, options: { messageId: string; ifHead?: number | undefined }) {
    const key = `${sender} ${options.messageId}`;
    const before = channel.sent.get(key);
    if (before) {
      if (before.text !== payload.join()) throw new QuicproquoError('message_id_reused', 'other bytes');
      return { seq: before.seq, receivedAt: before.receivedAt, duplicate: true };
    }
    const { head } = channel;
    if (options.ifHead !== undefined && options.ifHead !== head) throw new QuicproquoError('precondition_failed', 'head', { head });
    channel.head = head + 1;
    const receipt = { seq: channel.head, receivedAt: new Date(), duplicate: false };
    channel.sent.set(key, { ...receipt, text: payload.join() });
    const recipient = peerOf(channel, sender);
    const message = { type: 'message' as const, channelId: channel.id, payload: payload.slice(), ...receipt };
    this.#queue(channel, recipient).messages.push(message);
    for (const stream of this.#streams.get(recipient) ?? []) stream.push(message);
    return receipt;
  }

  #page(channel: ChannelModel, own: string, after: number): Page {
    const { messages, acked, floor } = this.#queue(channel, own);
    if (after > channel.head) throw new QuicproquoError('invalid_argument', 'after is above head', { head: channel.head });
    const wanted = messages.filter(({ seq }) => seq > after);
    const gap = gapOf(channel.id, after, acked, floor);
    return { messages: wanted.slice(0, 8), head: channel.head, acked, floor, gap, more: wanted.length > 8 };
  }

  #ack(channel: ChannelModel, own: string, through: number): void {
    if (through > channel.head) throw new QuicproquoError('invalid_argument', 'above head', { head: channel.head });
    const queue = this.#queue(channel, own);
    queue.acked = Math.max(queue.acked, through);
    queue.messages = queue.messages.filter(({ seq }) => seq > through);
  }

  #claim(owner: string, claim: string) {
    const stock = this.stock(owner);
    const found = stock.claims.get(claim) ?? stock.oneTime.shift() ?? stock.lastResort;
    if (!found) throw new QuicproquoError('key_package_not_found', 'none');
    if (found === stock.lastResort) stock.lastResortUses++;
    stock.claims.set(claim, found);
    if (stock.oneTime.length === 24) {
      for (const stream of this.#streams.get(owner) ?? []) stream.push({ type: 'key_packages_low', suite: 1, remaining: 24 });
    }
    return { keyPackage: found };
  }

  async *#events(own: string, signal: AbortSignal): AsyncGenerator<ServerEvent, void, undefined> {
    const stream = new Stream();
    for (const channel of this.#channels.values()) {
      if (!channel.members.includes(own)) continue;
      const { messages, acked, floor } = this.#queue(channel, own);
      const gap = gapOf(channel.id, acked, acked, floor);
      if (gap) stream.push(gap);
      for (const message of messages) stream.push(message);
    }
    stream.push({ type: 'caught_up' });
    const streams = this.#streams.get(own) ?? new Set();
    this.#streams.set(own, streams.add(stream));
    const end = (): void => stream.wake();
    signal.addEventListener('abort', end);
    try {
      for (;;) {
        while (!signal.aborted && stream.events.length > 0) yield stream.events.shift() as ServerEvent;
        if (signal.aborted) return;
        await new Promise<void>((resolve) => { stream.wake = resolve; });
      }
    } finally {
      streams.delete(stream);
      signal.removeEventListener('abort', end);
    }
  }
}

/** What a member's stream has still to deliver. */
class Stream {
  readonly events: ServerEvent[] = [];
  wake = (): void => {};

  push(event: ServerEvent): void {
    this.events.push(event);
    this.wake();
  }
}

function peerOf(channel: ChannelModel, own: string): string {
  return channel.members[0] === own ? channel.members[1] : channel.members[0];
}

function gapOf(channelId: string, after: number, acked: number, floor: number): Gap | undefined {
  const from = Math.max(after, acked);
  if (from < floor) return { type: 'gap', channelId, from: from + 1, to: floor, reason: 'expired' };
  return after < acked ? { type: 'gap', channelId, from: after + 1, to: acked, reason: 'acked' } : undefined;
}
