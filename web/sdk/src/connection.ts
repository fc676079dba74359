import type { Acks } from './acks.js';
import { Scope, sleep } from './clock.js';
import type { Clock } from './clock.js';
import type { Ending } from './ending.js';
import { QuicproquoError } from './errors.js';
import type { Code } from './errors.js';
import type { ServerEvent, Via } from './events.js';
import type { ClientFrame, Frame } from './frames.js';
import type { Tokens } from './tokens.js';
import type { Line } from './transport.js';
import { Window } from './window.js';

/** Where a connection's events go. */
export interface Audience {
  readonly acks: Acks;
  opened(via: Via): void;
  dispatch(event: ServerEvent): void;
}

/** One connection of the stream, by whatever transport: what it delivered, and its token. */
export class Connection {
  readonly window = new Window();
  readonly #to: Audience;
  readonly #address: string;
  readonly #via: Via;
  readonly #tokens: Tokens;
  readonly #clock: Clock;
  /** The token that it goes on with; replaced by renewals. */
  token = '';
  /** What the node asked to wait before coming back. */
  retryAfterMs: number | undefined;
  /** Why this client ended it. */
  refused: Ending | undefined;
  #scope: Scope | undefined;
  #send: ((frame: ClientFrame) => void) | undefined;
  #openedAt: number | undefined;
  #endedAt: number | undefined;

  constructor(to: Audience, address: string, via: Via, tokens: Tokens, clock: Clock) {
    this.#to = to;
    this.#address = address;
    this.#via = via;
    this.#tokens = tokens;
    this.#clock = clock;
  }

  /** Whether the node said hello, and it is not over. */
  get greeted(): boolean {
    return this.#openedAt !== undefined && this.#endedAt === undefined;
  }

  /** Milliseconds that it was open, at least 1; 0: it never was. */
  age(): number {
    return this.#openedAt === undefined ? 0 : Math.max(1, (this.#endedAt ?? this.#clock.now()) - this.#openedAt);
  }

  /** Begins it: what a transport is given. */
  line(token: string, scope: Scope): Line {
    this.token = token;
    this.#scope = scope;
    return {
      signal: scope.signal, token,
      receive: (frame) => this.#receive(frame),
      attach: (send) => { this.#send = send; },
      room: (channelId) => this.window.room(channelId),
      freed: () => this.window.freed(),
    };
  }

  end(): void {
    this.#endedAt ??= this.#clock.now();
    this.#scope?.abort();
    if (this.#send) this.#to.acks.detach();
    this.#send = undefined;
  }

  #receive(frame: Frame): void {
    if (this.#endedAt !== undefined || this.#scope?.signal.aborted) return; // what comes late comes again
    switch (frame.type) {
      case 'hello': return this.#greet(frame.identity);
      case 'ping': return undefined;
      case 'draining': this.retryAfterMs = frame.retryAfterMs; return undefined;
      case 'error': return this.#to.acks.refuse();
      case 'token_expiring':
        return this.#expires();
      case 'message':
        this.window.deliver(frame.channelId, frame.seq, frame.payload.length);
        if (this.window.overrun) return this.#refuse('again', 'internal', 'the node delivers more than it may');
        break;
      case 'gap': this.window.deliver(frame.channelId, frame.to, undefined); break;
      case 'acked':
        this.window.acked(frame.channelId, frame.through);
        this.#to.acks.confirm(frame.channelId, frame.through);
    }
    this.#to.dispatch(frame);
  }

  /** The node tells whose stream it took it for: another's would be a grave mistake of somebody. */
  #greet(identity: string): void {
    if (identity !== this.#address) {
      return this.#refuse('over', 'permission_denied', 'the token belongs to another identity');
    }
    if (this.#openedAt !== undefined) return; // once is enough
    this.#openedAt = this.#clock.now();
    this.#to.opened(this.#via);
    if (!this.#send) return; // a stream of events ends with its token, and begins again
    this.#to.acks.attach({ send: this.#send, delivered: (channelId) => this.window.delivered(channelId) });
    void this.#keepRenewed();
  }

  #refuse(then: Ending['then'], code: Code, detail: string): void {
    this.refused = { then, error: new QuicproquoError(code, detail) };
    this.#scope?.abort();
  }

  /** The node says that the token ends soon. The timer that sees to that is late in pages that nobody looks at. */
  #expires(): void {
    const left = this.#tokens.renewIn();
    if (left === undefined) this.#tokens.discard(this.token);
    if (!left) void this.#renew();
  }

  /** Renews the token in band, as often as it takes. */
  async #keepRenewed(): Promise<void> {
    const signal = (this.#scope as Scope).signal;
    for (let wait = this.#tokens.renewIn(); wait !== undefined && !signal.aborted; wait = this.#tokens.renewIn()) {
      await sleep(this.#clock, Math.max(wait, 500), signal);
      if (!signal.aborted) await this.#renew();
    }
  }

  /** Should it fail, the stream ends with its token, and begins again. */
  async #renew(): Promise<void> {
    try {
      const token = await this.#tokens.get();
      if (this.#endedAt !== undefined || token === this.token) return;
      this.token = token;
      this.#send?.({ type: 'auth', token });
    } catch {
      // The renewal before the next connection tells what is wrong.
    }
  }
}
