import type { Page } from '../channel.js';
import type { ServerEvent } from '../events.js';

/** What a messenger needs of an Identity: Ed25519. */
export interface MessengerIdentity {
  readonly publicKey: Uint8Array<ArrayBuffer>;
  readonly address: string;
  sign(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>>;
  /** Whether its key is still kept: of a profile that was removed it is not. */
  isKept?(): Promise<boolean>;
}

/** What a messenger needs of a Client: Client satisfies it, and so does the tests' model of a node. */
export interface MessengerClient {
  createChannel(peer: string): Promise<{ readonly id: string; readonly peer: string; readonly acked: number }>;
  channel(id: string): Promise<{ readonly id: string; readonly peer: string; readonly acked: number }>;
  send(
    channelId: string,
    payload: Uint8Array<ArrayBuffer>,
    options: { readonly messageId: string; readonly ifHead?: number | undefined; readonly signal?: AbortSignal | undefined },
  ): Promise<{ readonly seq: number; readonly receivedAt: Date; readonly duplicate: boolean }>;
  fetch(channelId: string, options: { readonly after: number; readonly signal?: AbortSignal | undefined }): Promise<Page>;
  ack(channelId: string, through: number): Promise<void>;
  uploadKeyPackages(
    packages: readonly Uint8Array<ArrayBuffer>[],
    options: { readonly lastResort?: boolean },
  ): Promise<unknown>;
  claimKeyPackage(
    peer: string,
    options: { readonly suites: readonly number[]; readonly claimId: Uint8Array<ArrayBuffer> },
  ): Promise<{ readonly keyPackage: Uint8Array<ArrayBuffer> }>;
  keyPackageStatus(): Promise<readonly {
    readonly suite: number;
    readonly oneTime: number;
    readonly lastResort: boolean;
    readonly lastResortUses: number;
  }[]>;
  events(options: { readonly signal: AbortSignal; readonly ack: 'explicit' }): AsyncIterable<ServerEvent>;
}
