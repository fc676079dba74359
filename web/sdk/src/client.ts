import { encodeBase64url } from './base64url.js';
import {
  channelPath, fetchMessages, keyPackageStatus, listChannels, readChannels, readInfo, readKeyPackage, readPage,
  readStocks,
} from './calls.js';
import type { Info, KeyPackage, KeyPackageStock } from './calls.js';
import { Channel } from './channel.js';
import type { AckMode, ChannelView, FetchOptions, MessagesOptions, Page, Receipt, SendOptions } from './channel.js';
import { Scope, sleep, systemClock } from './clock.js';
import type { Clock } from './clock.js';
import { Prover } from './dpop.js';
import { QuicproquoError } from './errors.js';
import type { Gap, Message, ServerEvent, State } from './events.js';
import { Feed } from './feed.js';
import { channelView, count, flag, list, object, text, time, unreadable } from './fields.js';
import type { Schemas } from './fields.js';
import { Follower } from './follow.js';
import { Http } from './http.js';
import type { Identity } from './identity.js';
import { PollTransport } from './poll.js';
import { Rest } from './rest.js';
import { SocketTransport } from './socket.js';
import type { WebSocketConstructor } from './socket.js';
import { EventStreamTransport } from './sse.js';
import { BroughtTokens, LoginTokens } from './tokens.js';
import type { Tokens } from './tokens.js';
import type { Transport } from './transport.js';

const messageIds = /^[!-~]{1,64}$/;
const patience = 2_000; // milliseconds that close waits for acknowledgements

/** What a Client is made of. */
export interface ClientOptions {
  /** Where the node is: "https://node.example", a path included if it lies below one. */
  readonly url: string;
  readonly identity: Identity;
  /** What logins are signed for, whatever the node says. Default: the origin of `url`. */
  readonly audience?: string | undefined;
  /** Brings a token of the identity, instead of logging in by its key. */
  readonly token?: (() => Promise<string>) | undefined;
  /** Prove with every request that its sender holds the identity's key (RFC 9449). Events then come by SSE. */
  readonly dpop?: boolean | undefined;
  readonly fetch?: typeof globalThis.fetch | undefined;
  /** A constructor of the platform's shape ("ws" has it); null: use no WebSockets. Default: the platform's, if any. */
  readonly WebSocket?: WebSocketConstructor | null | undefined;
  readonly clock?: Clock | undefined;
}

export interface ChannelsOptions {
  /** Only the channel with this address. */
  readonly peer?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface UploadOptions {
  /** Whether they are kept, one for each suite, and handed out when the one-time ones have run out. */
  readonly lastResort?: boolean | undefined;
}

export interface ClaimOptions {
  /** The cipher suites that are wanted, in any order. Default: any. */
  readonly suites?: readonly number[] | undefined;
  /** 1 to 64 bytes; a retry by the same id gets the same package for 10 minutes. Default: random. */
  readonly claimId?: Uint8Array | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface EventsOptions {
  /** Ends the loop, without an error. */
  readonly signal?: AbortSignal | undefined;
  /** Default: auto. */
  readonly ack?: AckMode | undefined;
}

/** An identity at a node. */
export class Client {
  readonly identity: Identity;
  readonly #clock: Clock;
  readonly #tokens: Tokens;
  readonly #rest: Rest;
  readonly #feed: Feed;
  readonly #follower: Follower;
  /** Ends with the client. */
  readonly #life = new AbortController();

  constructor(options: ClientOptions) {
    const base = baseOf(options.url);
    const { identity, clock = systemClock } = options;
    const { signal } = this.#life;
    this.identity = identity;
    this.#clock = clock;
    const http = new Http({
      base, clock, fetch: options.fetch ?? ((...request) => globalThis.fetch(...request)),
      prover: options.dpop ? new Prover(identity) : undefined,
    });
    this.#tokens = options.token
      ? new BroughtTokens(clock, options.token)
      : new LoginTokens(clock, http, identity, options.audience ?? base.origin, signal);
    this.#rest = new Rest(http, this.#tokens, clock, signal);
    this.#feed = new Feed({
      transports: transportsOf(options, http, this.#rest, clock),
      tokens: this.#tokens, rest: this.#rest, address: identity.address, clock, life: signal,
    });
    this.#follower = new Follower(this.#feed, this.#rest, clock);
  }

