import { maxName, tidyName } from '../link.js';
import type { Profile } from '../model.js';
import { mark } from './brand.js';
import { freshId, h, setText } from './element.js';

export interface ChooserActions {
  open(profile: Profile): void;
  /** Gives back what is wrong, in a sentence, if there is no new profile. */
  create(name: string): Promise<string | undefined>;
}

/** The first screen: who are you, on this device? */
export function chooser(profiles: readonly Profile[], actions: ChooserActions): HTMLElement {
  const id = freshId('name');
  const name = h('input', { id, type: 'text', dir: 'auto', required: true, maxlength: String(maxName), autocomplete: 'nickname' });
  const problem = h('p', { class: 'problem', role: 'alert' });
  const submit = async (): Promise<void> => {
    const tidy = tidyName(name.value);
    const wrong = tidy === '' ? 'Give it a name: the people you write to will see it.' : await actions.create(tidy);
    setText(problem, wrong ?? '');
    if (wrong !== undefined) name.focus();
  };
  return h('main', { class: 'welcome' },
    h('h1', {}, mark(), 'quicproquo'),
    h('p', { class: 'lead' }, 'Two people, one conversation, and nobody else: it is encrypted here, in your browser, and read in theirs.'),
    ...(profiles.length === 0 ? [] : [h('section', {},
      h('h2', {}, 'Profiles on this device'),
      h('ul', { class: 'profiles' }, ...profiles.map((profile) => h('li', {},
        h('button', { type: 'button', dir: 'auto', onclick: () => actions.open(profile) }, profile.name)))))]),
    h('section', {},
      h('h2', {}, profiles.length === 0 ? 'Create a profile' : 'Create another'),
      h('form', { class: 'fields', onsubmit: (event) => { event.preventDefault(); void submit(); } },
        h('label', { for: id }, 'Your name, as your friends know it'), name, problem,
        h('button', { type: 'submit', class: 'primary' }, 'Create profile')),
      h('p', { class: 'small' }, 'There is no account and no password. The profile is a key that this browser keeps and cannot show to anyone; clear the browser’s data, and it is gone.')),
    h('p', { class: 'small foot' }, h('a', { href: 'docs/' }, 'API reference'), ' · ', h('a', { href: 'demo/licences.txt' }, 'Licences')));
}
