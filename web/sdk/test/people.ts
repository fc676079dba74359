import { Client, Identity, MemoryIdentityStore } from '@quicproquo/client';
import type { Algorithm, Channel, ClientOptions, Gap, Message, ServerEvent, State } from '@quicproquo/client';
import { onTestFinished } from 'vitest';
import WebSocket from 'ws';
import type { Node } from './node.js';

export type Options = Partial<ClientOptions> & { readonly algorithm?: Algorithm };

/** A client of a new identity, closed with the present test. WebSockets are the "ws" package's. */
export async function person(node: Node, { algorithm, ...options }: Options = {}): Promise<Client> {
  const identity = options.identity ?? await Identity.generate({ store: new MemoryIdentityStore(), algorithm });
  const client = new Client({ url: node.url, identity, WebSocket, ...options });
  onTestFinished(() => client.close());
  return client;
}

export interface Pair {
  readonly alice: Client;
  readonly bob: Client;
  readonly toBob: Channel;
  readonly toAlice: Channel;
}

/** Two people, and their channel as each of them sees it. */
export async function pair(node: Node, ofBob: Options = {}, ofAlice: Options = {}): Promise<Pair> {
  const [alice, bob] = [await person(node, ofAlice), await person(node, ofBob)];
  const toBob = await alice.createChannel(bob.identity.address);
  return { alice, bob, toBob, toAlice: await bob.createChannel(alice.identity.address) };
}

export function utf8(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

/** What an event says, in short. */
export function told(event: ServerEvent): string {
  switch (event.type) {
    case 'message': return `${event.seq} ${new TextDecoder().decode(event.payload)}`;
    case 'gap': return `gap ${event.from}-${event.to} ${event.reason}`;
    default: return event.type;
  }
}

/** The first events of a loop, which is then left. */
export async function take<T>(events: AsyncIterable<T>, count: number): Promise<T[]> {
  const taken: T[] = [];
  for await (const event of events) {
    taken.push(event);
    if (taken.length === count) break;
  }
  return taken;
}

/** As take, and their words. */
export async function words(events: AsyncIterable<Message | Gap>, count: number): Promise<string[]> {
  return (await take(events, count)).map(told);
}

/** Resolves when the client's state is as wanted. */
export function state<S extends State['status']>(client: Client, status: S): Promise<State & { status: S }> {
  return new Promise((resolve) => {
    const stop = client.onState((now) => {
      if (now.status !== status) return;
      queueMicrotask(() => stop()); // the first call comes before there is anything to stop
      resolve(now as State & { status: S });
    });
  });
}
