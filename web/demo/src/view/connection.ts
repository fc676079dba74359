import { connectionOf } from '../sentences.js';
import type { State } from '@quicproquo/client';
import { h, setText } from './element.js';

/** Says how the connection is, always: a dot and a word, and a sentence where it is not as it should be. */
export class ConnectionView {
  readonly #word = h('span', {});
  readonly element = h('p', { class: 'connection', role: 'status' },
    h('span', { class: 'dot', 'aria-hidden': 'true' }), this.#word);
  readonly trouble = h('p', { class: 'trouble', role: 'status' });
  /** Since when there is no connection, what was last wrong: that it is tried again is no news until it succeeds. */
  #lost: State | undefined;

  /** `clock` is what else is wrong, in a sentence. */
  update(now: State, clock: string | undefined): void {
    if (now.status === 'retrying') this.#lost = now;
    else if (now.status !== 'connecting') this.#lost = undefined;
    const state = this.#lost ?? now;
    const { label, detail } = connectionOf(state);
    this.element.dataset['status'] = state.status;
    if (state.status === 'open') this.element.dataset['via'] = state.via;
    else delete this.element.dataset['via'];
    this.element.title = detail;
    setText(this.#word, label);
    setText(this.trouble, state.status === 'retrying' || state.status === 'closed' ? detail : clock ?? '');
  }
}
