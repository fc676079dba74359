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

/** Every code; a type checker finds the one that is missing, or not of the contract. */
const codes: Readonly<Record<Code, true>> = {
  invalid_argument: true, unauthenticated: true, token_expired: true, permission_denied: true, quota_exceeded: true,
  channel_not_found: true, key_package_not_found: true, message_id_reused: true, mailbox_full: true,
  precondition_failed: true, payload_too_large: true, rate_limited: true, unsupported_version: true,
  unavailable: true, internal: true,
};

/** The code that a text spells; undefined if it spells none. */
export function codeOf(text: string): Code | undefined {
  return Object.hasOwn(codes, text) ? text as Code : undefined;
}

/** Any failure as the one error of this package: what is not of it came from the platform, mostly from the network. */
export function asError(failure: unknown): QuicproquoError {
  if (failure instanceof QuicproquoError) return failure;
  return new QuicproquoError('unavailable', 'the node could not be reached, or did not answer', { cause: failure });
}

/** The error of a call whose signal aborted. */
export function cancelled(signal: AbortSignal): QuicproquoError {
  return new QuicproquoError('unavailable', 'the call was cancelled', { cause: signal.reason });
}
