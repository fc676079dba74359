import { encodeBase64url, utf8 } from './base64url.js';
import type { Clock } from './clock.js';
import { broken, endingOf, endingOfClose } from './ending.js';
import type { Ending } from './ending.js';
import { asError, QuicproquoError } from './errors.js';
import { decodeFrame } from './frames.js';
import type { ClientFrame, Frame } from './frames.js';
import { openTime, Watchdog } from './transport.js';
import type { Line, Transport } from './transport.js';

/** What the client uses of the platform's WebSocket. */
export interface WebSocketLike {
  readonly protocol: string;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
  send(data: string): void;
  close(code?: number, reason?: string): void;
}

export type WebSocketConstructor = new (url: string, protocols: string[]) => WebSocketLike;

const subprotocol = 'qpq.v1.json';
/** Begins the subprotocol that carries the token: browsers can set no header on an upgrade. */
const tokenPrefix = 'base64url.bearer.authorization.qpq.';

/** Events by a WebSocket. */
export class SocketTransport implements Transport {
  readonly via = 'websocket';
  readonly #WebSocket: WebSocketConstructor;
  readonly #url: string;
  readonly #clock: Clock;

  constructor(constructor: WebSocketConstructor, url: URL, clock: Clock) {
    this.#WebSocket = constructor;
    this.#url = url.href.replace(/^http/, 'ws');
    this.#clock = clock;
  }

  run(line: Line): Promise<Ending> {
    return new Promise((resolve) => {
      let socket: WebSocketLike;
      try {
        socket = new this.#WebSocket(this.#url, [subprotocol, tokenPrefix + encodeBase64url(utf8(line.token))]);
      } catch (failure) {
        return resolve({ then: 'other', error: asError(failure) }); // a policy of the page, perhaps
      }
      new Conversation(socket, line, this.#clock, resolve).begin();
    });
  }
}

/** One WebSocket, from its opening to its end. */
class Conversation {
  readonly #socket: WebSocketLike;
  readonly #line: Line;
  readonly #finished: (ending: Ending) => void;
  readonly #watchdog: Watchdog;
  /** Whether the node said hello. */
  #greeted = false;

  constructor(socket: WebSocketLike, line: Line, clock: Clock, finished: (ending: Ending) => void) {
    this.#socket = socket;
    this.#line = line;
    this.#finished = finished;
    this.#watchdog = new Watchdog(clock, openTime, () => this.#end(this.#silence(), 4408));
  }

  begin(): void {
    const socket = this.#socket;
    socket.onopen = () => {
      if (socket.protocol !== subprotocol) this.#end({ then: 'other', error: foreign() }, 1000);
    };
    socket.onmessage = ({ data }: { data: unknown }) => this.#hear(data);
    socket.onclose = ({ code, reason }: { code: number; reason: string }) => this.#end(this.#closed(code, reason));
    socket.onerror = () => undefined; // a close event follows, and tells as much
    this.#line.signal.addEventListener('abort', this.#abandon);
    if (this.#line.signal.aborted) this.#abandon();
  }

  readonly #abandon = (): void => this.#end(broken(), 1000);

  #hear(data: unknown): void {
    this.#watchdog.heard();
    let frame: Frame | undefined;
    try {
      frame = decodeFrame(data);
    } catch (failure) {
      return this.#end(endingOf(asError(failure)), 4400);
    }
    if (frame?.type === 'ping') return this.#send({ type: 'pong' });
    if (frame?.type === 'hello') {
      this.#greeted = true;
      this.#watchdog.expectPings(frame.pingMs);
      this.#line.attach((answer) => this.#send(answer));
    }
    if (frame) this.#line.receive(frame);
  }

  #send(frame: ClientFrame): void {
    this.#socket.send(JSON.stringify(frame)); // a socket that is closing drops it
  }

  /** A socket that closes without ever opening may be blocked on its way. */
  #closed(code: number, reason: string): Ending {
    const ending = endingOfClose(code, reason);
    return !this.#greeted && code < 1008 ? { then: 'other', error: ending.error } : ending;
  }

  #silence(): Ending {
    return this.#greeted ? broken() : { then: 'other', error: broken().error };
  }

  /** Ends it, and closes with a code if it is not closed yet. The first ending counts. */
  #end(ending: Ending, close?: number): void {
    this.#watchdog.stop();
    this.#line.signal.removeEventListener('abort', this.#abandon);
    const socket = this.#socket;
    socket.onopen = socket.onmessage = socket.onclose = null;
    if (close !== undefined) socket.close(close);
    this.#finished(ending);
  }
}

function foreign(): QuicproquoError {
  return new QuicproquoError('internal', `the server does not speak ${subprotocol}`);
}
