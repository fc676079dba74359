/** What a connection may deliver unacknowledged (PRODUCT: 128 messages or 16 MiB, a quarter of it of one channel). */
const mostMessages = 128;
const mostBytes = 16 * 1024 * 1024;
const quarter = 4;

/** What is counted at most: far more than a node delivers that keeps to the above. */
const mostCounted = 1 << 14;

/** Counts what one connection delivered and nobody acknowledged yet: the node stops there. */
export class Window {
  readonly #channels = new Map<string, Queue>();
  readonly #all = { messages: 0, bytes: 0 };
  #freed: Promise<void> | undefined; // one for all who wait
  #free: () => void = () => undefined;

  /** The highest seq that was delivered of a channel, which is as far as may be acknowledged on this connection. */
  delivered(channelId: string): number {
    return this.#channels.get(channelId)?.delivered ?? 0;
  }

  /** Whether the node does not stop. */
  get overrun(): boolean {
    return this.#all.messages > mostCounted;
  }

  /** A message was delivered, or a gap, which weighs nothing. */
  deliver(channelId: string, seq: number, bytes: number | undefined): void {
    const queue = this.#channels.get(channelId) ?? { delivered: 0, messages: [], bytes: 0 };
    this.#channels.set(channelId, queue);
    queue.delivered = Math.max(queue.delivered, seq);
    if (bytes === undefined) return;
    queue.messages.push({ seq, bytes });
    queue.bytes += bytes;
    this.#all.messages += 1;
    this.#all.bytes += bytes;
  }

  acked(channelId: string, through: number): void {
    const queue = this.#channels.get(channelId);
    for (let first = queue?.messages[0]; queue && first && first.seq <= through; first = queue.messages[0]) {
      queue.messages.shift();
      queue.bytes -= first.bytes;
      this.#all.messages -= 1;
      this.#all.bytes -= first.bytes;
    }
    this.#free();
    this.#freed = undefined;
  }

  /** Resolves with the next acknowledgement. */
  freed(): Promise<void> {
    this.#freed ??= new Promise((resolve) => { this.#free = resolve; });
    return this.#freed;
  }

  /** How many more messages of the channel may come; one always may where none is unacknowledged. */
  room(channelId: string): number {
    const queue = this.#channels.get(channelId);
    if (this.#all.bytes >= mostBytes || (queue?.bytes ?? 0) >= mostBytes / quarter) return 0;
    const ofAll = mostMessages - this.#all.messages;
    const ofIts = mostMessages / quarter - (queue?.messages.length ?? 0);
    return Math.max(0, Math.min(ofAll, ofIts));
  }
}

interface Queue {
  delivered: number;
  messages: { readonly seq: number; readonly bytes: number }[];
  bytes: number;
}
