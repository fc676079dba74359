import { s } from './element.js';

/** The sign of the house: two halves that face each other, one a little ahead. */
export function mark(): SVGSVGElement {
  return s('svg', { class: 'brand', viewBox: '0 0 32 32', 'aria-hidden': 'true' },
    s('path', { class: 'quid', d: 'M15 3a12 12 0 0 0 0 24z' }),
    s('path', { class: 'quo', d: 'M17 5a12 12 0 0 1 0 24z' }));
}
