import type { AckMode, ChannelView, FetchOptions, MessagesOptions, Page, Receipt, SendOptions } from './channel.js';
import { Channel } from './channel.js';
import type { Clock } from './clock.js';
import { QuicproquoError } from './errors.js';
import type { Gap, Message, ServerEvent, State } from './events.js';
import type { Identity } from './identity.js';

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
  /** A constructor of the platform's shape ("ws" has it); null: do not use WebSockets. Default: the platform's, if any. */
  readonly WebSocket?: WebSocketConstructor | null | undefined;
  readonly clock?: Clock | undefined;
}

/** What the client uses of the platform's WebSocket. */
export interface WebSocketLike {
  binaryType: string;
  readonly protocol: string;
  readonly bufferedAmount: number;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: ((event: { code: number; reason: string }) => void) | null;
  onerror: ((event: never) => void) | null;
  send(data: string): void;
  close(code?: number, reason?: string): void;
}

export type WebSocketConstructor = new (url: string, protocols: string[]) => WebSocketLike;

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

/** A key package that was claimed. */
export interface KeyPackage {
  /** As its owner uploaded it. */
  readonly keyPackage: Uint8Array<ArrayBuffer>;
  readonly fingerprint: string;
  readonly suite: number;
  /** Whether others get the same one as well. */
  readonly lastResort: boolean;
}

/** What the node holds of one's key packages of a cipher suite. */
export interface KeyPackageStock {
  readonly suite: number;
  readonly oneTime: number;
  readonly soonestExpiry: Date | undefined;
  readonly lastResort: boolean;
  readonly lastResortUses: number;
}

export interface ClaimOptions {
  /** The cipher suites that are wanted, in any order. Default: any. */
  readonly suites?: readonly number[] | undefined;
  /** 1 to 64 bytes; a retry by the same id gets the same package for 10 minutes. Default: random. */
  readonly claimId?: Uint8Array<ArrayBuffer> | undefined;
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

  constructor(options: ClientOptions) {
    this.identity = options.identity;
  }

  /** What the node is. Needs no token. */
  info(): Promise<Info> {
    return unfinished();
  }

  /** The channel with a peer (an address), which is created if there is none. */
  createChannel(_peer: string): Promise<Channel & { readonly created: boolean }> {
    return unfinished();
  }

  /** One of my channels. Rejects with `channel_not_found`. */
  channel(_id: string): Promise<Channel> {
    return unfinished();
  }

  /** A Channel from what was remembered of it, asking nobody. */
  channelOf(view: Pick<ChannelView, 'id' | 'peer'> & Partial<ChannelView>): Channel {
    return new Channel(this, { createdAt: new Date(0), head: 0, acked: 0, unread: 0, ...view });
  }

  /** My channels; with `peer`, the one with that address, if it is there. */
  channels(_options: { readonly peer?: string; readonly signal?: AbortSignal } = {}): AsyncIterable<Channel> {
    throw new QuicproquoError('internal', 'not written yet');
  }

  send(_channelId: string, _payload: Uint8Array<ArrayBuffer>, _options: SendOptions = {}): Promise<Receipt> {
    return unfinished();
  }

  fetch(_channelId: string, _options: FetchOptions = {}): Promise<Page> {
    return unfinished();
  }

  /** Resolves once it is durable. */
  ack(_channelId: string, _through: number): Promise<void> {
    return unfinished();
  }

  messages(_channelId: string, _options: MessagesOptions = {}): AsyncIterable<Message | Gap> {
    throw new QuicproquoError('internal', 'not written yet');
  }

  /** Uploads MLS KeyPackages, at most 100, all or none; returns their fingerprints. */
  uploadKeyPackages(_packages: readonly Uint8Array<ArrayBuffer>[], _options: { readonly lastResort?: boolean } = {}): Promise<string[]> {
    return unfinished();
  }

  /** Claims a key package of a peer (an address). */
  claimKeyPackage(_peer: string, _options: ClaimOptions = {}): Promise<KeyPackage> {
    return unfinished();
  }

  keyPackageStatus(): Promise<KeyPackageStock[]> {
    return unfinished();
  }

  /** Everything that happens, over the one stream that all loops of this client share. */
  events(_options: EventsOptions = {}): AsyncIterable<ServerEvent> {
    throw new QuicproquoError('internal', 'not written yet');
  }

  /** How the stream is. */
  get state(): State {
    return { status: 'idle' };
  }

  /** Calls back with the present state, and with every later one, until the returned function is called. */
  onState(_listener: (state: State) => void): () => void {
    throw new QuicproquoError('internal', 'not written yet');
  }

  /** Ends the token everywhere, and closes. */
  logout(): Promise<void> {
    return unfinished();
  }

  /** Ends all loops, without an error. The token expires by itself. */
  close(): void {}
}

function unfinished(): Promise<never> {
  return Promise.reject(new QuicproquoError('internal', 'not written yet'));
}
