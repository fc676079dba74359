import { QuicproquoError } from '../errors.js';
import { Acknowledger } from './acknowledging.js';
import { MessengerError } from './errors.js';
import { Ledger } from './ledger.js';
import type { Desk } from './ledger.js';
import { Loop } from './loop.js';
import { Outbox } from './outbox.js';
import { Receiver } from './receiving.js';
import type { Item } from './receiving.js';
import { readKey } from './records.js';
import type { OutboxRecord, ReadRecord } from './records.js';
import type { Standing } from './standing.js';
import { Succession } from './succession.js';
import type { Transcript } from './transcript.js';
import type { ConversationState } from './types.js';
import { Waiters, pauseAfter } from './waiting.js';

/** So many items may wait: what a node's window lets it deliver of one channel. */
const inboxLimit = 32;

/**
 * Drives one conversation. One step runs at a time, and a step writes before it sends or acknowledges, and changes
 * what is in memory only when that is written: after a crash at any point the next engine goes on from the record.
 */
export class Engine {
  readonly transcript: Transcript;
  readonly #desk: Desk;
  readonly #ledger: Ledger;
  readonly #receiver: Receiver;
  readonly #succession: Succession;
  readonly #outbox: Outbox;
  readonly #acks: Acknowledger;
  readonly #steps = new Loop(() => this.#run());
  readonly #emptied = new Waiters();
  /** Unhandled, in order. */
  readonly #inbox: Item[] = [];
  /** Those who deliver while it is full. */
  readonly #room = new Waiters();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #failures = 0;
  #problem: QuicproquoError | undefined;
  /** The node does not know the channel. */
  #gone = false;
  /** `want` was called and is not written yet. */
  #wants = false;

  constructor(desk: Desk, peer: Uint8Array, standing: Standing, transcript: Transcript) {
    this.#desk = desk;
    this.transcript = transcript;
    this.#ledger = new Ledger(desk, standing);
    this.#receiver = new Receiver(desk.mls, desk.vault, peer);
    this.#succession = new Succession(desk, this.#ledger, transcript, peer, () => this.#catchUp());
    this.#outbox = new Outbox(desk, this.#ledger, transcript);
    this.#acks = new Acknowledger(desk.client, standing.id, standing.received, desk.signal, (error) => this.#settleDown(error));
  }

