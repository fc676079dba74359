import { QuicproquoError } from '../errors.js';
import { MessengerError } from './errors.js';
import type { Group } from './group.js';
import type { Desk, Ledger } from './ledger.js';
import { outboxKey } from './records.js';
import type { OutboxRecord } from './records.js';
import type { Transcript } from './transcript.js';
import { randomId } from './waiting.js';

/** So many messages may wait, and so many bytes of them. */
const queueLimit = 1000;
const queueBytes = 64 * 1024 * 1024;

/** What the node will not take at any later time either. */
const hopeless = ['payload_too_large', 'invalid_argument', 'permission_denied', 'message_id_reused'];

/**
 * What waits to be sent, in order. A message is encrypted as late as possible, when it is next, so that what was
 * written offline is encrypted for the group as it is then; from then on the same bytes are sent until their fate is known.
 */
export class Outbox {
  readonly #desk: Desk;
  readonly #ledger: Ledger;
  readonly #transcript: Transcript;
  /** The place of the message that is being encrypted. */
  #sealing: number | undefined;
  #place: number;
  /** What the owner asks for, one after the other. */
  #asked: Promise<unknown> = Promise.resolve();

  constructor(desk: Desk, ledger: Ledger, transcript: Transcript) {
    this.#desk = desk;
    this.#ledger = ledger;
    this.#transcript = transcript;
    this.#place = transcript.nextPlace;
  }

  /** The first message that waits and is not given up. */
  get next(): OutboxRecord | undefined {
    return this.#transcript.queue.find((record) => !record.failed);
  }

  add(content: Uint8Array<ArrayBuffer>): Promise<OutboxRecord> {
    return this.#after(async () => {
      this.#checkRoomFor(content.length);
      const record = { place: this.#place++, id: randomId(), content, time: Date.now() };
      await this.#ledger.write([[this.#key(record), record]]);
      this.#transcript.enqueue(record);
      this.#ledger.changed();
      return record;
    });
  }

  /** Takes a message back that was not encrypted yet, or that failed; tells whether it could. */
  discard(id: string): Promise<boolean> {
    return this.#after(async () => {
      const record = this.#transcript.queue.find((other) => other.id === id);
      if (!record || record.place === this.#sealing || (record.sealed && !record.failed)) return false;
      // Out of the queue first, so that no step takes it up while it is being deleted.
      this.#transcript.requeue(record.place, undefined);
      await this.#ledger.write([[this.#key(record), undefined]]);
      this.#ledger.changed();
      return true;
    });
  }

  /** Encrypts a message. A key that encrypted something is never met again: that is written in one step with what it made. */
  async seal(record: OutboxRecord, group: Group): Promise<void> {
    this.#sealing = record.place;
    const { group: after, payload } = await group.encrypt(record.content);
    const sealed = { ...record, sealed: payload };
    await this.#ledger.put({ ...this.#ledger.standing, group: after }, [this.#key(record), sealed]);
    this.#transcript.requeue(record.place, sealed);
    this.#sealing = undefined;
  }

  /** Sends an encrypted message. If this rejects it may be stored or not, and is to be sent again. */
  async deliver(record: OutboxRecord, sealed: Uint8Array<ArrayBuffer>): Promise<void> {
    const { id } = this.#ledger.standing;
    try {
      const receipt = await this.#desk.client.send(id, sealed, { messageId: record.id });
      const { seq, receivedAt } = receipt;
      const entry = { direction: 'out' as const, id: record.id, seq, time: receivedAt.getTime(), content: record.content };
      await this.#ledger.write([[this.#key(record), undefined], ...await this.#transcript.keep(entry)]);
      this.#transcript.requeue(record.place, undefined);
      this.#transcript.add(entry);
    } catch (error) {
      if (!(error instanceof QuicproquoError) || !hopeless.includes(error.code)) throw error;
      const failed = { ...record, failed: true };
      await this.#ledger.write([[this.#key(record), failed]]);
      this.#transcript.requeue(record.place, failed);
    }
    this.#ledger.changed();
  }

  /** Resolves when nothing that was asked for is being written. */
  async idle(): Promise<void> {
    await this.#asked;
  }

  #checkRoomFor(bytes: number): void {
    const { queue } = this.#transcript;
    if (queue.length >= queueLimit) throw new MessengerError('outbox_full', `${queueLimit} messages wait`);
    const waiting = queue.reduce((sum, { content }) => sum + content.length, 0);
    if (waiting + bytes > queueBytes) throw new MessengerError('outbox_full', `${waiting} bytes of messages wait`);
  }

  #key(record: OutboxRecord): string {
    return outboxKey(this.#ledger.standing.id, record.place);
  }

  #after<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#asked.then(work);
    this.#asked = done.catch(() => {});
    return done;
  }
}
