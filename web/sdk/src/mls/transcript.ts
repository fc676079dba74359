import { History, shownOf } from './history.js';
import { entryOf, outboxPrefix, queuedEntry, readKey } from './records.js';
import type { EntryRecord, OutboxRecord, ReadRecord } from './records.js';
import type { Entry, Message } from './types.js';
import type { Update, Vault } from './vault.js';

/** What is held in memory of the past; all that is older is read from the vault. */
const mostHeld = { entries: 500, bytes: 4 * 1024 * 1024 };

/** What a conversation shows: the latest entries, what is queued, and what is unread. Follows what was written. */
export class Transcript {
  readonly #history: History;
  /** By seq, a notice after a message of the same seq. */
  readonly #settled: Entry[] = [];
  /** Of the settled entries. */
  #bytes = 0;
  /** By place, and what is shown of each. */
  #queue: OutboxRecord[];
  readonly #queued = new WeakMap<OutboxRecord, Message>();
  #read: number;
  /** Whether there was something before the settled entries. */
  #hasEarlier: boolean;
  /** What `entries` gave last; undefined after a change. */
  #shown: readonly Entry[] | undefined;

  private constructor(history: History, latest: readonly Entry[], hasEarlier: boolean, queue: OutboxRecord[], read: number) {
    this.#history = history;
    this.#hasEarlier = hasEarlier;
    this.#queue = queue;
    this.#read = read;
    for (const entry of latest) this.#settle(entry);
  }

  /** `kept` is how many bytes of the past are kept in the vault. */
  static async open(id: string, vault: Vault, kept: number): Promise<Transcript> {
    const [history, queue, read] = await Promise.all([
      History.open(id, vault, kept),
      vault.list<OutboxRecord>({ prefix: outboxPrefix(id) }),
      vault.get<ReadRecord>(readKey(id)),
    ]);
    const latest = await history.before(undefined, mostHeld);
    const [first] = latest;
    const earlier = first?.seq === undefined ? [] : await history.before(first.seq, { entries: 1, bytes: 0 });
    return new Transcript(history, latest, earlier.length > 0, queue.map(([, entry]) => entry), read?.through ?? 0);
  }

  get entries(): readonly Entry[] {
    this.#shown ??= [...this.#settled, ...this.#queue.map((record) => this.#queuedEntry(record))];
    return this.#shown;
  }

  get hasEarlier(): boolean {
    return this.#hasEarlier;
  }

  /** Of those in memory. */
  get unread(): number {
    return this.#settled.filter((entry) =>
      (entry.seq ?? 0) > this.#read && entry.kind === 'message' && entry.direction === 'in').length;
  }

  get queue(): readonly OutboxRecord[] {
    return this.#queue;
  }

  /** The place after all that are queued. */
  get nextPlace(): number {
    return (this.#queue.at(-1)?.place ?? 0) + 1;
  }

  /** The changes that keep an entry, whose content is whole; once they are written it is added. */
  keep(entry: EntryRecord): Promise<Update[]> {
    return this.#history.keep(entry);
  }

  add(record: EntryRecord): void {
    this.#settle(entryOf(record));
    this.#shown = undefined;
  }

  enqueue(record: OutboxRecord): void {
    this.#queue = [...this.#queue, record];
    this.#shown = undefined;
  }

  /** Puts a changed record in its place; none takes it out. */
  requeue(place: number, record: OutboxRecord | undefined): void {
    this.#queue = this.#queue.flatMap((other) => (other.place === place ? (record ?? []) : other));
    this.#shown = undefined;
  }

  readThrough(seq: number): void {
    this.#read = Math.max(this.#read, seq);
  }

  earlier(before: number, limit: number): Promise<Entry[]> {
    return this.#history.before(before, { entries: limit, bytes: Infinity });
  }

  /** A message whole; undefined if it is not kept any more. */
  async content({ id, seq, size, bytes }: Message): Promise<Uint8Array<ArrayBuffer> | undefined> {
    if (bytes.length === size) return bytes;
    const queued = this.#queue.find((record) => record.id === id);
    if (queued) return queued.content;
    const settled = seq ?? this.#settled.find((entry) => entry.id === id)?.seq; // it may have been sent meanwhile
    return settled === undefined ? undefined : this.#history.content(settled);
  }

  #settle(entry: Entry): void {
    const before = this.#settled.findLastIndex((other) => precedes(other, entry));
    this.#settled.splice(before + 1, 0, entry);
    this.#bytes += shownOf(entry);
    while (this.#settled.length > mostHeld.entries || (this.#bytes > mostHeld.bytes && this.#settled.length > 1)) {
      const [oldest] = this.#settled.splice(0, 1);
      if (oldest) this.#bytes -= shownOf(oldest);
      this.#hasEarlier = true;
    }
  }

  #queuedEntry(record: OutboxRecord): Message {
    const made = this.#queued.get(record) ?? queuedEntry(record);
    this.#queued.set(record, made);
    return made;
  }
}

function precedes(a: Entry, b: Entry): boolean {
  return a.seq !== b.seq ? (a.seq ?? 0) < (b.seq ?? 0) : a.kind === 'message' || b.kind === 'notice';
}
