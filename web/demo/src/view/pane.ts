import type { Talk } from '../model.js';
import { avatar } from './avatar.js';
import { ComposerView } from './composer.js';
import type { ComposerActions } from './composer.js';
import { h, setText } from './element.js';
import { icon } from './icon.js';
import { TranscriptView } from './transcript.js';
import type { TranscriptActions } from './transcript.js';

export interface PaneActions extends TranscriptActions, ComposerActions {
  showDetails(): void;
  /** Begins a conversation again that the node knows no more; gives back what is wrong, in a sentence. */
  beginAnew(): Promise<string | undefined>;
}

/** One conversation. Another one gets a pane of its own, so that nothing is read out that came long ago. */
export class PaneView {
  readonly peer: string;
  readonly element: HTMLElement;
  readonly #name = h('h2', { tabindex: '-1', dir: 'auto' });
  readonly #shield = icon('shield', 'Safety number compared');
  readonly #standing = h('p', { class: 'standing', role: 'status' });
  readonly #transcript: TranscriptView;
  readonly #composer: ComposerView;
  readonly #anew: HTMLButtonElement;

  constructor(talk: Talk, actions: PaneActions) {
    this.peer = talk.peer;
    this.#transcript = new TranscriptView(talk.name, {
      ...actions,
      discard: (id) => {
        this.#composer.focus(); // the button that had the focus goes
        actions.discard(id);
      },
    });
    this.#composer = new ComposerView(talk.name, {
      ...actions,
      send: (text) => {
        this.#transcript.toEnd();
        return actions.send(text);
      },
    });
    this.#anew = h('button', { type: 'button', class: 'anew', onclick: () => {
      void actions.beginAnew().then((problem) => { if (problem !== undefined) setText(this.#standing, problem); });
    } }, 'Begin it anew');
    this.element = h('div', { class: 'pane' },
      h('header', {},
        h('a', { class: 'back', href: '#/', 'aria-label': 'All conversations' }, icon('back')),
        avatar(talk.peer), this.#name, this.#shield,
        h('button', { type: 'button', class: 'quiet', onclick: actions.showDetails }, 'Safety')),
      this.#transcript.element, this.#transcript.tail, this.#standing, this.#anew, this.#composer.element);
    this.update(talk);
  }

  update(talk: Talk): void {
    setText(this.#name, talk.name);
    this.#shield.toggleAttribute('hidden', !talk.compared);
    this.#transcript.update(talk);
    setText(this.#standing, talk.standing ?? '');
    const begunAnew = talk.open && !this.#anew.hidden && document.activeElement === this.#anew;
    this.#composer.element.hidden = !talk.open;
    this.#anew.hidden = talk.open;
    if (begunAnew) this.#composer.focus();
  }

  /** To be called once the pane is on the page. */
  shown(): void {
    this.#transcript.toEnd();
    if (matchMedia('(hover: hover)').matches) this.#composer.focus();
    else this.#name.focus(); // no keyboard that covers half of a phone, unasked
  }
}

/** Where no conversation is chosen. */
export function emptyPane(): HTMLElement {
  return h('div', { class: 'pane empty' },
    h('p', {}, 'What is said here is read by two people.'));
}
