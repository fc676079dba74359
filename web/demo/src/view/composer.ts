import { freshId, h, onEnter, setText } from './element.js';
import { icon } from './icon.js';

const most = 20_000; // characters of a message

export interface ComposerActions {
  /** Gives back what is wrong, in a sentence, if the text was not taken. */
  send(text: string): Promise<string | undefined>;
  /** What was begun here before. */
  draft(): string;
  keepDraft(text: string): void;
}

/** Where one writes. Enter sends, Shift and Enter begin a new line. */
export class ComposerView {
  readonly #field: HTMLTextAreaElement;
  readonly #problem = h('p', { class: 'problem', role: 'alert' });
  readonly element: HTMLFormElement;
  readonly #actions: ComposerActions;

  constructor(name: string, actions: ComposerActions) {
    this.#actions = actions;
    const id = freshId('message');
    this.#field = h('textarea', {
      id, rows: '1', dir: 'auto', placeholder: 'Write a message', autocomplete: 'off', enterkeyhint: 'send',
      oninput: () => {
        setText(this.#problem, '');
        actions.keepDraft(this.#field.value);
      },
    });
    this.#field.value = actions.draft();
    onEnter(this.#field, () => this.element.requestSubmit());
    this.element = h('form', { class: 'composer', onsubmit: (event) => this.#submit(event) },
      this.#problem,
      h('label', { for: id, class: 'unseen' }, `Message to ${name}`),
      this.#field,
      h('button', { type: 'submit', class: 'round', 'aria-label': 'Send' }, icon('send')));
  }

  focus(): void {
    this.#field.focus();
  }

  #submit(event: Event): void {
    event.preventDefault();
    const text = this.#field.value.trim();
    if (text === '') return;
    this.#field.focus();
    if (text.length > most) {
      return setText(this.#problem, `These are ${text.length} characters, and ${most} are the most at once.`);
    }
    this.#set('');
    void this.#actions.send(text).then((problem) => {
      setText(this.#problem, problem ?? '');
      // What could not be taken is not lost, unless something new is being written already.
      if (problem !== undefined && this.#field.value === '') this.#set(text);
    });
  }

  #set(text: string): void {
    this.#field.value = text;
    this.#actions.keepDraft(text);
  }
}