  get state(): ConversationState { return this.#gone ? 'closed' : this.#ledger.standing.state; }
  get epoch(): number | undefined { return this.#ledger.standing.group?.epoch; }
  get problem(): QuicproquoError | undefined { return this.#problem; }

  /** Something came from the node. Resolves when there is room for more. */
  async deliver(item: Item): Promise<void> {
    this.#inbox.push(item);
    this.wake();
    while (this.#inbox.length > inboxLimit && !this.#desk.signal.aborted) await this.#room.add();
  }

  /** There may be something to do, or a reason to try again at once. */
  wake(): void {
    if (this.#desk.signal.aborted) return;
    clearTimeout(this.#timer);
    this.#acks.resume(); // which that timer may have been for
    this.#steps.wake();
  }

  /** A group shall be begun if there is none. */
  want(): void {
    this.#wants = !this.#ledger.standing.wanted;
    this.wake();
  }

  async send(content: Uint8Array<ArrayBuffer>): Promise<OutboxRecord> {
    this.#checkOpen();
    const record = await this.#outbox.add(content);
    this.wake();
    return record;
  }

  async discard(id: string): Promise<boolean> { return !this.#desk.signal.aborted && this.#outbox.discard(id); }

  async markRead(): Promise<void> {
    if (this.transcript.unread === 0 || this.#desk.signal.aborted) return;
    const record: ReadRecord = { through: this.#ledger.standing.received };
    await this.#ledger.write([[readKey(this.#ledger.standing.id), record]]);
    this.transcript.readThrough(record.through);
    this.#ledger.changed();
  }

  updateKeys(): Promise<void> { return this.#wait(this.#succession.updated); }
  reestablish(): Promise<void> { return this.#wait(this.#succession.regrouped); }

  async flushed(): Promise<void> {
    if (this.#outbox.next || this.#ledger.standing.pending) await this.#wait(this.#emptied);
  }

  /** After the messenger's signal has aborted: resolves when no step runs any more. */
  async stopped(): Promise<void> {
    clearTimeout(this.#timer);
    this.#room.resolve();
    await Promise.all([this.#steps.idle(), this.#acks.stopped(), this.#outbox.idle()]);
    this.#giveUp('the messenger was closed');
  }

  /** What is waited for will not come. */
  #giveUp(why: string): void {
    const closed = new MessengerError('closed', why);
    for (const waiters of [this.#succession.updated, this.#succession.regrouped, this.#emptied]) waiters.reject(closed);
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
    const { pending, group, state } = this.#ledger.standing;
    const item = this.#inbox[0];
    const { next } = this.#outbox;
    if (pending) await this.#succession.settle(pending);
    else if (item) await this.#receiveFirst(item);
    else if (this.#gone) return false;
    else if (this.#wants) await this.#write({ wanted: true });
    else if (next?.sealed) await this.#outbox.deliver(next, next.sealed);
    else if (this.#isGroupDue()) await this.#succession.found();
    else if (state === 'active' && group && this.#succession.updateDue) await this.#succession.commit(group);
    else if (state === 'active' && group && next) await this.#outbox.seal(next, group);
    else {
      if (!next) this.#emptied.resolve();
      return false;
    }
    return true;
  }

  async #write(change: Pick<Standing, 'wanted'>): Promise<void> {
    this.#wants = false;
    await this.#ledger.put({ ...this.#ledger.standing, ...change });
  }

  async #receiveFirst(item: Item): Promise<void> {
    await this.#receive(item);
    this.#inbox.shift();
    this.#room.resolve();
  }

  async #receive(item: Item): Promise<void> {
    const before = this.#ledger.standing;
    if (item.seq <= before.received) return this.#acks.repeated(item.seq);
    const { standing, entry, updates } = await this.#receiver.receive(before, item);
    await this.#ledger.put(standing, ...updates, ...(entry ? await this.transcript.keep(entry) : []));
    if (entry) this.transcript.add(entry);
    if (standing.group?.id !== before.group?.id) this.#succession.regrouped.resolve();
    this.#ledger.changed();
    this.#acks.handled(standing.received);
  }

  async #catchUp(): Promise<number> {
    for (;;) {
      const { id, received } = this.#ledger.standing;
      const page = await this.#desk.client.fetch(id, { after: received });
      if (page.gap) await this.#receive({ kind: 'gap', seq: page.gap.to, from: page.gap.from, time: Date.now() });
      for (const message of page.messages) await this.#receive(itemOf(message));
      if (!page.more) return page.head;
    }
  }

  #isGroupDue(): boolean {
    const due = this.#succession.groupDue(this.#outbox.next !== undefined);
    if (due) this.#later(due);
    return due === 0;
  }

  /** After the steps: all is done, or an error says that it is to be tried again later. */
  #settleDown(error: unknown): void {
    if (this.#desk.signal.aborted) return;
    if (error !== undefined && !(error instanceof QuicproquoError)) return this.#desk.failed(error);
    if (error?.code === 'channel_not_found') {
      this.#gone = true;
      this.#giveUp('the node does not know the channel any more');
    }
    else if (error) this.#later(pauseAfter(this.#failures++, error));
    else this.#failures = 0;
    const told = this.#problem?.code === error?.code;
    this.#problem = error;
    if (!told) this.#ledger.changed();
  }

  #later(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.wake(), ms);
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
}

/** A message of the node as an item. */
export function itemOf(message: { seq: number; receivedAt: Date; payload: Uint8Array }): Item {
  return { kind: 'message', seq: message.seq, time: message.receivedAt.getTime(), payload: message.payload };
}
