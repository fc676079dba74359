import { entryKey, entryOf, entryPrefix, outboxPrefix, queuedEntry, readKey } from './records.js';
import type { EntryRecord, OutboxRecord, ReadRecord } from './records.js';
import type { Entry } from './types.js';
import type { Vault } from './vault.js';

/** Entries in memory; all older ones are read from the vault. */
const entriesKept = 500;

/** What a conversation shows: the latest entries, what is queued, and what is unread. Follows what was written. */
export class Transcript {
  readonly #id: string;
  readonly #vault: Vault;
  /** By seq, a notice after a message of the same seq. */
  #settled: EntryRecord[];
  /** By place. */
  #queue: OutboxRecord[];
  #read: number;
  /** What `entries` gave last; undefined after a change. */
  #shown: readonly Entry[] | undefined;

  private constructor(id: string, vault: Vault, settled: EntryRecord[], queue: OutboxRecord[], read: number) {
    this.#id = id;
    this.#vault = vault;
    this.#settled = settled;
    this.#queue = queue;
    this.#read = read;
  }

  static async open(id: string, vault: Vault): Promise<Transcript> {
    const [settled, queue, read] = await Promise.all([
      vault.list<EntryRecord>({ prefix: entryPrefix(id), last: entriesKept }),
      vault.list<OutboxRecord>({ prefix: outboxPrefix(id) }),
      vault.get<ReadRecord>(readKey(id)),
    ]);
    return new Transcript(id, vault, settled.map(([, entry]) => entry), queue.map(([, entry]) => entry), read?.through ?? 0);
  }

  get entries(): readonly Entry[] {
    this.#shown ??= [...this.#settled.map(entryOf), ...this.#queue.map(queuedEntry)];
    return this.#shown;
  }

  /** Of those in memory. */
  get unread(): number {
    return this.#settled.filter((entry) => entry.seq > this.#read && 'direction' in entry && entry.direction === 'in').length;
  }

  /** The seq up to which there are entries. */
  get last(): number {
    return this.#settled.at(-1)?.seq ?? 0;
  }

  get queue(): readonly OutboxRecord[] {
    return this.#queue;
  }

  /** The place after all that are queued. */
  get nextPlace(): number {
    return (this.#queue.at(-1)?.place ?? 0) + 1;
  }

  add(entry: EntryRecord): void {
    const before = this.#settled.findLastIndex((other) => precedes(other, entry));
    this.#settled.splice(before + 1, 0, entry);
    if (this.#settled.length > entriesKept) this.#settled.shift();
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

  async earlier(before: number, limit: number): Promise<Entry[]> {
    const found = await this.#vault.list<EntryRecord>({
      prefix: entryPrefix(this.#id), before: entryKey(this.#id, before), last: limit,
    });
    return found.map(([, entry]) => entryOf(entry));
  }
}

function precedes(a: EntryRecord, b: EntryRecord): boolean {
  return a.seq !== b.seq ? a.seq < b.seq : !('notice' in a) || 'notice' in b;
}
