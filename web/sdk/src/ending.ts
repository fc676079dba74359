import { codeOf, QuicproquoError } from './errors.js';
import type { Code } from './errors.js';

/**
 * Why a stream ended, and what to do about it: come back (`again`), with a new token (`login`), not at all
 * (`over`), or by another kind of transport, because this one does not seem to pass (`other`).
 */
export interface Ending {
  readonly then: 'again' | 'login' | 'over' | 'other';
  readonly error: QuicproquoError;
}

/** What to do about a stream that ended with a code. */
const remedies: Readonly<Record<Code, Ending['then']>> = {
  unauthenticated: 'login', token_expired: 'login',
  rate_limited: 'again', quota_exceeded: 'again', unavailable: 'again', internal: 'again',
  invalid_argument: 'over', permission_denied: 'over', channel_not_found: 'over', key_package_not_found: 'over',
  message_id_reused: 'over', mailbox_full: 'over', precondition_failed: 'over', payload_too_large: 'over',
  unsupported_version: 'over',
};

/** What a close code says by itself, should its reason name no code. Others come from broken connections. */
const closes: Readonly<Record<number, { readonly code: Code; readonly then: Ending['then'] }>> = {
  1000: { code: 'unavailable', then: 'over' },
  // Nodes do not say it: a proxy between that restarts does, and the node is still there.
  1001: { code: 'unavailable', then: 'again' },
  1008: { code: 'permission_denied', then: 'over' },
  1009: { code: 'payload_too_large', then: 'over' },
  1011: { code: 'internal', then: 'again' },
  1012: { code: 'unavailable', then: 'again' },
  4400: { code: 'invalid_argument', then: 'over' },
  4401: { code: 'unauthenticated', then: 'login' },
  4403: { code: 'permission_denied', then: 'over' },
  4404: { code: 'channel_not_found', then: 'over' },
  4408: { code: 'unavailable', then: 'again' },
  4429: { code: 'rate_limited', then: 'again' },
};

export function endingOf(error: QuicproquoError): Ending {
  return { then: remedies[error.code], error };
}

/** A connection that broke, or never came about. */
export function broken(cause?: unknown): Ending {
  return { then: 'again', error: new QuicproquoError('unavailable', 'the connection to the node broke', { cause }) };
}

/** The ending that a close frame tells: its reason is "code: detail". */
export function endingOfClose(code: number, reason: string): Ending {
  const close = closes[code];
  if (close === undefined) return broken();
  const [name = '', ...rest] = reason.split(': ');
  const told = rest.length > 0 ? codeOf(name) : undefined;
  const detail = told ? rest.join(': ') : `the node closed the stream with ${code}${reason && `: ${reason}`}`;
  return { then: close.then, error: new QuicproquoError(told ?? close.code, detail) };
}
