import { maxName, tidyName } from '../link.js';
import { fact, openDialog } from './dialog.js';
import { freshId, h } from './element.js';

/** What the details of a conversation show and change. */
export interface Details {
  readonly peer: string;
  readonly name: string;
  readonly compared: boolean;
  readonly safetyNumber: string;
  readonly epoch: number | undefined;
  rename(name: string): void;
  setCompared(compared: boolean): void;
  /** Gives back what became of it, in a sentence. */
  updateKeys(): Promise<string>;
}

export function openDetailsDialog(details: Details): void {
  const nameId = freshId('name');
  const name = h('input', { id: nameId, type: 'text', dir: 'auto', maxlength: String(maxName), value: details.name, autocomplete: 'off' });
  let called = details.name;
  const rename = (): void => {
    if (tidyName(name.value) === called) return;
    called = tidyName(name.value);
    details.rename(called);
  };
  name.addEventListener('change', rename);
  const comparedId = freshId('compared');
  const compared = h('input', { id: comparedId, type: 'checkbox', checked: details.compared });
  compared.addEventListener('change', () => details.setCompared(compared.checked));
  openDialog(details.name, [
    h('div', { class: 'fields' }, h('label', { for: nameId }, 'What you call them'), name),
    h('section', {},
      h('h3', {}, 'Safety number'),
      h('p', {}, 'Compare it by voice, or side by side. If it is the same on both screens, nobody sits between you, the node included.'),
      h('ol', { class: 'safety', 'aria-label': 'Safety number' },
        ...details.safetyNumber.split(' ').map((group) => h('li', {}, group))),
      h('p', { class: 'check' }, compared, h('label', { for: comparedId }, 'We have compared it, and it is the same'))),
    h('section', {}, h('h3', {}, 'Keys'), ...keys(details)),
    h('dl', { class: 'facts' }, ...fact('Address', details.peer, 'Copy address')),
  ], rename);
}

function keys(details: Details): Node[] {
  const said = h('span', { class: 'said', role: 'status' });
  let waiting = false;
  const update = h('button', { type: 'button', onclick: () => {
    if (waiting) return;
    waiting = true;
    said.textContent = 'Waiting for the node';
    void details.updateKeys().then((outcome) => {
      said.textContent = outcome;
      waiting = false;
    });
  } }, 'Renew keys');
  return [
    h('p', {}, 'Each message has a key of its own. Renewing shuts out whoever might have copied this device before.'),
    h('p', { class: 'copy' }, update, said),
  ];
}
