import { QuicproquoError } from '../errors.js';
import { Acknowledger } from './acknowledging.js';
import { MessengerError } from './errors.js';
import { epochsKept } from './group.js';
import type { Group, Mls } from './group.js';
import { Loop } from './loop.js';
import type { MessengerClient } from './ports.js';
import { entryKey, outboxKey, readKey } from './records.js';
import type { EntryRecord, OutboxRecord, ReadRecord } from './records.js';
import { Receiver } from './receiving.js';
import type { Item } from './receiving.js';
import { replaced, standingUpdate } from './standing.js';
import type { Pending, Standing } from './standing.js';
import type { Transcript } from './transcript.js';
import type { ConversationState } from './types.js';
import type { Vault } from './vault.js';
import { Waiters, randomId, pauseAfter } from './waiting.js';

/** What all conversations of a messenger share. */
export interface Desk {
  readonly client: MessengerClient;
  readonly mls: Mls;
  readonly vault: Vault;
  readonly heal: boolean;
  /** Aborts when the messenger closes. */
  readonly signal: AbortSignal;
  changed(id: string): void;
  /** The messenger cannot go on: what is in memory and what is stored may differ. */
  failed(error: unknown): void;
}

/** A message id is remembered by the node for seven days, in which this many may wait. */
const queueLimit = 1000;

/** What the node will not take at any later time either. */
const hopeless = ['payload_too_large', 'invalid_argument', 'permission_denied', 'message_id_reused'];

/**
 * Drives one conversation. One step runs at a time, and a step writes before it sends or acknowledges, and changes
 * what is in memory only when that is written: after a crash at any point the next engine goes on from the record.
 *
 * Welcomes and commits go out with `ifHead`, as `pending`, and nothing else is handled until their fate is known:
 * stored, which makes the next group the present one, or overtaken, which leaves all as it was.
 */
export class Engine {
  readonly transcript: Transcript;
  readonly #desk: Desk;
  readonly #receiver: Receiver;
  /** As it is written. Owned by the steps. */
  #standing: Standing;
  /** Unhandled, in order; bounded by the stream's window. */
  readonly #inbox: Item[] = [];
  readonly #updated = new Waiters();
  readonly #regrouped = new Waiters();
  readonly #emptied = new Waiters();
  readonly #steps = new Loop(() => this.#run());
  #timer: ReturnType<typeof setTimeout> | undefined;
  #failures = 0;
  #problem: QuicproquoError | undefined;
  /** The node does not know the channel. */
  #gone = false;
  /** `want` was called and is not written yet. */
  #wants = false;
  /** The place of the message that is being encrypted. */
  #sealing: number | undefined;
  #place: number;
  #enqueuing: Promise<unknown> = Promise.resolve();
  readonly #acks: Acknowledger;

  constructor(desk: Desk, peer: Uint8Array, standing: Standing, transcript: Transcript) {
    this.#desk = desk;
    this.#receiver = new Receiver(desk.mls, desk.vault, peer);
    this.#standing = standing;
    this.transcript = transcript;
    this.#place = transcript.nextPlace;
    this.#acks = new Acknowledger(desk.client, standing.id, standing.received, desk.signal, (error) => this.#settleDown(error));
  }

