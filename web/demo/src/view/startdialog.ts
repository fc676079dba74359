import { maxName, parseInvitation } from '../link.js';
import type { Invitation } from '../link.js';
import { openDialog } from './dialog.js';
import { freshId, h, setText } from './element.js';

/**
 * Asks whom to talk with. `start` gives back what is wrong, in a sentence, or undefined if the conversation
 * is there.
 */
export function openStartDialog(
  start: (invitation: Invitation) => Promise<string | undefined>, given?: Invitation, whenClosed?: () => void,
): void {
  const addressId = freshId('address');
  const nameId = freshId('name');
  const address = h('textarea', { id: addressId, rows: '3', required: true, spellcheck: 'false', autocomplete: 'off', autocapitalize: 'none' });
  const name = h('input', { id: nameId, type: 'text', maxlength: String(maxName), autocomplete: 'off' });
  const problem = h('p', { class: 'problem', role: 'alert' });
  const go = h('button', { type: 'submit', class: 'primary' }, 'Start conversation');
  address.value = given?.address ?? '';
  name.value = given?.name ?? '';
  address.addEventListener('input', () => {
    const pasted = parseInvitation(address.value);
    if (pasted && name.value === '') name.value = pasted.name;
  });
  const submit = async (): Promise<void> => {
    const invitation = parseInvitation(address.value);
    if (!invitation) return setText(problem, 'This is no address: it has 43 letters, digits, - and _, or is a link with one.');
    go.disabled = true;
    const wrong = await start({ address: invitation.address, name: name.value.trim() });
    go.disabled = false;
    if (wrong === undefined) dialog.close();
    else setText(problem, wrong);
  };
  const dialog = openDialog(given ? `Talk with ${given.name || 'someone new'}?` : 'New conversation', [
    h('form', { class: 'fields', onsubmit: (event) => { event.preventDefault(); void submit(); } },
      h('label', { for: addressId }, 'Their address, or the link they gave you'), address,
      h('label', { for: nameId }, 'What you call them'), name,
      problem, go),
  ], whenClosed);
  (given ? go : address).focus();
}
