import { freshId, h, setText } from './element.js';
import { icon } from './icon.js';

/** Where one writes. Enter sends, Shift and Enter begin a new line. */
export class ComposerView {
  readonly #field: HTMLTextAreaElement;
  readonly #problem = h('p', { class: 'problem', role: 'alert' });
  readonly element: HTMLFormElement;
  readonly #send: (text: string) => Promise<string | undefined>;

  /** `send` gives back what is wrong, in a sentence, if it cannot take the text. */
  constructor(name: string, send: (text: string) => Promise<string | undefined>) {
    this.#send = send;
    const id = freshId('message');
    this.#field = h('textarea', {
      id, rows: '1', maxlength: '20000', placeholder: 'Write a message', autocomplete: 'off', enterkeyhint: 'send',
      onkeydown: (event) => this.#key(event as KeyboardEvent),
    });
    this.element = h('form', { class: 'composer', onsubmit: (event) => this.#submit(event) },
      this.#problem,
      h('label', { for: id, class: 'unseen' }, `Message to ${name}`),
      this.#field,
      h('button', { type: 'submit', class: 'round', 'aria-label': 'Send' }, icon('send')));
  }

  focus(): void {
    this.#field.focus();
  }

  #key(event: KeyboardEvent): void {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    this.element.requestSubmit();
  }

  #submit(event: Event): void {
    event.preventDefault();
    const text = this.#field.value.trim();
    if (text === '') return;
    this.#field.value = '';
    this.#field.focus();
    void this.#send(text).then((problem) => {
      setText(this.#problem, problem ?? '');
      // What could not be taken is not lost, unless something new is being written already.
      if (problem !== undefined && this.#field.value === '') this.#field.value = text;
    });
  }
}