  /** What the node is. Needs no token. */
  async info(): Promise<Info> {
    return readInfo(await this.#rest.open({ method: 'GET', path: '/v1/info' }));
  }

  /** The channel with a peer (an address), which is created if there is none. */
  async createChannel(peer: string): Promise<Channel & { readonly created: boolean }> {
    const json: Schemas['ChannelRequest'] = { peer };
    const answer = await this.#rest.call({ method: 'POST', path: '/v1/channels', json });
    const created = flag(object<Schemas['ChannelCreated']>(answer).created);
    const view = channelView(answer);
    if (view.peer !== peer) throw unreadable('the channel is with another peer');
    return Object.assign(new Channel(this, view), { created });
  }

  /** One of my channels. Rejects with `channel_not_found`. */
  async channel(id: string): Promise<Channel> {
    return new Channel(this, channelView(await this.#rest.call({ method: 'GET', path: channelPath(id) })));
  }

  /** A Channel from what was remembered of it, asking nobody. */
  channelOf(view: Pick<ChannelView, 'id' | 'peer'> & Partial<ChannelView>): Channel {
    return new Channel(this, { createdAt: new Date(0), head: 0, acked: 0, unread: 0, ...view });
  }

  /** My channels; with `peer`, the one with that address, if it is there. */
  async *channels(options: ChannelsOptions = {}): AsyncGenerator<Channel, void, undefined> {
    let cursor: string | undefined;
    do {
      const page = readChannels(await this.#rest.call(listChannels({ peer: options.peer, cursor }), options.signal));
      for (const view of page.channels) yield new Channel(this, view);
      cursor = page.next;
    } while (cursor !== undefined);
  }

  /** Sends 1 byte to 5 MiB; resolves once they are stored durably. */
  async send(channelId: string, payload: Uint8Array, options: SendOptions = {}): Promise<Receipt> {
    const messageId = options.messageId ?? crypto.randomUUID();
    if (!messageIds.test(messageId)) throw new QuicproquoError('invalid_argument', 'a message id has 1 to 64 visible ASCII characters');
    const headers: Record<string, string> = { 'Idempotency-Key': `"${messageId}"` };
    if (options.ifHead !== undefined) headers['If-Match'] = `"${options.ifHead}"`;
    const path = `${channelPath(channelId)}/messages`;
    const bytes = payload as Uint8Array<ArrayBuffer>; // memory that is shared is refused by the platform's fetch
    const answer = await this.#rest.call({ method: 'POST', path, headers, bytes }, options.signal);
    const raw = object<Schemas['Receipt']>(answer);
    return { seq: count(raw.seq, 1), receivedAt: time(raw.received_at), duplicate: flag(raw.duplicate), messageId };
  }

  /** Reads a channel's messages without acknowledging them. */
  async fetch(channelId: string, options: FetchOptions = {}): Promise<Page> {
    return readPage(channelId, await this.#rest.call(fetchMessages(channelId, options), options.signal));
  }

  /**
   * Deletes the messages of a channel up to `through`, a seq of a message or gap that was received. Resolves
   * once that is durable.
   */
  ack(channelId: string, through: number): Promise<void> {
    return this.#feed.acks.request(channelId, through);
  }

  /** A channel's messages, those that wait and those to come, in order, each once. */
  messages(channelId: string, options: MessagesOptions = {}): AsyncIterable<Message | Gap> {
    return this.#follower.messages(channelId, options);
  }

  /** Uploads MLS KeyPackages, at most 100, all or none; returns their fingerprints. */
  async uploadKeyPackages(packages: readonly Uint8Array[], options: UploadOptions = {}): Promise<string[]> {
    const json: Schemas['UploadRequest'] = {
      key_packages: packages.map(encodeBase64url), last_resort: options.lastResort ?? false,
    };
    const answer = await this.#rest.call({ method: 'POST', path: '/v1/keypackages', json });
    return list(object<Schemas['Fingerprints']>(answer).fingerprints).map(text);
  }

  /** Claims a key package of a peer (an address). */
  async claimKeyPackage(peer: string, options: ClaimOptions = {}): Promise<KeyPackage> {
    const claimId = options.claimId ?? crypto.getRandomValues(new Uint8Array(16));
    const json: Schemas['ClaimRequest'] = { claim_id: encodeBase64url(claimId), suites: [...options.suites ?? []] };
    const path = `/v1/identities/${encodeURIComponent(peer)}/keypackages/claim`;
    return readKeyPackage(await this.#rest.call({ method: 'POST', path, json }, options.signal));
  }

  async keyPackageStatus(): Promise<KeyPackageStock[]> {
    return readStocks(await this.#rest.call(keyPackageStatus));
  }

  /** Everything that happens, over the one stream that all loops of this client share. */
  events(options: EventsOptions = {}): AsyncIterable<ServerEvent> {
    return this.#follower.events(options);
  }

  /** How the stream is. */
  get state(): State {
    return this.#feed.state;
  }

  /** Calls back with the present state, and with every later one, until the returned function is called. */
  onState(listener: (state: State) => void): () => void {
    return this.#feed.onState(listener);
  }

  /** Closes, and ends the token everywhere. */
  async logout(): Promise<void> {
    await this.#settle(); // first, for a stream that its token's end breaks would bring a new one
    try {
      await this.#rest.once({ method: 'DELETE', path: '/v1/auth/token' });
    } finally {
      this.#life.abort();
    }
  }

  /** Ends all loops, without an error, once what they acknowledged is settled. The token expires by itself. */
  async close(): Promise<void> {
    await this.#settle();
    this.#life.abort();
  }

  async #settle(): Promise<void> {
    this.#feed.close();
    const scope = new Scope();
    await Promise.race([this.#feed.acks.settle(), sleep(this.#clock, patience, scope.signal)]);
    scope.abort();
  }
}

/** Where a node is. Any other scheme would only ever look like a node that is away. */
function baseOf(url: string): URL {
  const base = URL.canParse(url) ? new URL(url) : undefined;
  if (base?.protocol !== 'https:' && base?.protocol !== 'http:') {
    throw new QuicproquoError('invalid_argument', `the url of a node begins with https:// or http://, not as ${url}`);
  }
  base.search = base.hash = '';
  return base;
}

/** The ways of a stream, the best first. A proof of possession cannot go with a WebSocket, which takes no headers. */
function transportsOf(options: ClientOptions, http: Http, rest: Rest, clock: Clock): Transport[] {
  const platform: WebSocketConstructor | undefined = globalThis.WebSocket;
  const constructor = options.WebSocket === undefined ? platform : options.WebSocket ?? undefined;
  const others = [new EventStreamTransport(http, clock), new PollTransport(rest, clock, options.identity.address)];
  if (!constructor || options.dpop) return others;
  return [new SocketTransport(constructor, http.url('/v1/stream'), clock), ...others];
}
