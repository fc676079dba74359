import { shortAddress } from '../link.js';
import type { Summary } from '../model.js';
import { fragmentOf } from '../route.js';
import { avatar } from './avatar.js';
import { h, setText } from './element.js';
import { icon } from './icon.js';
import { KeyedList } from './keyedlist.js';
import type { Row } from './keyedlist.js';
import { whenOf } from './times.js';

/** The conversations, the latest first, as links. */
export class ConversationListView {
  readonly #items = h('ul', {});
  readonly #none = h('p', { class: 'none' }, 'No conversation yet. Give your address to a friend, or paste theirs.');
  readonly element = h('nav', { class: 'conversations', 'aria-label': 'Conversations' }, this.#none, this.#items);
  readonly #list = new KeyedList<Summary>(this.#items, ({ peer }) => peer, rowOf);

  /** Gives the focus to a conversation's link: the reader comes back from it. */
  focus(peer: string): void {
    for (const link of this.#items.querySelectorAll('a')) if (link.hash === fragmentOf(peer)) link.focus();
  }

  update(conversations: readonly Summary[], shown: string | undefined): void {
    this.#none.hidden = conversations.length > 0;
    this.#items.hidden = conversations.length === 0;
    this.#list.update(conversations);
    for (const link of this.#items.querySelectorAll('a')) {
      if (shown !== undefined && link.hash === fragmentOf(shown)) link.setAttribute('aria-current', 'page');
      else link.removeAttribute('aria-current');
    }
  }
}

function rowOf({ peer }: Summary): Row<Summary> {
  const name = h('span', { class: 'name', dir: 'auto' });
  const when = h('time', {});
  const last = h('span', { class: 'last', dir: 'auto' });
  const unread = h('span', { class: 'unread' });
  const count = h('span', { 'aria-hidden': 'true' });
  const spoken = h('span', { class: 'unseen' });
  unread.append(count, spoken);
  const shield = icon('shield', 'Safety number compared');
  return {
    element: h('li', {}, h('a', { href: fragmentOf(peer), title: peer }, avatar(peer),
      h('span', { class: 'top' }, name, shield, when), h('span', { class: 'bottom' }, last, unread))),
    update(summary) {
      setText(name, summary.name);
      shield.toggleAttribute('hidden', !summary.compared);
      setText(when, summary.last ? whenOf(summary.last.at) : '');
      setText(last, summary.last?.text ?? shortAddress(peer));
      unread.hidden = summary.unread === 0;
      setText(count, String(summary.unread));
      setText(spoken, `${summary.unread} unread`);
    },
  };
}
