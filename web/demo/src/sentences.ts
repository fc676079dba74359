import { QuicproquoError } from '@quicproquo/client';
import type { Code, State } from '@quicproquo/client';
import { MessengerError } from '@quicproquo/client/mls';
import type { ConversationState, MessengerErrorCode } from '@quicproquo/client/mls';

const ofCode: Record<Code, string> = {
  invalid_argument: 'The node did not understand this request.',
  unauthenticated: 'The node did not accept this profile.',
  token_expired: 'The login has run out.',
  permission_denied: 'The node does not allow this.',
  quota_exceeded: 'A limit of this node is reached.',
  channel_not_found: 'The node does not know this conversation.',
  key_package_not_found: 'Nobody can be reached at this address yet: its owner has to open this chat once.',
  message_id_reused: 'The node has another message under the same number.',
  mailbox_full: 'The other mailbox is full. It has room again once its owner has been here.',
  precondition_failed: 'The conversation moved on in the meantime.',
  payload_too_large: 'This message is too large for the node.',
  rate_limited: 'That was too much at once. It goes on by itself in a moment.',
  unsupported_version: 'The node speaks another version.',
  unavailable: 'The node cannot be reached at the moment.',
  internal: 'Something went wrong.',
};

const ofMessenger: Record<MessengerErrorCode, string> = {
  profile_in_use: 'This profile is open in another tab.',
  profile_removed: 'This profile was removed from this browser.',
  wrong_identity: 'What is kept under this profile belongs to another key.',
  invalid_argument: 'This is nobody’s address.',
  outbox_full: 'Too much is waiting to be sent. Once there is a connection again, there is room again.',
  damaged: 'What is kept under this profile cannot be opened any more.',
  closed: 'This conversation is closed.',
};

const keepsNothing = 'The browser does not let this page keep anything, as in some private windows; a profile has to be kept. Allow it, or use another window.';

/** What the browser itself refuses, by the name of its error. */
const ofBrowser: Readonly<Record<string, string>> = {
  SecurityError: keepsNothing,
  InvalidStateError: keepsNothing,
  UnknownError: keepsNothing,
  QuotaExceededError: 'This device has no room left for what this page has to keep.',
  NotSupportedError: 'This browser does not know the encryption that is used here. A newer one does.',
};

export const ownAddress = 'This is your own address. Give it to a friend, and put theirs here.';

/** What a wrong clock means; undefined: it is right enough. `ahead` is in milliseconds. */
export function clockOf(ahead: number): string | undefined {
  const hours = Math.round(Math.abs(ahead) / 3_600_000);
  if (Math.abs(ahead) < 30 * 60_000) return undefined;
  const amount = hours < 2 ? 'about an hour' : hours < 48 ? `${hours} hours` : `${Math.round(hours / 24)} days`;
  return `The clock of this device is ${amount} ${ahead > 0 ? 'ahead' : 'behind'}. Until it is right, nobody new may be able to write to you.`;
}

/** What an error means to the one who reads it. */
export function sentenceOf(error: unknown): string {
  if (error instanceof MessengerError) return ofMessenger[error.code];
  if (error instanceof DOMException && ofBrowser[error.name]) return ofBrowser[error.name] as string;
  if (!(error instanceof QuicproquoError)) return error instanceof Error ? `${ofCode.internal} (${error.message})` : ofCode.internal;
  const { code, detail } = error;
  return explained.has(code) ? ofCode[code] : `${ofCode[code]} (${detail})`;
}

/** Codes whose sentence says it all. */
const explained: ReadonlySet<Code> = new Set([
  'key_package_not_found', 'mailbox_full', 'payload_too_large', 'rate_limited', 'token_expired', 'unavailable',
]);

/** How the connection is, in few words, and in a sentence. */
export function connectionOf(state: State): { readonly label: string; readonly detail: string } {
  switch (state.status) {
    case 'idle':
    case 'connecting': return { label: 'Connecting', detail: 'The node is being called.' };
    case 'open': return { label: 'Connected', detail: ways[state.via] };
    case 'retrying': return { label: 'No connection', detail: `${sentenceOf(state.error)} What you write is kept, and sent later.` };
    case 'closed': return {
      label: 'Disconnected',
      detail: state.code === undefined ? 'The connection was closed.' : ofCode[state.code],
    };
  }
}

const ways = {
  websocket: 'Live, by WebSocket.',
  sse: 'Live, by server-sent events: something on the way refuses WebSockets.',
  poll: 'By asking again and again: something on the way refuses streams.',
} as const;

/** What keeps a conversation from going on; undefined: nothing does. */
export function standingOf(state: ConversationState, problem: QuicproquoError | undefined): string | undefined {
  if (state === 'closed') return 'The node does not know this conversation any more. It can still be read.';
  if (state === 'broken') return 'The encryption has to be set up anew. That goes by itself; what you write waits for it.';
  if (problem) return sentenceOf(problem);
  return state === 'starting' ? 'The encrypted conversation is being set up. What you write is kept until then.' : undefined;
}
