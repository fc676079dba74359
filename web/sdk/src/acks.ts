import { channelPath } from './calls.js';
import { sleep } from './clock.js';
import type { Clock } from './clock.js';
import { asError, QuicproquoError } from './errors.js';
import type { ClientFrame } from './frames.js';
import type { Rest } from './rest.js';

/** Milliseconds between acks on a WebSocket: the node takes 100 frames a second, and not all are acks. */
const pace = 15;

/** What is to be acknowledged of one channel: an acknowledgement is cumulative, so the highest says all. */
interface Wanted {
  through: number;
  readonly waiting: { readonly through: number; resolve(): void; reject(error: QuicproquoError): void }[];
  /** By a request of its own: the stream cannot, or would not. */
  byRequest: boolean;
}

/** How acknowledgements go along with a connection. */
export interface AckLine {
  send(frame: ClientFrame): void;
  /** As far as the connection takes acknowledgements of a channel. */
  delivered(channelId: string): number;
}

/**
 * Acknowledges: on the stream where it can, which is not charged against rate limits, else by requests. One at
 * a time on the stream and for each channel, those that come meanwhile being gathered.
 */
export class Acks {
  readonly #rest: Rest;
  readonly #clock: Clock;
  readonly #life: AbortSignal;
  readonly #confirmed: (channelId: string, through: number) => void;
  readonly #wanted = new Map<string, Wanted>();
  readonly #acked = new Map<string, number>();
  readonly #requested = new Set<string>(); // channels with a request under way
  #line: AckLine | undefined;
  #asked: { readonly channelId: string; readonly through: number } | undefined; // on the line, unanswered
  #askedAt = -Infinity; // milliseconds since 1970
  #resting = false; // until a timer, which a hidden page's browser may hold back
  #settled: (() => void)[] = [];

  constructor(rest: Rest, clock: Clock, life: AbortSignal, confirmed: (channelId: string, through: number) => void) {
    this.#rest = rest;
    this.#clock = clock;
    this.#life = life;
    this.#confirmed = confirmed;
  }

  /** How far a channel is acknowledged, or about to be. */
  target(channelId: string): number {
    return Math.max(this.#acked.get(channelId) ?? 0, this.#wanted.get(channelId)?.through ?? 0);
  }

  /** Whether nothing is under way. */
  get idle(): boolean {
    return this.#wanted.size === 0;
  }

  /** Resolves when nothing is under way. */
  async settle(): Promise<void> {
    if (!this.idle) await new Promise<void>((resolve) => this.#settled.push(resolve));
  }

  /** Resolves once it is durable. */
  request(channelId: string, through: number): Promise<void> {
    if (!Number.isSafeInteger(through) || through < 0) {
      return Promise.reject(new QuicproquoError('invalid_argument', `${through} is no seq`));
    }
    if (through <= (this.#acked.get(channelId) ?? 0)) return Promise.resolve();
    const wanted = this.#wanted.get(channelId) ?? { through, waiting: [], byRequest: false };
    wanted.through = Math.max(wanted.through, through);
    this.#wanted.set(channelId, wanted);
    const done = new Promise<void>((resolve, reject) => wanted.waiting.push({ through, resolve, reject }));
    this.#flush();
    return done;
  }

  attach(line: AckLine): void {
    this.#line = line;
    this.#flush();
  }

  /** The connection is gone; what it did not answer is asked anew. */
  detach(): void {
    this.#line = this.#asked = undefined;
    this.#flush();
  }

  /** The node says how far a channel is acknowledged. */
  confirm(channelId: string, through: number): void {
    if (this.#asked?.channelId === channelId && through >= this.#asked.through) this.#asked = undefined;
    if (through > (this.#acked.get(channelId) ?? 0)) this.#acked.set(channelId, through);
    this.#answer(channelId, through, ({ resolve }) => resolve());
    this.#confirmed(channelId, through);
    this.#flush();
  }

  /** The node refused what is asked on the line: a request will tell why. */
  refuse(): void {
    const wanted = this.#wanted.get(this.#asked?.channelId ?? '');
    if (wanted) wanted.byRequest = true;
    this.#asked = undefined;
    this.#flush();
  }

  /** Answers those who wait for no more than through. */
  #answer(channelId: string, through: number, tell: (who: Wanted['waiting'][number]) => void): void {
    const wanted = this.#wanted.get(channelId);
    if (!wanted) return;
    const [answered, left] = [
      wanted.waiting.filter((who) => who.through <= through), wanted.waiting.filter((who) => who.through > through),
    ];
    wanted.waiting.splice(0, wanted.waiting.length, ...left);
    if (left.length === 0) this.#wanted.delete(channelId);
    answered.forEach(tell);
    if (this.idle) this.#settled.splice(0).forEach((resolve) => resolve());
  }

  #flush(): void {
    for (const [channelId, wanted] of this.#wanted) {
      if (this.#requested.has(channelId) || this.#asked?.channelId === channelId) continue;
      const line = wanted.byRequest ? undefined : this.#line;
      if (line && wanted.through <= line.delivered(channelId)) this.#ask(line, channelId, wanted.through);
      else void this.#byRequest(channelId, wanted.through);
    }
  }

  #ask(line: AckLine, channelId: string, through: number): void {
    if (this.#asked) return;
    const early = this.#askedAt + pace - this.#clock.now();
    if (early > 0) return this.#pauseFor(Math.min(early, pace)); // the clock may have been set back
    this.#asked = { channelId, through };
    this.#askedAt = this.#clock.now();
    line.send({ type: 'ack', channel_id: channelId, through });
  }

  #pauseFor(ms: number): void {
    if (this.#resting) return;
    this.#resting = true;
    void sleep(this.#clock, ms, this.#life).then(() => {
      this.#resting = false;
      this.#flush();
    });
  }

  async #byRequest(channelId: string, through: number): Promise<void> {
    this.#requested.add(channelId);
    try {
      await this.#rest.call({ method: 'DELETE', path: `${channelPath(channelId)}/messages`, query: { through } });
      this.#requested.delete(channelId);
      this.confirm(channelId, through);
    } catch (failure) {
      this.#requested.delete(channelId);
      this.#answer(channelId, through, ({ reject }) => reject(asError(failure)));
      this.#confirmed(channelId, 0); // no further than before
      this.#flush();
    }
  }
}
