import { Scope } from './clock.js';
import type { Clock } from './clock.js';
import type { Prover } from './dpop.js';
import { asError, cancelled, codeOf, QuicproquoError } from './errors.js';
import { count, object, text, unreadable } from './fields.js';
import type { Schemas } from './fields.js';

const answerTime = 30_000; // milliseconds, beyond what the request itself asks the node to wait
const maxAnswer = 64 * 1024 * 1024; // bytes; well above a page of the largest payloads in base64url

/** One request of a route. */
export interface Request {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** Below the base, escaped. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | undefined>>;
  readonly headers?: Readonly<Record<string, string>>;
  /** The body, as JSON. */
  readonly json?: object;
  /** The body, as it is. */
  readonly bytes?: Uint8Array<ArrayBuffer>;
  /** Milliseconds that the node may wait before it answers. */
  readonly wait?: number;
}

export interface HttpOptions {
  readonly base: URL;
  readonly fetch: typeof globalThis.fetch;
  readonly clock: Clock;
  readonly prover: Prover | undefined;
}

/** Makes requests, each once. Whatever goes wrong is a QuicproquoError. */
export class Http {
  readonly #options: HttpOptions;
  /** The server's time less our clock's, in milliseconds, as far as a login told: proofs are dated by it. */
  skew = 0;

  constructor(options: HttpOptions) {
    this.#options = options;
  }

  /** The node's URL of a path. */
  url(path: string, query: Request['query'] = {}): URL {
    const url = new URL(this.#options.base);
    url.pathname = url.pathname.replace(/\/+$/, '') + path;
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined) url.searchParams.set(name, String(value));
    }
    return url;
  }

  /** Reads the whole answer; undefined if it has no body. */
  async exchange(request: Request, token: string | undefined, signal: AbortSignal): Promise<unknown> {
    const scope = new Scope(signal);
    const timer = this.#options.clock.setTimeout(() => scope.abort(), answerTime + (request.wait ?? 0));
    try {
      const response = await this.open(request, token, scope.signal);
      return response.status === 204 ? undefined : parse(await readText(response));
    } catch (failure) {
      throw signal.aborted ? cancelled(signal) : asError(failure);
    } finally {
      this.#options.clock.clearTimeout(timer);
      scope.release();
    }
  }

  /** The answer of a node that does not refuse, its body yet unread. */
  async open(request: Request, token: string | undefined, signal: AbortSignal): Promise<Response> {
    const response = await this.send(request, token, signal);
    if (!response.ok) throw await problemOf(response, this.#options.clock.now());
    return response;
  }

  /** Whatever the answer is. */
  async send(request: Request, token: string | undefined, signal: AbortSignal): Promise<Response> {
    const { prover } = this.#options;
    let response = await this.#fetch(request, token, signal);
    if (prover?.note(response) && token !== undefined) {
      response = await this.#fetch(request, token, signal); // with the nonce that it wanted; the first had no effect
      prover.note(response);
    }
    return response;
  }

  async #fetch(request: Request, token: string | undefined, signal: AbortSignal): Promise<Response> {
    const url = this.url(request.path, request.query);
    const headers = new Headers({ Accept: 'application/json', ...request.headers });
    if (request.json) headers.set('Content-Type', 'application/json');
    if (request.bytes) headers.set('Content-Type', 'application/octet-stream');
    if (token !== undefined) await this.#authorize(headers, request.method, url, token);
    const body = request.json ? JSON.stringify(request.json) : request.bytes ?? null;
    return this.#options.fetch(url.href, {
      method: request.method, headers, body, signal,
      // A token goes to the node that it is for, and nowhere else.
      redirect: 'error', credentials: 'omit', cache: 'no-store', referrerPolicy: 'no-referrer',
    });
  }

  async #authorize(headers: Headers, method: string, url: URL, token: string): Promise<void> {
    const { prover, clock } = this.#options;
    headers.set('Authorization', `${prover ? 'DPoP' : 'Bearer'} ${token}`);
    if (prover) headers.set('DPoP', await prover.prove(method, url, token, clock.now() + this.skew));
  }
}

/**
 * Reads application/problem+json (RFC 9457). What else comes with an error's status is somebody else's, a proxy's
 * perhaps.
 */
export async function problemOf(response: Response, now: number): Promise<QuicproquoError> {
  const { status } = response;
  const retryAfterMs = retryAfter(response.headers.get('Retry-After'), now);
  const body = await readText(response);
  if (isProblem(response)) {
    const raw = object<Schemas['Problem']>(parse(body));
    const code = codeOf(text(raw.code));
    if (code === undefined) throw unreadable('the code of an error is unknown');
    return new QuicproquoError(code, text(raw.detail), {
      status, head: raw.head === undefined ? undefined : count(raw.head),
      retryAfterMs: raw.retry_after_ms === undefined ? retryAfterMs : count(raw.retry_after_ms),
    });
  }
  const code = status === 429 || status >= 502 ? 'unavailable' : 'internal';
  return new QuicproquoError(code, `the server answered ${status}, not as a node does`, { status, retryAfterMs });
}

/** Whether an error comes from a node, and not from something between. */
export function isProblem(response: Response): boolean {
  return response.headers.get('Content-Type')?.startsWith('application/problem+json') ?? false;
}

/** Milliseconds of a Retry-After header, which is in seconds or a date (RFC 9110 section 10.2.3). */
function retryAfter(header: string | null, now: number): number | undefined {
  if (header === null) return undefined;
  const ms = /^\d{1,9}$/.test(header) ? Number(header) * 1000 : Date.parse(header) - now;
  return Number.isNaN(ms) ? undefined : Math.max(0, ms);
}

async function readText(response: Response): Promise<string> {
  if (response.body === null) return '';
  const decoder = new TextDecoder();
  const reader = response.body.getReader();
  let [read, size] = ['', 0];
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    size += part.value.length;
    if (size > maxAnswer) {
      await reader.cancel();
      throw unreadable('it is larger than any should be');
    }
    read += decoder.decode(part.value, { stream: true });
  }
  return read + decoder.decode();
}

function parse(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    throw unreadable('it is not JSON');
  }
}
