import type { Clock } from './clock.js';
import type { Ending } from './ending.js';
import type { Via } from './events.js';
import type { ClientFrame, Frame } from './frames.js';

/** What a transport is given for one connection, and reports to. */
export interface Line {
  /** Aborts when nobody listens any more; what the transport then returns is of no interest. */
  readonly signal: AbortSignal;
  readonly token: string;
  /** Takes a frame of the node. */
  receive(frame: Frame): void;
  /** Tells how frames go to the node; where they do not, it is never called. */
  attach(send: (frame: ClientFrame) => void): void;
  /** How many more messages of a channel may be delivered: for a transport that asks for them. */
  room(channelId: string): number;
  /** Resolves when there may be more room. */
  freed(): Promise<void>;
}

/** A way in which events come. */
export interface Transport {
  readonly via: Via;
  /** Follows all channels until it ends. It never rejects. */
  run(line: Line): Promise<Ending>;
}

export const openTime = 10_000; // milliseconds until a connection must have said hello

/** Runs out unless something is heard in time. */
export class Watchdog {
  readonly #clock: Clock;
  readonly #bark: () => void;
  #patience: number;
  #timer: unknown;

  constructor(clock: Clock, patience: number, bark: () => void) {
    this.#clock = clock;
    this.#patience = patience;
    this.#bark = bark;
    this.heard();
  }

  /** Something was heard. */
  heard(): void {
    this.#clock.clearTimeout(this.#timer);
    this.#timer = this.#clock.setTimeout(this.#bark, this.#patience);
  }

  /** The node pings every so many milliseconds: it is gone when three are missing. */
  expectPings(every: number): void {
    this.#patience = Math.min(3 * every, 300_000);
    this.heard();
  }

  stop(): void {
    this.#clock.clearTimeout(this.#timer);
  }
}
