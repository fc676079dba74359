import type { Overview, Talk } from '../model.js';
import { avatar } from './avatar.js';
import { mark } from './brand.js';
import { ConnectionView } from './connection.js';
import { ConversationListView } from './conversationlist.js';
import { h } from './element.js';
import { icon } from './icon.js';
import { PaneView, emptyPane } from './pane.js';
import type { PaneActions } from './pane.js';

export interface ShellActions {
  showAddress(): void;
  startConversation(): void;
  showProfile(): void;
  leave(): void;
  paneActions(peer: string): PaneActions;
}

/** The screen of an open profile: who I am and how the connection is, the conversations, and one of them. */
export class ShellView {
  readonly #actions: ShellActions;
  readonly #connection = new ConnectionView();
  readonly #list = new ConversationListView();
  readonly #place = h('div', { class: 'place' }, emptyPane());
  readonly element: HTMLElement;
  #pane: PaneView | undefined;

  constructor(first: Overview, actions: ShellActions) {
    this.#actions = actions;
    this.element = h('div', { class: 'shell' },
      h('header', { class: 'me' },
        h('h1', { class: 'wordmark', tabindex: '-1' }, mark(), 'quicproquo'),
        this.#connection.element, this.#connection.trouble,
        h('div', { class: 'profile' }, avatar(first.address), h('h2', { dir: 'auto' }, first.profile.name),
          h('button', { type: 'button', class: 'quiet', title: 'What is kept here, and how to remove it', onclick: actions.showProfile }, 'Profile'),
          h('button', { type: 'button', class: 'quiet', title: 'Switch to another profile', onclick: actions.leave }, 'Switch')),
        h('div', { class: 'actions' },
          h('button', { type: 'button', class: 'primary', onclick: actions.startConversation }, icon('plus'), 'New conversation'),
          h('button', { type: 'button', onclick: actions.showAddress }, icon('qr'), 'My address'))),
      h('main', {}, this.#list.element, this.#place));
  }

  /** Gives the focus to the beginning, for those who go on from there by keyboard. */
  focus(): void {
    this.element.querySelector('h1')?.focus();
  }

  update(overview: Overview, talk: Talk | undefined): void {
    this.#connection.update(overview.connection, overview.clock);
    this.#list.update(overview.conversations, talk?.peer);
    this.element.classList.toggle('talking', talk !== undefined);
    if (talk === undefined) this.#showNothing();
    else if (this.#pane?.peer === talk.peer) this.#pane.update(talk);
    else this.#show(talk);
    const unread = overview.conversations.reduce((sum, conversation) => sum + conversation.unread, 0);
    document.title = `${unread > 0 ? `(${unread}) ` : ''}${talk ? `${talk.name} – ` : ''}quicproquo`;
  }

  #show(talk: Talk): void {
    this.#pane = new PaneView(talk, this.#actions.paneActions(talk.peer));
    this.#place.replaceChildren(this.#pane.element);
    this.#pane.shown();
  }

  #showNothing(): void {
    if (!this.#pane) return;
    const { peer } = this.#pane;
    this.#pane = undefined;
    this.#place.replaceChildren(emptyPane());
    this.#list.focus(peer);
  }
}
