/**
 * - `profile_in_use`: another tab has this profile open.
 * - `profile_removed`: this profile is no more, or is about to be.
 * - `wrong_identity`: the store holds another identity's profile, or the identity is not Ed25519.
 * - `invalid_argument`: the address is none, or one's own, or the message is empty or too large.
 * - `outbox_full`: too much is waiting to be sent.
 * - `damaged`: what is stored cannot be opened.
 * - `closed`: the messenger was closed, or the conversation is.
 */
export type MessengerErrorCode =
  | 'profile_in_use' | 'profile_removed' | 'wrong_identity' | 'invalid_argument' | 'outbox_full' | 'damaged' | 'closed';

/** What the messenger itself refuses. What the node refuses is a QuicproquoError. */
export class MessengerError extends Error {
  override readonly name = 'MessengerError';
  readonly code: MessengerErrorCode;

  constructor(code: MessengerErrorCode, detail: string, cause?: unknown) {
    super(`${code}: ${detail}`, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}
