import { maxName, parseInvitation, tidyName } from '../link.js';
import type { Invitation } from '../link.js';
import { openDialog } from './dialog.js';
import { freshId, h, onEnter, setText } from './element.js';

const noAddress = 'This is no address, or not all of one: it has 43 letters, digits, - and _, or is a link with one.';

/**
 * Asks whom to talk with; what is given may be less than a whole address. `start` gives back what is wrong, in a sentence, or undefined if the conversation
 * is there.
 */
export function openStartDialog(
  start: (invitation: Invitation) => Promise<string | undefined>, given?: Invitation,
): void {
  const addressId = freshId('address');
  const nameId = freshId('name');
  const address = h('textarea', { id: addressId, dir: 'ltr', rows: '3', required: true, spellcheck: 'false', autocomplete: 'off', autocapitalize: 'none' });
  const name = h('input', { id: nameId, type: 'text', dir: 'auto', maxlength: String(maxName), autocomplete: 'off' });
  const problem = h('p', { class: 'problem', role: 'alert' });
  const go = h('button', { type: 'submit', class: 'primary' }, 'Start conversation');
  address.value = given?.address ?? '';
  name.value = given?.name ?? '';
  address.addEventListener('input', () => {
    const pasted = parseInvitation(address.value);
    if (pasted && name.value === '') name.value = pasted.name;
  });
  const refuse = (wrong: string): void => {
    setText(problem, wrong);
    address.focus();
  };
  let asking = false;
  const submit = async (): Promise<void> => {
    const invitation = parseInvitation(address.value);
    if (!invitation) return refuse(noAddress);
    if (asking) return;
    asking = true;
    setText(problem, '');
    setText(go, 'Asking the node');
    const wrong = await start({ address: invitation.address, name: tidyName(name.value) });
    asking = false;
    setText(go, 'Start conversation');
    if (wrong === undefined) dialog.close();
    else refuse(wrong);
  };
  const isWhole = given !== undefined && parseInvitation(given.address) !== undefined;
  const form = h('form', { class: 'fields', onsubmit: (event) => { event.preventDefault(); void submit(); } },
    h('label', { for: addressId }, 'Their address, or the link they gave you'), address,
    h('label', { for: nameId }, 'What you call them'), name,
    problem, go);
  onEnter(address, () => form.requestSubmit());
  const dialog = openDialog(isWhole ? `Talk with ${given.name || 'someone new'}?` : 'New conversation', [form]);
  if (isWhole) go.focus();
  else if (given) refuse(noAddress);
  else address.focus();
}
