import type { components } from './generated/openapi.js';

/** The closed set of codes, the same on every door of the node. */
export type Code = components['schemas']['Code'];

/** What an error carries beside its code and its sentence. */
export interface ErrorExtras {
  /** The channel's head, with `precondition_failed`, and where a seq was above it. */
  readonly head?: number | undefined;
  /** How long the server asks to wait. */
  readonly retryAfterMs?: number | undefined;
  /** The HTTP status; undefined if no answer came, or if the error is the client's own. */
  readonly status?: number | undefined;
  readonly cause?: unknown;
}

/**
 * The one error of this package. `code` is the server's, or the code that fits when the client itself
 * refuses something, or when no answer came (`unavailable`).
 */
export class QuicproquoError extends Error {
  override readonly name = 'QuicproquoError';
  readonly code: Code;
  /** A sentence that says what to mend. */
  readonly detail: string;
  readonly head: number | undefined;
  readonly retryAfterMs: number | undefined;
  readonly status: number | undefined;

  constructor(code: Code, detail: string, extras: ErrorExtras = {}) {
    super(`${code}: ${detail}`, extras.cause === undefined ? undefined : { cause: extras.cause });
    this.code = code;
    this.detail = detail;
    this.head = extras.head;
    this.retryAfterMs = extras.retryAfterMs;
    this.status = extras.status;
  }
}
