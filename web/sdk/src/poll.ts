import { fetchMessages, keyPackageStatus, listChannels, readChannels, readPage, readStocks } from './calls.js';
import type { ChannelView } from './channel.js';
import { Scope, sleep } from './clock.js';
import type { Clock } from './clock.js';
import { endingOf } from './ending.js';
import type { Ending } from './ending.js';
import { asError } from './errors.js';
import { unreadable } from './fields.js';
import type { Rest } from './rest.js';
import type { Line, Transport } from './transport.js';

const shortest = 1_000; // milliseconds between rounds; twice as long after each that brought nothing
const longest = 5_000; // how late a message of a channel may come that was silent
const stockEvery = 60_000; // milliseconds between looks at the key packages
const lowStock = 25;
const mostChannels = 1 << 16;

/** Events by requests alone: for where no answer passes that does not end. */
export class PollTransport implements Transport {
  readonly via = 'poll';
  readonly #rest: Rest;
  readonly #clock: Clock;
  readonly #address: string;

  constructor(rest: Rest, clock: Clock, address: string) {
    this.#rest = rest;
    this.#clock = clock;
    this.#address = address;
  }

  async run(line: Line): Promise<Ending> {
    try {
      return await new Round(this.#rest, this.#clock, line).repeat(this.#address);
    } catch (failure) {
      return endingOf(asError(failure));
    }
  }
}

/** What was delivered of a channel. */
interface Cursor {
  seen: number;
  acked: number;
  /** The head up to which nothing was left to fetch. */
  done: number;
}

/** Looks at all channels, then waits at the one that was active last, and again. */
class Round {
  readonly #rest: Rest;
  readonly #clock: Clock;
  readonly #line: Line;
  readonly #cursors = new Map<string, Cursor>();
  #active: string | undefined;
  #stockAt = 0;
  #pause = shortest; // milliseconds until the next round

  constructor(rest: Rest, clock: Clock, line: Line) {
    this.#rest = rest;
    this.#clock = clock;
    this.#line = line;
  }

  async repeat(address: string): Promise<never> {
    const { signal } = this.#line;
    let first = true;
    for (;;) {
      const views = await this.#channels();
      signal.throwIfAborted();
      if (first) this.#line.receive({ type: 'hello', identity: address, pingMs: longest });
      for (const view of views) await this.#look(view, first);
      await this.#stock();
      if (first) this.#line.receive({ type: 'caught_up' });
      first = false;
      await this.#wait();
      signal.throwIfAborted();
    }
  }

  async #channels(): Promise<ChannelView[]> {
    const views: ChannelView[] = [];
    let cursor: string | undefined;
    do {
      const page = readChannels(await this.#rest.once(listChannels({ cursor }), this.#line.signal));
      views.push(...page.channels);
      if (views.length > mostChannels) throw unreadable('no identity has so many channels');
      cursor = page.next;
    } while (cursor !== undefined);
    return views;
  }

  async #look(view: ChannelView, first: boolean): Promise<void> {
    let cursor = this.#cursors.get(view.id);
    if (!cursor) {
      cursor = { seen: view.acked, acked: view.acked, done: 0 };
      this.#cursors.set(view.id, cursor);
      const { id, peer, createdAt, head } = view;
      if (!first) this.#line.receive({ type: 'channel', channelId: id, peer, createdAt, head });
    }
    if (view.acked > cursor.acked) {
      cursor.acked = view.acked;
      this.#line.receive({ type: 'acked', channelId: view.id, through: view.acked });
    }
    if (view.unread > 0 && view.head > cursor.done) await this.#fetch(view.id, cursor, 0);
  }

  async #fetch(channelId: string, cursor: Cursor, wait: number): Promise<void> {
    const limit = this.#line.room(channelId);
    if (limit === 0) return;
    const request = fetchMessages(channelId, { after: cursor.seen, limit, wait });
    const page = readPage(channelId, await this.#rest.once(request, this.#line.signal));
    this.#line.signal.throwIfAborted();
    for (const event of page.gap ? [page.gap, ...page.messages] : page.messages) {
      this.#line.receive(event);
      cursor.seen = event.type === 'gap' ? event.to : event.seq;
      this.#active = channelId;
      this.#pause = shortest;
    }
    if (!page.more) cursor.done = page.head;
  }

  async #wait(): Promise<void> {
    const ms = this.#pause;
    this.#pause = Math.min(2 * ms, longest);
    const cursor = this.#cursors.get(this.#active ?? '');
    if (this.#active !== undefined && cursor && this.#line.room(this.#active) > 0) {
      return this.#fetch(this.#active, cursor, ms);
    }
    const scope = new Scope(this.#line.signal);
    await Promise.race([sleep(this.#clock, ms, scope.signal), this.#line.freed()]);
    scope.abort();
  }

  async #stock(): Promise<void> {
    const now = this.#clock.now();
    if (now < this.#stockAt) return;
    this.#stockAt = now + stockEvery;
    for (const { suite, oneTime } of readStocks(await this.#rest.once(keyPackageStatus, this.#line.signal))) {
      if (oneTime < lowStock) this.#line.receive({ type: 'key_packages_low', suite, remaining: oneTime });
    }
  }
}
