import { freshId, h } from './element.js';

/**
 * Opens a dialog over the page; the platform keeps the focus inside, closes it at Escape or a click beside it, and
 * gives the focus back. `whenClosed` runs once it is gone.
 */
export function openDialog(title: string, content: readonly Node[], whenClosed: () => void = () => {}): HTMLDialogElement {
  const id = freshId('dialog');
  const dialog = h('dialog', { 'aria-labelledby': id, closedby: 'any' },
    h('header', {},
      h('h2', { id, dir: 'auto' }, title),
      h('button', { type: 'button', class: 'quiet close', onclick: () => dialog.close() }, 'Close')),
    ...content);
  dialog.addEventListener('close', () => {
    dialog.remove();
    whenClosed();
  });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/** Something to give away: what it is, a button that copies it, and the thing itself. */
export function fact(name: string, text: string, copy: string): Node[] {
  return [h('dt', {}, name), h('dd', {}, copyButton(copy, text)), h('dd', { class: 'whole' }, h('code', {}, text))];
}

/** A button that copies, and says that it did. */
function copyButton(label: string, text: string): HTMLElement {
  const said = h('span', { class: 'said', role: 'status' });
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text);
      said.textContent = 'Copied';
    } catch {
      said.textContent = 'The browser did not allow it: select and copy by hand';
    }
  };
  return h('span', { class: 'copy' }, h('button', { type: 'button', onclick: () => void copy() }, label), said);
}
