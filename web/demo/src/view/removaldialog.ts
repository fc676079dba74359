import { openDialog } from './dialog.js';
import { freshId, h, setText } from './element.js';

/** Says what is lost with a profile, and asks. `remove` takes what is shown away once it is done. */
export function openRemovalDialog(name: string, remove: () => void): void {
  const id = freshId('understood');
  const understood = h('input', { id, type: 'checkbox', required: true });
  const problem = h('p', { class: 'problem', role: 'alert' });
  const go = h('button', { type: 'submit', class: 'grave' }, 'Remove profile');
  let removing = false;
  const submit = (): void => {
    if (removing) return;
    setText(problem, understood.checked ? '' : 'Tick the box first: this cannot be undone.');
    if (!understood.checked) return understood.focus();
    removing = true;
    setText(go, 'Removing');
    remove();
  };
  openDialog(`Remove ${name}?`, [
    h('section', {},
      h('p', {}, 'This removes the profile from this browser, in all tabs. It cannot be undone. Lost for good are:'),
      h('ul', { class: 'losses' },
        h('li', {}, 'Its key and its address. The key is nowhere but in this browser: nobody can bring it back, not you and not the node.'),
        h('li', {}, 'All its messages here, and what still waits to be sent.'),
        h('li', {}, 'Its conversations. The others keep what they have, but what they write to this address is read by nobody; they are not told.'))),
    h('form', { class: 'fields', novalidate: true, onsubmit: (event) => { event.preventDefault(); submit(); } },
      h('p', { class: 'check' }, understood, h('label', { for: id }, 'I know that nobody can bring this profile back')),
      problem, go),
  ]);
}
