import { fullJitter } from './backoff.js';
import { fetchMessages, listChannels, readChannels, readPage } from './calls.js';
import type { AckMode, FetchOptions, Page } from './channel.js';
import { sleep } from './clock.js';
import type { Clock } from './clock.js';
import { QuicproquoError } from './errors.js';
import type { Code } from './errors.js';
import type { Gap, Message, ServerEvent } from './events.js';
import type { Feed } from './feed.js';
import { leavable } from './leaving.js';
import type { Rest } from './rest.js';
import type { Seat } from './seat.js';

const stuckWait = 25_000; // milliseconds
const backoff = { first: 500, longest: 30_000 };
const longestAsked = 600_000; // milliseconds that a server is listened to
const passing: readonly Code[] = ['unavailable', 'rate_limited'];

export interface FollowOptions {
  readonly after?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly ack?: AckMode | undefined;
}

type OnLeave = (leave: () => void) => void;

/** The loops over a client's stream. */
export class Follower {
  readonly #feed: Feed;
  readonly #rest: Rest;
  readonly #clock: Clock;

  constructor(feed: Feed, rest: Rest, clock: Clock) {
    this.#feed = feed;
    this.#rest = rest;
    this.#clock = clock;
  }

  events(options: FollowOptions): AsyncIterable<ServerEvent> {
    return leavable((onLeave) => this.#events(options, onLeave));
  }

  messages(channelId: string, options: FollowOptions): AsyncIterable<Message | Gap> {
    return leavable((onLeave) => this.#messages(channelId, options, onLeave));
  }

  async *#events(options: FollowOptions, onLeave: OnLeave): AsyncGenerator<ServerEvent, void, undefined> {
    const late = this.#feed.underWay;
    yield* this.#seated(undefined, options, onLeave, (seat) => late ? this.#everything(seat) : nothing());
  }

  /** A channel's stream begins with a request, which tells whether it is the caller's, and what is missing of it. */
  async *#messages(
    channelId: string, options: FollowOptions, onLeave: OnLeave,
  ): AsyncGenerator<Message | Gap, void, undefined> {
    const { after } = options;
    const late = this.#feed.underWay;
    const events = this.#seated(channelId, options, onLeave, (seat) => this.#queue(seat, channelId, after, late));
    for await (const event of events) {
      if (event.type === 'message' || event.type === 'gap') yield event;
    }
  }

  /** What waits already, then what comes. An event is finished when the loop's body asks for the next. */
  async *#seated(
    channelId: string | undefined, { after, signal, ack = 'auto' }: FollowOptions, onLeave: OnLeave,
    backlog: (seat: Seat) => AsyncIterable<ServerEvent>,
  ): AsyncGenerator<ServerEvent, void, undefined> {
    if (signal?.aborted) return;
    const seat = this.#feed.join({ channelId, after, ack });
    const leave = (): void => this.#feed.leave(seat);
    signal?.addEventListener('abort', leave);
    onLeave(leave);
    try {
      for await (const event of backlog(seat)) {
        if (seat.ended) return;
        if (!seat.meet(event)) continue;
        yield event;
        seat.finish(event);
      }
      for (let event = await seat.take(); event !== undefined; event = await seat.take()) {
        if (event === 'stuck') {
          await this.#unstick(seat);
          continue;
        }
        yield event;
        seat.finish(event);
      }
    } finally {
      signal?.removeEventListener('abort', leave);
      leave();
    }
  }

  /** What the channel's queue holds. A loop that begins with the connection gets that by the stream, but for a gap. */
  async *#queue(seat: Seat, channelId: string, after: number | undefined, late: boolean): AsyncGenerator<ServerEvent> {
    let options: FetchOptions = late ? { after } : { after, limit: 1 };
    for (;;) {
      const page = await this.#page(seat, channelId, options);
      if (page?.gap) yield page.gap;
      if (!page || !late) return;
      yield* page.messages;
      if (!page.more) return;
      options = { after: seat.seen(channelId) };
    }
  }

  /** What all queues hold already. */
  async *#everything(seat: Seat): AsyncGenerator<ServerEvent> {
    let cursor: string | undefined;
    do {
      const request = listChannels({ cursor });
      const page = await this.#patiently(seat, async () => readChannels(await this.#rest.call(request, seat.signal)));
      for (const { id, unread } of page?.channels ?? []) {
        if (unread > 0) yield* this.#queue(seat, id, undefined, true);
      }
      cursor = page?.next;
    } while (cursor !== undefined);
    yield { type: 'caught_up' };
  }

  /** The window is full of what nobody acknowledges: a request reaches this channel's messages past it. */
  async #unstick(seat: Seat): Promise<void> {
    const channelId = seat.channelId as string;
    const page = await this.#page(seat, channelId, { after: seat.seen(channelId), limit: 32, wait: stuckWait });
    for (const event of page?.gap ? [page.gap, ...page.messages] : page?.messages ?? []) seat.offer(event);
  }

  #page(seat: Seat, channelId: string, options: FetchOptions): Promise<Page | undefined> {
    const request = fetchMessages(channelId, options);
    return this.#patiently(seat, async () => readPage(channelId, await this.#rest.call(request, seat.signal)));
  }

  /** Tries until the node is there, as the stream does; undefined: the loop ended meanwhile. */
  async #patiently<T>(seat: Seat, ask: () => Promise<T>): Promise<T | undefined> {
    for (let failures = 1; ; failures++) {
      try {
        return await ask();
      } catch (failure) {
        if (seat.ended) return undefined;
        if (!(failure instanceof QuicproquoError) || !passing.includes(failure.code)) throw failure;
        // What was asked has waited itself, but not where the node asked for more than a call's patience.
        const asked = Math.min(failure.retryAfterMs ?? 0, longestAsked);
        await sleep(this.#clock, asked + fullJitter(backoff, failures, this.#clock), seat.signal);
      }
    }
  }
}

async function* nothing(): AsyncGenerator<never> {
  // Nothing was missed.
}
