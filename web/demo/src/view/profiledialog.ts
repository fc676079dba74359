import { openDialog } from './dialog.js';
import { h } from './element.js';

/** What one can do with the profile that is open. */
export function openProfileDialog(name: string, remove: () => void): void {
  const dialog = openDialog(name, [
    h('section', {},
      h('h3', {}, 'This browser'),
      h('p', {}, 'The profile and all its messages are kept in this browser, and nowhere else.'),
      h('p', {}, h('button', { type: 'button', onclick: () => {
        dialog.close();
        remove();
      } }, 'Remove this profile from this browser…'))),
  ]);
}
