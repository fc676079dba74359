import type { AckMode } from './channel.js';
import { QuicproquoError } from './errors.js';
import type { Gap, Message, ServerEvent } from './events.js';

/** Events that may wait for one loop. The window bounds them, unless another session acknowledges them. */
const mostWaiting = 1 << 14;

/** Bytes of payloads that may: four windows, or one message that is larger. */
const mostBytes = 1 << 26;

/** What a seat needs of the stream that it is at. */
export interface Host {
  /** A loop that acknowledges automatically has handled a channel up to there. */
  handled(seat: Seat, channelId: string, through: number): void;
  /** Whether the window is filled by what nobody is about to acknowledge, so that a channel's messages cannot come. */
  stuck(channelId: string): boolean;
  /** How far a channel is acknowledged, or about to be. */
  ackTarget(channelId: string): number;
}

/** How far a loop has come in a channel. */
interface Position {
  queued: number; // the highest seq that waited
  seen: number; // the highest seq that the loop's body was given
  finished: number; // the highest seq that it is done with; of automatic acknowledgement only
}

export interface SeatOptions {
  /** The one channel that is listened to; undefined: everything. */
  readonly channelId: string | undefined;
  readonly after: number | undefined;
  readonly ack: AckMode;
}

/** One loop's place at the stream: what waits for it, and how far it has come. */
export class Seat {
  readonly channelId: string | undefined;
  readonly #host: Host;
  readonly #auto: boolean;
  readonly #after: number;
  readonly #positions = new Map<string, Position>();
  #queue: ServerEvent[] = [];
  #bytes = 0; // of the payloads in the queue
  #wake: (() => void) | undefined;
  readonly #life = new AbortController();
  #error: QuicproquoError | undefined; // that it ended with

  constructor(host: Host, { channelId, after, ack }: SeatOptions) {
    this.#host = host;
    this.channelId = channelId;
    this.#auto = ack === 'auto';
    this.#after = after ?? 0;
  }

  get ended(): boolean {
    return this.#life.signal.aborted;
  }

  /** Aborts when the seat ends. */
  get signal(): AbortSignal {
    return this.#life.signal;
  }

  /** Takes an event of the stream, unless it is none for this loop, or repeats one. */
  offer(event: ServerEvent): void {
    if (this.ended || !this.#isForMe(event)) return;
    if (isPlaced(event)) {
      const at = this.#position(event.channelId);
      const place = placeOf(event);
      if (place <= at.queued || place <= at.seen) return this.#repeated(event.channelId, place, at);
      at.queued = place;
    }
    const isFull = this.#queue.length >= mostWaiting || (this.#bytes > 0 && this.#bytes + weightOf(event) > mostBytes);
    if (isFull) return this.end(new QuicproquoError('unavailable', 'too much waits for this loop; begin it anew'));
    this.#queue.push(event);
    this.#bytes += weightOf(event);
    this.wake();
  }

  /**
   * The next event; undefined: there will be none. "stuck": it cannot come by the stream. Rejects with the
   * error that the stream ended with.
   */
  async take(): Promise<ServerEvent | 'stuck' | undefined> {
    for (;;) {
      const event = this.#queue.shift();
      if (event) this.#bytes -= weightOf(event);
      if (event && this.meet(event)) return event;
      if (event) continue;
      if (this.#error) throw this.#error;
      if (this.ended) return undefined;
      if (this.#isStuck()) return 'stuck';
      await new Promise<void>((resolve) => { this.#wake = resolve; });
    }
  }

  /** Whether an event is new to the loop's body, which is given it now. */
  meet(event: ServerEvent): boolean {
    if (!isPlaced(event)) return true;
    const at = this.#position(event.channelId);
    if (placeOf(event) <= at.seen) return false;
    at.seen = placeOf(event);
    return true;
  }

  /** The loop's body is done with an event. */
  finish(event: ServerEvent): void {
    if (!this.#auto || !isPlaced(event)) return;
    this.#position(event.channelId).finished = placeOf(event);
    this.#host.handled(this, event.channelId, placeOf(event));
  }

  /** As far as others may acknowledge a channel automatically; undefined: this loop does not mind. */
  holds(channelId: string): number | undefined {
    const at = this.#positions.get(channelId);
    if (!at) return undefined;
    const finished = this.#auto ? at.finished : this.#host.ackTarget(channelId);
    return Math.max(at.queued, at.seen) > finished ? finished : undefined;
  }

  /** Says again what this loop has handled: another that stood in the way is gone. */
  remind(): void {
    if (!this.#auto) return;
    for (const [channelId, at] of this.#positions) this.#handled(channelId, at);
  }

  /** Where the loop goes on in a channel. */
  seen(channelId: string): number {
    return this.#position(channelId).seen;
  }

  /** Has a loop that waits look again. */
  wake(): void {
    this.#wake?.();
    this.#wake = undefined;
  }

  /** Ends the loop: with an error once it has had all that waits for it, else at once. The first end counts. */
  end(error?: QuicproquoError): void {
    if (this.ended) return;
    this.#error = error;
    if (!error) this.#queue = [];
    this.#life.abort();
    this.wake();
  }

  #isForMe(event: ServerEvent): boolean {
    return this.channelId === undefined || (isPlaced(event) && event.channelId === this.channelId);
  }

  /** A repeat of what was handled is one whose acknowledgement was lost. */
  #repeated(channelId: string, place: number, at: Position): void {
    if (this.#auto && place <= at.finished) this.#handled(channelId, at);
  }

  /** What was skipped by `after` is only acknowledged by what comes after it. */
  #handled(channelId: string, { finished }: Position): void {
    if (finished > this.#after) this.#host.handled(this, channelId, finished);
  }

  #isStuck(): boolean {
    const id = this.channelId;
    return id !== undefined && (this.#auto || this.holds(id) === undefined) && this.#host.stuck(id);
  }

  #position(channelId: string): Position {
    let at = this.#positions.get(channelId);
    if (!at) {
      at = { queued: this.#after, seen: this.#after, finished: this.#after };
      this.#positions.set(channelId, at);
    }
    return at;
  }
}

/** Whether an event has a place in its channel's order. */
function isPlaced(event: ServerEvent): event is Message | Gap {
  return event.type === 'message' || event.type === 'gap';
}

function weightOf(event: ServerEvent): number {
  return event.type === 'message' ? event.payload.length : 0;
}

function placeOf(event: Message | Gap): number {
  return event.type === 'message' ? event.seq : event.to;
}
