import { mark } from './brand.js';
import { h } from './element.js';

export interface StandstillAction {
  readonly label: string;
  run(): void;
}

/** A screen that says why there is no chat here, and what one can do. */
export function standstill(title: string, sentence: string, actions: readonly StandstillAction[]): HTMLElement {
  return h('main', { class: 'welcome standstill' },
    h('h1', { tabindex: '-1' }, mark(), title),
    h('p', { class: 'lead' }, sentence),
    h('p', { class: 'actions' }, ...actions.map(({ label, run }, i) =>
      h('button', { type: 'button', class: i === 0 ? 'primary' : 'quiet', onclick: run }, label))));
}
