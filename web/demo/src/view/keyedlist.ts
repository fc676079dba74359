/** One row on the screen. */
export interface Row<T> {
  readonly element: Element;
  update(item: T): void;
}

/**
 * Keeps a parent's children in step with a list of items. An item never changes: what changed is another item
 * under the same key, and only the rows of those are touched.
 */
export class KeyedList<T> {
  readonly #parent: Element;
  readonly #key: (item: T) => string;
  readonly #make: (item: T) => Row<T>;
  #rows = new Map<string, { readonly row: Row<T>; readonly item: T }>();

  constructor(parent: Element, key: (item: T) => string, make: (item: T) => Row<T>) {
    this.#parent = parent;
    this.#key = key;
    this.#make = make;
  }

  update(items: readonly T[]): void {
    const rows = new Map<string, { readonly row: Row<T>; readonly item: T }>();
    for (const item of items) {
      const key = this.#key(item);
      const known = this.#rows.get(key);
      const row = known?.row ?? this.#make(item);
      if (known?.item !== item) row.update(item);
      rows.set(key, { row, item });
    }
    for (const [key, { row }] of this.#rows) if (!rows.has(key)) row.element.remove();
    this.#rows = rows;
    this.#arrange();
  }

  /** Puts rows in their places from the front; those that are in place are not moved. */
  #arrange(): void {
    let next = this.#parent.firstElementChild;
    for (const { row: { element } } of this.#rows.values()) {
      if (element === next) next = next.nextElementSibling;
      else this.#parent.insertBefore(element, next);
    }
  }
}
