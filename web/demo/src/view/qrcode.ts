import { encode } from 'uqr';
import { s } from './element.js';

/** A QR code as one path, dark on light whatever the colours of the page: cameras want it so. */
export function qrCode(text: string, label: string): SVGSVGElement {
  const { size, data } = encode(text, { ecc: 'M', border: 3 });
  const runs = data.flatMap((row, y) => row.map((dark, x) => (dark ? `M${x} ${y}h1v1h-1z` : '')));
  return s('svg', { class: 'qr', viewBox: `0 0 ${size} ${size}`, role: 'img', 'aria-label': label },
    s('rect', { class: 'light', width: String(size), height: String(size) }),
    s('path', { class: 'dark', d: runs.join('') }));
}
