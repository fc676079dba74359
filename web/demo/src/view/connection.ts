import { connectionOf } from '../sentences.js';
import type { State } from '@quicproquo/client';
import { h, setText } from './element.js';

/** Says how the connection is, always: a dot and a word, and a sentence where it is not as it should be. */
export class ConnectionView {
  readonly #word = h('span', {});
  readonly element = h('p', { class: 'connection', role: 'status' },
    h('span', { class: 'dot', 'aria-hidden': 'true' }), this.#word);
  readonly trouble = h('p', { class: 'trouble', role: 'status' });

  update(state: State): void {
    const { label, detail } = connectionOf(state);
    this.element.dataset['status'] = state.status;
    if (state.status === 'open') this.element.dataset['via'] = state.via;
    else delete this.element.dataset['via'];
    this.element.title = detail;
    setText(this.#word, label);
    setText(this.trouble, state.status === 'retrying' || state.status === 'closed' ? detail : '');
  }
}
