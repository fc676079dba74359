import { s } from './element.js';

const strokes = {
  back: 'M15 5l-7 7 7 7',
  clock: 'M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16zM12 8v4.5l3 2',
  check: 'M5 12.5l4.5 4.5L19 7.5',
  checks: 'M2 12.5l4.5 4.5L15 8M11 15.5l1.5 1.5L22 7.5',
  alert: 'M12 4l9 16H3zM12 10v4.5M12 17v.5',
  plus: 'M12 5v14M5 12h14',
  qr: 'M4 4h6v6H4zM14 4h6v6h-6zM4 14h6v6H4zM14 14h3v3M20 14v6h-6',
  shield: 'M12 3l7.5 3v5.5c0 4.5-3 8-7.5 9.5-4.5-1.5-7.5-5-7.5-9.5V6zM8.5 12l2.5 2.5 4.5-5',
  send: 'M4 12l16-8-5 16-3.5-6.5z',
  lock: 'M6 11h12v9H6zM8.5 11V8a3.5 3.5 0 0 1 7 0v3',
  gap: 'M3 12h5M16 12h5M11 7l2 10',
} as const;

export type IconName = keyof typeof strokes;

/** A drawn sign. With a label it is an image of that name, else it only decorates. */
export function icon(name: IconName, label?: string): SVGSVGElement {
  const named = label === undefined ? { 'aria-hidden': 'true' } : { role: 'img', 'aria-label': label };
  return s('svg', { class: 'icon', viewBox: '0 0 24 24', ...named },
    ...(label === undefined ? [] : [s('title', {}, label)]),
    s('path', { d: strokes[name] }));
}