  get state(): ConversationState { return this.#gone ? 'closed' : this.#standing.state; }
  get epoch(): number | undefined { return this.#standing.group?.epoch; }
  get problem(): QuicproquoError | undefined { return this.#problem; }

  /** Something came from the node. */
  deliver(item: Item): void {
    this.#inbox.push(item);
    this.wake();
  }

  /** There may be something to do, or a reason to try again at once. */
  wake(): void {
    if (this.#desk.signal.aborted) return;
    clearTimeout(this.#timer);
    this.#steps.wake();
  }

  /** A group shall be begun if there is none. */
  want(): void {
    this.#wants = true;
    this.wake();
  }

  send(content: Uint8Array<ArrayBuffer>): Promise<OutboxRecord> {
    return this.#enqueueWork(async () => {
      this.#checkOpen();
      if (this.transcript.queue.length >= queueLimit) throw new MessengerError('outbox_full', `${queueLimit} messages wait`);
      const record = { place: this.#place++, id: randomId(), content, time: Date.now() };
      await this.#write([[outboxKey(this.#standing.id, record.place), record]]);
      this.transcript.enqueue(record);
      this.#changed();
      this.wake();
      return record;
    });
  }

  /** Takes a message back that was not encrypted yet, or that failed; tells whether it could. */
  discard(id: string): Promise<boolean> {
    return this.#enqueueWork(async () => {
      const record = this.transcript.queue.find((other) => other.id === id);
      if (!record || record.place === this.#sealing || (record.sealed && !record.failed)) return false;
      // Out of the queue first, so that no step takes it up while it is being deleted.
      this.transcript.requeue(record.place, undefined);
      await this.#write([[outboxKey(this.#standing.id, record.place), undefined]]);
      this.#changed();
      return true;
    });
  }

  async markRead(): Promise<void> {
    const record: ReadRecord = { through: this.#standing.received };
    await this.#write([[readKey(this.#standing.id), record]]);
    this.transcript.readThrough(record.through);
    this.#changed();
  }

  updateKeys(): Promise<void> { return this.#wait(this.#updated); }
  reestablish(): Promise<void> { return this.#wait(this.#regrouped); }

  async flushed(): Promise<void> {
    if (this.#next() || this.#standing.pending) await this.#wait(this.#emptied);
  }

  /** After the messenger's signal has aborted: resolves when no step runs any more. */
  async stopped(): Promise<void> {
    clearTimeout(this.#timer);
    await Promise.all([this.#steps.idle(), this.#acks.stopped(), this.#enqueuing]);
    const closed = new MessengerError('closed', 'the messenger was closed');
    for (const waiters of [this.#updated, this.#regrouped, this.#emptied]) waiters.reject(closed);
  }

  async #run(): Promise<void> {
    try {
      while (!this.#desk.signal.aborted && await this.#step());
      this.#settleDown(undefined);
    } catch (error) {
      this.#settleDown(error);
    }
  }

  /** One thing at a time, the most urgent first; tells whether there may be more to do. */
  async #step(): Promise<boolean> {
    const { pending, group, state, unanswered } = this.#standing;
    if (pending) return this.#settle(pending);
    const item = this.#inbox[0];
    if (item) {
      await this.#receive(item);
      this.#inbox.shift();
      return true;
    }
    if (this.#gone) return false;
    if (this.#wants) {
      this.#wants = false;
      await this.#put({ ...this.#standing, wanted: true });
    }
    const next = this.#next();
    if (next?.sealed) return this.#deliver(next, next.sealed);
    if (this.#needsGroup()) return this.#found();
    if (state === 'active' && group) {
      // The peer may still send from as many epochs back as are kept.
      if (this.#updated.waiting && unanswered < epochsKept - 1) return this.#commit(group);
      if (next) return this.#seal(next, group);
    }
    if (!next) this.#emptied.resolve();
    return false;
  }

  async #receive(item: Item): Promise<void> {
    if (item.seq > this.#standing.received) {
      const before = this.#standing;
      const { standing, entry, updates } = await this.#receiver.receive(before, item);
      await this.#write(updates);
      this.#standing = standing;
      if (entry) this.transcript.add(entry);
      if (standing.group !== before.group && standing.group?.id !== before.group?.id) this.#regrouped.resolve();
      this.#changed();
      this.#acks.handled(standing.received);
    } else {
      this.#acks.repeated(item.seq);
    }
  }

  /** Handles all that the node holds; returns the head up to which nothing is unknown then. */
  async #catchUp(): Promise<number> {
    const { id } = this.#standing;
    for (;;) {
      const page = await this.#desk.client.fetch(id, { after: this.#standing.received, signal: this.#desk.signal });
      const time = Date.now();
      if (page.gap) await this.#receive({ kind: 'gap', seq: page.gap.to, from: page.gap.from, time });
      for (const message of page.messages) await this.#receive(itemOf(message));
      if (!page.more) return page.head;
    }
  }

  async #found(): Promise<boolean> {
    const ifHead = await this.#catchUp();
    if (!this.#needsGroup()) return true;
    const { peer, claimId = crypto.getRandomValues(new Uint8Array(16)) } = this.#standing;
    // Kept, so that a claim whose answer is lost costs the peer no second package.
    if (!this.#standing.claimId) await this.#put({ ...this.#standing, claimId });
    const { keyPackage } = await this.#desk.client.claimKeyPackage(peer, { suites: [1], claimId });
    const { group, welcome } = await this.#foundWith(keyPackage);
    const pending = { kind: 'welcome' as const, payload: welcome, messageId: randomId(), ifHead, next: group };
    await this.#put({ ...this.#standing, claimId: undefined, pending });
    return true;
  }

  async #foundWith(keyPackage: Uint8Array) {
    try {
      return await this.#desk.mls.found(this.#receiver.peer, keyPackage);
    } catch (cause) {
      await this.#put({ ...this.#standing, claimId: undefined });
      throw new QuicproquoError('key_package_not_found', 'the node handed out a key package that cannot be used', { cause });
    }
  }

  async #commit(group: Group): Promise<boolean> {
    const { next, payload } = await group.commit();
    const ifHead = await this.#catchUp();
    const pending = { kind: 'commit' as const, payload, messageId: randomId(), ifHead, next };
    if (this.#fits(pending)) await this.#put({ ...this.#standing, pending });
    return true;
  }

  /** Whether a pending group is still the one after the present. */
  #fits({ kind, next }: Pending): boolean {
    const { group, state } = this.#standing;
    if (kind === 'welcome') return this.#needsGroup();
    return state === 'active' && group?.id === next.id && group.epoch + 1 === next.epoch;
  }

  async #settle(pending: Pending): Promise<boolean> {
    const { messageId, ifHead, payload } = pending;
    try {
      const receipt = await this.#desk.client.send(this.#standing.id, payload, { messageId, ifHead, signal: this.#desk.signal });
      await this.#stored(pending, receipt.seq, receipt.receivedAt.getTime());
    } catch (error) {
      if (!(error instanceof QuicproquoError) || error.code !== 'precondition_failed') throw error;
      // Not stored, and never to be: the head that it asks for is past. The bytes may be offered again for a later one.
      await this.#put({ ...this.#standing, pending: undefined });
      const head = await this.#catchUp();
      if (this.#fits(pending)) await this.#put({ ...this.#standing, pending: { ...pending, ifHead: head } });
    }
    return true;
  }

  async #stored({ kind, next }: Pending, seq: number, time: number): Promise<void> {
    const before = this.#standing;
    if (kind === 'commit' && before.group) {
      const group = next.following(before.group);
      await this.#put({ ...before, pending: undefined, group, unanswered: before.unanswered + 1 });
      return this.#updated.resolve();
    }
    const standing = { ...replaced(before, next), attempts: before.attempts + 1, foundedAt: Date.now() };
    const entry: EntryRecord | undefined = before.groups.length > 0 || before.state === 'broken'
      ? { notice: 'reestablished', seq, from: seq, time } : undefined;
    await this.#write([standingUpdate(standing), ...(entry ? [[entryKey(standing.id, seq, true), entry] as const] : [])]);
    this.#standing = standing;
    if (entry) this.transcript.add(entry);
    this.#regrouped.resolve();
    this.#changed();
  }

  async #seal(record: OutboxRecord, group: Group): Promise<boolean> {
    this.#sealing = record.place;
    const { group: after, payload } = await group.encrypt(record.content);
    const standing = { ...this.#standing, group: after };
    const sealed = { ...record, sealed: payload };
    // In one step: a key that encrypted something is never met again, and the same bytes are sent whatever happens.
    await this.#write([standingUpdate(standing), [outboxKey(standing.id, record.place), sealed]]);
    this.#standing = standing;
    this.transcript.requeue(record.place, sealed);
    this.#sealing = undefined;
    return true;
  }

  async #deliver(record: OutboxRecord, sealed: Uint8Array<ArrayBuffer>): Promise<boolean> {
    const { id } = this.#standing;
    const key = outboxKey(id, record.place);
    try {
      const receipt = await this.#desk.client.send(id, sealed, { messageId: record.id, signal: this.#desk.signal });
      const { seq, receivedAt } = receipt;
      const entry = { direction: 'out' as const, id: record.id, seq, time: receivedAt.getTime(), content: record.content };
      await this.#write([[key, undefined], [entryKey(id, seq), entry]]);
      this.transcript.requeue(record.place, undefined);
      this.transcript.add(entry);
    } catch (error) {
      if (!(error instanceof QuicproquoError) || !hopeless.includes(error.code)) throw error;
      const failed = { ...record, failed: true };
      await this.#write([[key, failed]]);
      this.transcript.requeue(record.place, failed);
    }
    this.#changed();
    return true;
  }

  /** The first message that waits and is not given up. */
  #next(): OutboxRecord | undefined {
    return this.transcript.queue.find((record) => !record.failed);
  }

  #needsGroup(): boolean {
    const { state, wanted, attempts, foundedAt } = this.#standing;
    if (this.#regrouped.waiting) return true;
    if (state === 'starting') return wanted || this.#next() !== undefined;
    if (state !== 'broken' || !this.#desk.heal) return false;
    // Ever slower while the peer answers none of the new groups.
    const wait = attempts === 0 ? 0 : foundedAt + Math.min(3_600_000, 1000 * 4 ** attempts) - Date.now();
    if (wait > 0) this.#later(wait);
    return wait <= 0;
  }

  /** After the steps: all is done, or an error says that it is to be tried again later. */
  #settleDown(error: unknown): void {
    if (this.#desk.signal.aborted) return;
    if (error !== undefined && !(error instanceof QuicproquoError)) return this.#desk.failed(error);
    if (error?.code === 'channel_not_found') this.#gone = true;
    else if (error) this.#later(pauseAfter(this.#failures++, error));
    else this.#failures = 0;
    const told = this.#problem?.code === error?.code;
    this.#problem = error;
    if (!told) this.#changed();
  }

  #later(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#acks.resume();
      this.wake();
    }, ms);
  }

  async #put(standing: Standing): Promise<void> {
    await this.#write([standingUpdate(standing)]);
    this.#standing = standing;
    this.#changed();
  }

  async #write(updates: Parameters<Vault['write']>[0]): Promise<void> {
    try {
      await this.#desk.vault.write(updates);
    } catch (error) {
      this.#desk.failed(error);
      throw error;
    }
  }

  /** What the owner asks for, in the order in which it was asked. */
  #enqueueWork<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#enqueuing.then(work);
    this.#enqueuing = done.catch(() => {});
    return done;
  }

  #wait(waiters: Waiters): Promise<void> {
    this.#checkOpen();
    const done = waiters.add();
    this.wake();
    return done;
  }

  #checkOpen(): void {
    if (this.#gone || this.#desk.signal.aborted) throw new MessengerError('closed', 'nothing can be sent any more');
  }

  #changed(): void {
    this.#desk.changed(this.#standing.id);
  }
}

/** A message of the node as an item. */
export function itemOf(message: { seq: number; receivedAt: Date; payload: Uint8Array }): Item {
  return { kind: 'message', seq: message.seq, time: message.receivedAt.getTime(), payload: message.payload };
}
