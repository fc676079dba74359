import { s } from './element.js';

const tones = 8;

/**
 * The picture of an address: a disc cut in two at an angle, in two tones, all taken from the key itself,
 * so that two people see the same picture of a third.
 */
export function avatar(address: string): SVGSVGElement {
  const hash = mix(address);
  const first = hash % tones;
  const second = (first + 1 + (hash >>> 8) % (tones - 1)) % tones;
  const angle = ((hash >>> 16) % 12) * 30;
  return s('svg', { class: 'avatar', viewBox: '0 0 32 32', 'aria-hidden': 'true' },
    s('g', { transform: `rotate(${angle} 16 16)` },
      s('path', { class: `tone-${first}`, d: 'M15.2 2a14 14 0 0 0 0 28z' }),
      s('path', { class: `tone-${second}`, d: 'M16.8 2a14 14 0 0 1 0 28z' })));
}

/** FNV-1a: spreads, and promises nothing. The safety number is what compares keys. */
function mix(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return (hash ^ (hash >>> 15)) >>> 0;
}
