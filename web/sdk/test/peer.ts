import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { Client, Identity, MemoryIdentityStore } from '@quicproquo/client';
import type { ClientOptions } from '@quicproquo/client';
import { onTestFinished } from 'vitest';
import WebSocket, { WebSocketServer } from 'ws';

/** The other end of one WebSocket, which says what a test wants. */
export class Call {
  readonly #socket: WebSocket;
  /** The client's frames. */
  readonly heard: unknown[] = [];
  /** The code that it was closed with. */
  readonly closed: Promise<number>;

  constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on('message', (data: Buffer) => this.heard.push(JSON.parse(data.toString())));
    this.closed = new Promise((resolve) => { socket.on('close', resolve); });
  }

  say(...frames: (object | string)[]): void {
    for (const frame of frames) this.#socket.send(typeof frame === 'string' ? frame : JSON.stringify(frame));
  }

  close(code: number, reason = ''): void {
    this.#socket.close(code, reason);
  }
}

/** A server of WebSockets that a real node would not be: it errs, breaks off, or goes silent when told to. */
export class Peer {
  readonly #server: WebSocketServer;
  readonly #calls: Call[] = [];
  readonly #waiting: ((call: Call) => void)[] = [];

  private constructor(server: WebSocketServer) {
    this.#server = server;
    server.on('connection', (socket) => {
      const call = new Call(socket);
      const next = this.#waiting.shift();
      if (next) next(call);
      else this.#calls.push(call);
    });
  }

  /** One that ends with the present test. It speaks a subprotocol, the node's unless told otherwise. */
  static async start(subprotocol = 'qpq.v1.json'): Promise<Peer> {
    const server = new WebSocketServer({ host: '127.0.0.1', port: 0, handleProtocols: () => subprotocol });
    await once(server, 'listening');
    onTestFinished(() => {
      for (const socket of server.clients) socket.terminate();
      server.close();
    });
    return new Peer(server);
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** The next WebSocket that is opened. */
  async call(): Promise<Call> {
    return this.#calls.shift() ?? new Promise((resolve) => { this.#waiting.push(resolve); });
  }

  /** A client with a token, whose requests are not answered. */
  async client(options: Partial<ClientOptions> = {}): Promise<Client> {
    const identity = await Identity.generate({ store: new MemoryIdentityStore() });
    let tokens = 0;
    const client = new Client({
      url: this.url, identity, WebSocket, token: () => Promise.resolve(`token ${++tokens}`),
      fetch: () => Promise.reject(new TypeError('nobody answers')), ...options,
    });
    onTestFinished(() => client.close());
    return client;
  }
}

export function hello(client: Client): object {
  return {
    type: 'hello', identity: client.identity.address, server_time: '2026-11-23T09:15:00.000Z',
    ping_ms: 25_000, window: { messages: 128, bytes: 1 << 24 },
  };
}

export const channel = '6f1b0c9e-52d5-4c0e-9f0d-0a8a5b3c2d1e';

export function message(seq: number): object {
  return { type: 'message', channel_id: channel, seq, received_at: '2026-11-23T09:16:02.007Z', payload: 'AAE' };
}
