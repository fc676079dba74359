type Listener = (event: Event) => void;
type Attributes = Readonly<Record<string, string | boolean | Listener | undefined>>;
type Child = Node | string | undefined;

/**
 * Makes an element. Text becomes text nodes and listeners are added as such, so nothing here can turn
 * text into markup or script.
 */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K, attributes: Attributes = {}, ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  complete(element, attributes, children);
  return element;
}

/** The same for SVG. */
export function s<K extends keyof SVGElementTagNameMap>(
  tag: K, attributes: Attributes = {}, ...children: Child[]
): SVGElementTagNameMap[K] {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  complete(element, attributes, children);
  return element;
}

function complete(element: Element, attributes: Attributes, children: readonly Child[]): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') element.addEventListener(name.slice('on'.length), value);
    else if (value !== undefined && value !== false) element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.filter((child) => child !== undefined));
}

/** Sets text only where it changed: a live region speaks up whenever it is touched. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** Calls back when Enter is pressed, unless it ends a word that is being composed, or begins a new line. */
export function onEnter(field: HTMLElement, pressed: () => void): void {
  field.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    pressed();
  });
}

/** A number of ids for labels, unique on the page. */
let ids = 0;
export function freshId(what: string): string {
  return `${what}-${++ids}`;
}
