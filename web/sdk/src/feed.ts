import { Acks } from './acks.js';
import { fullJitter, jittered } from './backoff.js';
import { Scope, sleep } from './clock.js';
import type { Clock } from './clock.js';
import { Connection } from './connection.js';
import { endingOf } from './ending.js';
import type { Ending } from './ending.js';
import { asError, QuicproquoError } from './errors.js';
import type { ServerEvent, State, Via } from './events.js';
import type { Rest } from './rest.js';
import { Seat } from './seat.js';
import type { Host, SeatOptions } from './seat.js';
import type { Tokens } from './tokens.js';
import type { Transport } from './transport.js';
import { Waking } from './waking.js';

const backoff = { first: 500, longest: 30_000 };
const longestAsked = 600_000; // milliseconds that a server is listened to
const settledAfter = 10_000; // milliseconds: a connection that lived so long begins the backoff anew
const retryBest = 60_000; // milliseconds: after a connection of that age a better transport is tried again

export interface FeedOptions {
  /** The best first; the later ones are for where it does not pass. */
  readonly transports: readonly Transport[];
  readonly tokens: Tokens;
  readonly rest: Rest;
  /** Whose stream it is. */
  readonly address: string;
  readonly clock: Clock;
  readonly life: AbortSignal;
}

/** The one stream that all loops of a client share. It is open as long as somebody has a seat. */
export class Feed implements Host {
  readonly acks: Acks;
  readonly #options: FeedOptions;
  readonly #seats = new Set<Seat>();
  readonly #listeners = new Set<(state: State) => void>();
  #state: State = { status: 'idle' };
  #running: Scope | undefined;
  #connection: Connection | undefined;
  #over = false; // the client was closed
  #best = 0; // index of the transport to begin with

  constructor(options: FeedOptions) {
    this.#options = options;
    this.acks = new Acks(options.rest, options.clock, options.life, (channelId, through) => {
      this.#connection?.window.acked(channelId, through);
      for (const seat of this.#seats) seat.wake();
    });
  }

  get state(): State {
    return this.#state;
  }

  onState(listener: (state: State) => void): () => void {
    const own = (state: State): void => listener(state); // the same function may listen twice
    this.#listeners.add(own);
    tell(own, this.#state);
    return () => this.#listeners.delete(own);
  }

  /** Whether a loop that begins now misses what the stream has delivered already. */
  get underWay(): boolean {
    return this.#connection?.greeted ?? false;
  }

  join(options: SeatOptions): Seat {
    if (this.#over) throw new QuicproquoError('unavailable', 'the client was closed');
    const seat = new Seat(this, options);
    this.#seats.add(seat);
    if (!this.#running) {
      this.#running = new Scope(this.#options.life);
      void this.#run(this.#running.signal);
    }
    return seat;
  }

  leave(seat: Seat): void {
    seat.end();
    this.#seats.delete(seat);
    for (const other of this.#seats) other.remind();
    if (this.#seats.size === 0 && this.#running) {
      this.#stop();
      this.#become({ status: 'idle' });
    }
  }

  /** Ends all loops; without an error, quietly. */
  close(error?: QuicproquoError): void {
    this.#over ||= error === undefined;
    this.#stop();
    for (const seat of this.#seats) seat.end(error);
    this.#seats.clear();
    this.#become({ status: 'closed', code: error?.code });
  }

  handled(by: Seat, channelId: string, through: number): void {
    let limit = through;
    for (const seat of this.#seats) if (seat !== by) limit = Math.min(limit, seat.holds(channelId) ?? limit);
    if (limit <= this.acks.target(channelId)) return;
    // Should it fail, the message comes again, and with it the acknowledgement.
    this.acks.request(channelId, limit).catch(() => undefined);
  }

  stuck(channelId: string): boolean {
    return this.acks.idle && this.#connection?.window.room(channelId) === 0;
  }

  ackTarget(channelId: string): number {
    return this.acks.target(channelId);
  }

  /** Gives an event to all whom it concerns. */
  dispatch(event: ServerEvent): void {
    for (const seat of this.#seats) seat.offer(event);
    if (event.type === 'message') for (const seat of this.#seats) seat.wake(); // it may have filled the window
  }

  opened(via: Via): void {
    this.#become({ status: 'open', via });
  }

  #stop(): void {
    this.#running?.abort();
    this.#running = undefined;
  }

  #become(state: State): void {
    this.#state = state;
    for (const listener of [...this.#listeners]) tell(listener, state);
  }

  /** Connects, again and again, until nobody listens or it is over. */
  async #run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    const waking = new Waking(clock);
    waking.listen(signal);
    let [failures, logins] = [0, 0];
    while (!signal.aborted) {
      this.#become({ status: 'connecting' });
      const { ending, age, asked } = await this.#connect(signal);
      if (signal.aborted) return;
      failures = age >= settledAfter ? 1 : failures + 1;
      logins = ending.then !== 'login' ? 0 : age > 0 ? 1 : logins + 1;
      if (ending.then === 'over' || logins > 1) return this.close(ending.error);
      if (logins === 1 && failures <= 2) continue; // a new token is all it takes
      const ms = asked === undefined
        ? fullJitter(backoff, failures, clock)
        : jittered(Math.min(asked, longestAsked), clock);
      this.#become({ status: 'retrying', in: ms, error: ending.error });
      // What the node asked for is kept to, whatever happens here.
      await (asked === undefined ? waking.wait(ms, signal) : sleep(clock, ms, signal));
    }
  }

  /** One connection, by the first transport that passes. `age` is how long it was open; 0: it never was. */
  async #connect(signal: AbortSignal): Promise<{ ending: Ending; age: number; asked: number | undefined }> {
    const { transports, clock } = this.#options;
    for (let index = this.#best; ; index++) {
      const transport = transports[index] as Transport;
      const connection = new Connection(this, this.#options.address, transport.via, this.#options.tokens, clock);
      const ending = await this.#follow(connection, transport, signal);
      const age = connection.age();
      this.#best = age === 0 || age >= retryBest ? 0 : index;
      if (ending.then !== 'other' || index === transports.length - 1 || signal.aborted) {
        return { ending, age, asked: connection.retryAfterMs ?? ending.error.retryAfterMs };
      }
    }
  }

  async #follow(connection: Connection, transport: Transport, signal: AbortSignal): Promise<Ending> {
    const { tokens } = this.#options;
    const scope = new Scope(signal);
    try {
      const token = await tokens.get();
      if (signal.aborted) return endingOf(asError(signal.reason));
      this.#connection = connection;
      const ending = await transport.run(connection.line(token, scope));
      if (ending.then === 'login') tokens.discard(connection.token);
      return connection.refused ?? ending;
    } catch (failure) {
      return endingOf(asError(failure));
    } finally {
      scope.release();
      connection.end();
      if (this.#connection === connection) this.#connection = undefined;
    }
  }
}

/** A listener that throws is its author's to mend, and not the end of the stream. */
function tell(listener: (state: State) => void, state: State): void {
  try {
    listener(state);
  } catch (fault) {
    queueMicrotask(() => { throw fault; });
  }
}
