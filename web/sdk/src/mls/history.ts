import { contentKey, entryKey, entryOf, entryPrefix, historyKey, shownBytes } from './records.js';
import type { EntryRecord, HistoryRecord } from './records.js';
import type { Entry } from './types.js';
import type { Update, Vault } from './vault.js';

/** What an entry weighs beside its content. */
const overhead = 256;

/** Records that are read at once. */
const step = 64;

/**
 * What is kept of a conversation's past, up to so many bytes: a peer, or a node with its noise, could fill the disk
 * otherwise, and a store that is full ends the messenger. The oldest entries go first.
 */
export class History {
  readonly #id: string;
  readonly #vault: Vault;
  readonly #most: number;
  /** What is kept weighs so much. Owned by the steps of the conversation's engine, of which one runs at a time. */
  #bytes: number;

  private constructor(id: string, vault: Vault, most: number, bytes: number) {
    this.#id = id;
    this.#vault = vault;
    this.#most = most;
    this.#bytes = bytes;
  }

  static async open(id: string, vault: Vault, most: number): Promise<History> {
    return new History(id, vault, most, (await vault.get<HistoryRecord>(historyKey(id)))?.bytes ?? 0);
  }

  /** The changes that keep an entry, to be written in one step with what led to it. */
  async keep(entry: EntryRecord): Promise<Update[]> {
    const weight = weightOf(entry);
    await this.#makeRoomFor(weight);
    this.#bytes += weight;
    const updates: Update[] = [this.#account()];
    if ('notice' in entry || entry.content.length <= shownBytes) return [...updates, [this.#keyOf(entry), entry]];
    const { content } = entry;
    const shown: EntryRecord = { ...entry, content: content.slice(0, shownBytes), size: content.length };
    return [...updates, [this.#keyOf(entry), shown], [contentKey(this.#id, entry.seq), { content }]];
  }

  /** The latest entries before a seq, in order: so many at most, and so many bytes, but always one if there is one. */
  async before(seq: number | undefined, most: { readonly entries: number; readonly bytes: number }): Promise<Entry[]> {
    const found: Entry[] = [];
    let [key, bytes] = [seq === undefined ? undefined : entryKey(this.#id, seq), 0];
    while (found.length < most.entries) {
      const last = Math.min(step, most.entries - found.length);
      const records = await this.#vault.list<EntryRecord>({ prefix: entryPrefix(this.#id), before: key, last });
      for (const [, record] of records.reverse()) {
        const entry = entryOf(record);
        bytes += shownOf(entry);
        if (bytes > most.bytes && found.length > 0) return found.reverse();
        found.push(entry);
      }
      if (records.length < last) break;
      key = records.at(-1)?.[0];
    }
    return found.reverse();
  }

  /** All of a message of which only the beginning is shown; undefined if it is not kept any more. */
  async content(seq: number): Promise<Uint8Array<ArrayBuffer> | undefined> {
    return (await this.#vault.get<{ content: Uint8Array<ArrayBuffer> }>(contentKey(this.#id, seq)))?.content;
  }

  /** In writes of its own: should it end in between, only what was to go is gone. */
  async #makeRoomFor(weight: number): Promise<void> {
    while (this.#bytes + weight > this.#most) {
      const updates: Update[] = [];
      const oldest = await this.#vault.list<EntryRecord>({ prefix: entryPrefix(this.#id), first: step });
      if (oldest.length === 0) this.#bytes = 0;
      for (const [key, record] of oldest) {
        if (this.#bytes + weight <= this.#most) break;
        this.#bytes = Math.max(0, this.#bytes - weightOf(record));
        updates.push([key, undefined]);
        if ('size' in record) updates.push([contentKey(this.#id, record.seq), undefined]);
      }
      await this.#vault.write([...updates, this.#account()]);
      if (oldest.length === 0) return; // what comes is larger than all that may be kept
    }
  }

  #account(): Update {
    const record: HistoryRecord = { bytes: this.#bytes };
    return [historyKey(this.#id), record];
  }

  #keyOf(entry: EntryRecord): string {
    return entryKey(this.#id, entry.seq, 'notice' in entry);
  }
}

/** What an entry holds in memory. */
export function shownOf(entry: Entry): number {
  return entry.kind === 'message' ? entry.bytes.length : 0;
}

function weightOf(entry: EntryRecord): number {
  return overhead + ('notice' in entry ? 0 : entry.size ?? entry.content.length);
}
