import type { State } from '@quicproquo/client';
import type { DeliveryState, NoticeKind } from '@quicproquo/client/mls';

/** A person's account on this device. */
export interface Profile {
  readonly id: string;
  readonly name: string;
  readonly createdAt: number;
}

/** One line of a transcript, as the screen shows it. */
export type Line = TextLine | NoticeLine;

export interface TextLine {
  readonly kind: 'text';
  readonly id: string;
  readonly at: number;
  readonly mine: boolean;
  readonly text: string;
  /** Lost is what waited in a conversation that is over. */
  readonly delivery: DeliveryState | 'lost';
}

/** Something that happened to the conversation, in a sentence. */
export interface NoticeLine {
  readonly kind: 'notice';
  readonly id: string;
  readonly at: number;
  readonly sort: NoticeKind;
  readonly text: string;
}

/** A conversation as the list shows it. */
export interface Summary {
  /** The other's address, which names the conversation. */
  readonly peer: string;
  readonly name: string;
  readonly compared: boolean;
  readonly unread: number;
  readonly last: { readonly text: string; readonly at: number } | undefined;
}

/** A conversation as its pane shows it. */
export interface Talk extends Summary {
  /** What keeps it from going on, in a sentence; undefined: nothing does. */
  readonly standing: string | undefined;
  /** Whether anything can be written: not where the channel is no more. */
  readonly open: boolean;
  readonly lines: readonly Line[];
  /** Whether there are earlier lines than these. */
  readonly more: boolean;
}

/** What the screen of an open profile shows beside the conversation. */
export interface Overview {
  readonly profile: Profile;
  readonly address: string;
  readonly connection: State;
  /** What is wrong with the clock of this device, in a sentence. */
  readonly clock: string | undefined;
  readonly conversations: readonly Summary[];
}
