import { h } from './element.js';

/** An address of the web, without what ends the sentence that it stands in. */
const address = /https?:\/\/[^\s<>"“”«»]*[^\s<>"“”«».,;:!?()[\]{}'’]/giu;

/** A text with its links. What is seen is what is followed, and nobody there learns from where. */
export function linked(text: string): (Node | string)[] {
  const parts: (Node | string)[] = [];
  let end = 0;
  for (const { 0: shown, index } of text.matchAll(address)) {
    if (!URL.canParse(shown)) continue;
    parts.push(text.slice(end, index), link(shown));
    end = index + shown.length;
  }
  return [...parts, text.slice(end)];
}

/** Another's address of this chat is met in this tab, which has the profile. */
function link(shown: string): HTMLAnchorElement {
  const target = new URL(shown).origin === location.origin ? undefined : '_blank';
  return h('a', { href: shown, rel: 'noreferrer', target }, shown);
}
