import { linkTo } from '../link.js';
import type { Invitation } from '../link.js';
import { fact, openDialog } from './dialog.js';
import { h } from './element.js';
import { qrCode } from './qrcode.js';

/** Shows one's own address in all the ways that one gives it to somebody. */
export function openAddressDialog(me: Invitation): void {
  const link = linkTo(me, location.href);
  openDialog('My address', [
    h('p', {}, 'Whoever has it can write to you. It is a public key: no secret, and no name but the one you send along.'),
    qrCode(link, 'QR code of the link below'),
    h('dl', { class: 'facts' },
      ...fact('Link', link, 'Copy link'), ...fact('Address', me.address, 'Copy address')),
  ]);
}
