import type { Line, NoticeLine, Talk, TextLine } from '../model.js';
import { h, setText } from './element.js';
import { icon } from './icon.js';
import type { IconName } from './icon.js';
import { KeyedList } from './keyedlist.js';
import type { Row } from './keyedlist.js';
import { linked } from './linked.js';
import { dayOf, momentOf, timeOf } from './times.js';

const awayFromEnd = 300; // pixels

export interface TranscriptActions {
  showEarlier(): void;
  /** Takes a message away that was not sent. */
  discard(id: string): void;
}

/** A line with what its neighbours make of it. Never changes: a line between other neighbours is placed anew. */
interface Placed {
  readonly line: Line;
  readonly before: Line | undefined;
  readonly today: number;
  /** The day, above its first line. */
  readonly day: string | undefined;
  /** Whether the same person goes on. */
  readonly follows: boolean;
}

/** The lines of one conversation: a log, to which what comes is read out. One for each conversation that is shown. */
export class TranscriptView {
  readonly element: HTMLElement;
  /** Stands below it, and leads a reader who scrolled back to the latest line. */
  readonly tail: HTMLElement;
  readonly #list: KeyedList<Placed>;
  readonly #earlier: HTMLButtonElement;
  readonly #beginning = h('p', { class: 'beginning' });
  /** By line, as long as it is shown. */
  readonly #placed = new WeakMap<Line, Placed>();

  constructor(name: string, actions: TranscriptActions) {
    const log = h('div', { class: 'lines', role: 'log', 'aria-label': `Messages with ${name}` });
    this.#earlier = h('button', { type: 'button', class: 'quiet earlier', hidden: true, onclick: actions.showEarlier }, 'Show earlier messages');
    // The style sheet lays it out from the end, so that it stays there as lines come, unless the reader scrolled back.
    this.element = h('div', { class: 'transcript', tabindex: '0', role: 'region', 'aria-label': `Conversation with ${name}` },
      h('div', {}, this.#earlier, this.#beginning, log));
    const latest = h('button', { type: 'button', hidden: true, onclick: () => this.toEnd() }, 'Latest messages');
    this.element.addEventListener('scroll', () => {
      const isAtEnd = this.element.scrollTop >= -awayFromEnd; // it counts down from the end
      if (isAtEnd && document.activeElement === latest) this.element.focus();
      latest.hidden = isAtEnd;
    });
    this.tail = h('div', { class: 'tail' }, latest);
    this.#list = new KeyedList(log, ({ line }) => line.id, (placed) => rowOf(placed, actions));
  }

  update({ lines, more, name, compared }: Talk): void {
    if (!more && document.activeElement === this.#earlier) this.element.focus();
    this.#earlier.hidden = !more;
    this.#beginning.hidden = more;
    setText(this.#beginning, `Only you and ${name} can read what is written here. ${compared
      ? 'You have compared the safety number.' : `Under “Safety” you can make sure that it is ${name}.`}`);
    const today = new Date().setHours(0, 0, 0, 0);
    this.#list.update(lines.map((line, i) => this.#place(line, lines[i - 1], today)));
  }

  /** Shows the latest line. */
  toEnd(): void {
    this.element.scrollTop = 0;
  }

  #place(line: Line, before: Line | undefined, today: number): Placed {
    const known = this.#placed.get(line);
    if (known && known.before === before && known.today === today) return known;
    const placed = place(line, before, today);
    this.#placed.set(line, placed);
    return placed;
  }
}

function place(line: Line, before: Line | undefined, today: number): Placed {
  const day = dayOf(line.at);
  const newDay = before === undefined || dayOf(before.at) !== day;
  const follows = !newDay && line.kind === 'text' && before.kind === 'text' && before.mine === line.mine
    && line.at - before.at < 5 * 60_000;
  return { line, before, today, day: newDay ? day : undefined, follows };
}

function rowOf(first: Placed, actions: TranscriptActions): Row<Placed> {
  const day = h('p', { class: 'day' });
  const inner = first.line.kind === 'text' ? new TextRow(first.line, actions) : new NoticeRow(first.line);
  const element = h('div', { class: 'line' }, day, inner.element);
  return {
    element,
    update({ line, day: heading, follows }) {
      day.hidden = heading === undefined;
      day.textContent = heading ?? '';
      element.classList.toggle('follows', follows);
      if (line.kind === 'text' && inner instanceof TextRow) inner.update(line);
    },
  };
}

const deliveries: Record<Exclude<TextLine['delivery'], 'received' | 'failed' | 'lost'>, readonly [IconName, string]> = {
  queued: ['clock', 'Waiting to be sent'],
  sent: ['check', 'Sent'],
};

class TextRow {
  readonly element: HTMLElement;
  readonly #time = h('time', {});
  readonly #mark = h('span', { class: 'mark' });
  readonly #discard: HTMLButtonElement;

  constructor(line: TextLine, actions: TranscriptActions) {
    this.#discard = h('button', { type: 'button', class: 'quiet', onclick: () => actions.discard(line.id) }, 'Remove');
    this.element = h('div', { class: line.mine ? 'bubble mine' : 'bubble theirs' },
      h('span', { class: 'unseen' }, line.mine ? 'You: ' : 'They: '),
      h('p', { class: 'text', dir: 'auto' }, ...linked(line.text)),
      h('span', { class: 'meta' }, this.#time, this.#mark));
  }

  update({ at, delivery }: TextLine): void {
    this.#time.dateTime = new Date(at).toISOString();
    this.#time.title = momentOf(at);
    this.#time.textContent = timeOf(at);
    this.element.dataset['delivery'] = delivery;
    if (delivery === 'failed') this.#mark.replaceChildren(icon('alert'), 'Not sent: the node does not take it', this.#discard);
    else if (delivery === 'lost') this.#mark.replaceChildren(icon('alert'), 'Not sent');
    else if (delivery !== 'received') this.#mark.replaceChildren(icon(...deliveries[delivery]));
  }
}

const notices: Record<NoticeLine['sort'], IconName> = {
  gap: 'gap', undecryptable: 'alert', refused: 'alert', reestablished: 'lock',
};

class NoticeRow {
  readonly element: HTMLElement;

  constructor(line: NoticeLine) {
    this.element = h('p', { class: 'notice', 'data-sort': line.sort }, icon(notices[line.sort]), h('span', {}, line.text));
  }
}
