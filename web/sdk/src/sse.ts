import { Scope } from './clock.js';
import type { Clock } from './clock.js';
import { broken, endingOf } from './ending.js';
import type { Ending } from './ending.js';
import { asError, QuicproquoError } from './errors.js';
import { unreadable } from './fields.js';
import { decodeFrame, maxFrame } from './frames.js';
import { isProblem, problemOf } from './http.js';
import type { Http, Request } from './http.js';
import { openTime, Watchdog } from './transport.js';
import type { Line, Transport } from './transport.js';

/** Events by server-sent events, read by fetch: EventSource could not send the token. */
export class EventStreamTransport implements Transport {
  readonly via = 'sse';
  readonly #http: Http;
  readonly #clock: Clock;

  constructor(http: Http, clock: Clock) {
    this.#http = http;
    this.#clock = clock;
  }

  async run(line: Line): Promise<Ending> {
    const scope = new Scope(line.signal);
    const watchdog = new Watchdog(this.#clock, openTime, () => scope.abort());
    let refused = false; // by a node, who knows why
    let greeted = false;
    const greet = (): void => { greeted = true; };
    try {
      const response = await this.#http.send(request, line.token, scope.signal);
      refused = isProblem(response) && !elsewhere.includes(response.status);
      if (!response.ok) throw await problemOf(response, this.#clock.now());
      const ending = await follow(response, lineWith(line, watchdog, greet), watchdog);
      return greeted ? ending : { then: 'other', error: ending.error };
    } catch (failure) {
      const ending = endingOf(asError(failure));
      // What is held up on its way, or answered by something between, may fare better another way.
      const between = scope.signal.aborted || ending.error.code === 'internal' || ending.error.status !== undefined;
      return between && !refused && !greeted ? { then: 'other', error: ending.error } : ending;
    } finally {
      watchdog.stop();
      scope.abort(); // lets go of an answer that is not read to its end
    }
  }
}

const request: Request = { method: 'GET', path: '/v1/stream', headers: { Accept: 'text/event-stream' } };

/** Statuses with which a node would not refuse this request. */
const elsewhere: readonly number[] = [404, 405, 406, 415, 426];

function lineWith(line: Line, watchdog: Watchdog, greet: () => void): Line {
  return {
    ...line,
    receive(frame) {
      if (frame.type === 'hello') {
        greet();
        watchdog.expectPings(frame.pingMs);
      }
      line.receive(frame);
    },
  };
}

/** Reads events until they end. */
async function follow(response: Response, line: Line, watchdog: Watchdog): Promise<Ending> {
  if (!response.headers.get('Content-Type')?.startsWith('text/event-stream') || response.body === null) {
    throw new QuicproquoError('internal', 'the server does not speak text/event-stream');
  }
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  const parser = new EventParser();
  let last = broken();
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    watchdog.heard();
    for (const data of parser.push(decoder.decode(part.value, { stream: true }))) {
      const frame = decodeFrame(data);
      if (frame?.type === 'error') last = endingOf(new QuicproquoError(frame.code, frame.detail));
      else if (frame) line.receive(frame);
    }
  }
  return last;
}

/** Takes server-sent events apart, of which only the data matters: the frame's type is in it. */
export class EventParser {
  /** The line that has not ended yet, in parts, so that a long one is not copied with each. */
  #parts: string[] = [];
  #size = 0;
  #data: string[] = [];

  /** The data of the events that end in this part. Throws when a line or an event is larger than any should be. */
  push(part: string): string[] {
    const events: string[] = [];
    const lines = part.split('\n');
    this.#keep(lines[0] ?? '');
    for (const next of lines.slice(1)) {
      const data = this.#line(this.#parts.join('').replace(/\r$/, ''));
      if (data !== undefined) events.push(data);
      this.#parts = [];
      this.#keep(next);
    }
    return events;
  }

  #keep(part: string): void {
    this.#size += part.length;
    if (this.#size > maxFrame) throw unreadable('an event is larger than any should be');
    this.#parts.push(part);
  }

  /** A whole line; the event's data, if it ends it. */
  #line(line: string): string | undefined {
    if (line.startsWith('data:')) this.#data.push(line.slice(line[5] === ' ' ? 6 : 5));
    if (line !== '') return undefined;
    const data = this.#data.join('\n');
    this.#data = [];
    this.#size = 0;
    return data === '' ? undefined : data;
  }
}
