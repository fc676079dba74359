import { afterEach, expect, test } from 'vitest';
import { QuicproquoError } from '../../src/index.js';
import type { ServerEvent } from '../../src/index.js';
import { MemoryStore } from '../../src/mls/index.js';
import type { MessengerClient, MessengerOptions, Store } from '../../src/mls/index.js';
import { contentKey, entryPrefix } from '../../src/mls/records.js';
import type { EntryRecord } from '../../src/mls/records.js';
import type { Desk, Ledger } from '../../src/mls/ledger.js';
import { Outbox } from '../../src/mls/outbox.js';
import { Transcript } from '../../src/mls/transcript.js';
import { Vault } from '../../src/mls/vault.js';
import type { Update } from '../../src/mls/vault.js';
import { pauseAfter } from '../../src/mls/waiting.js';
import { settled } from '../manual.js';
import { ModelNode } from './model.js';
import { Party, messages } from './party.js';

const kib = 1024;
const parties: Party[] = [];
afterEach(async () => {
  await Promise.all(parties.splice(0).map((party) => party.closeIfOpen()));
});

async function enter(
  node: ModelNode, options: Partial<MessengerOptions> = {}, wrap: (client: MessengerClient) => MessengerClient = (client) => client,
): Promise<Party> {
  const party = await Party.of((identity) => wrap(node.client(identity.address)), options);
  parties.push(party);
  await party.open();
  return party;
}

function entry(seq: number, bytes: number): EntryRecord {
  return { direction: 'in', id: `${seq}`, seq, time: seq, content: new Uint8Array(bytes).fill(65) };
}

/** What a store holds of a kind of records, in bytes. */
async function weight(store: Store, prefix: string): Promise<number> {
  return (await store.list({ prefix })).reduce((sum, [, value]) => sum + value.length, 0);
}

async function fill(transcript: Transcript, vault: Vault, entries: EntryRecord[]): Promise<void> {
  for (const one of entries) {
    await vault.write(await transcript.keep(one));
    transcript.add(one);
  }
}

test('a large message is shown cut, with its size, and can be had whole, on both sides and after a reload', async () => {
  const node = new ModelNode();
  const [alice, bob] = [await enter(node), await enter(node)];
  const there = await alice.messenger.start(bob.address);
  // The cut goes through a character of three bytes.
  const text = '€'.repeat(30 * kib);
  const whole = Buffer.from(text);
  const sent = await there.send(text);
  expect([sent.size, sent.bytes.length]).toEqual([whole.length, 64 * kib]);
  expect(whole.equals(await there.content(sent) ?? Buffer.alloc(0))).toBe(true);
  await bob.until(alice, (conversation) => messages(conversation).length === 1);
  await there.flushed();
  await Promise.all([alice.reopen(), bob.reopen()]);
  for (const conversation of [alice.with(bob), bob.with(alice)]) {
    const [message] = messages(conversation);
    if (!message) throw new Error('nothing was kept');
    expect([message.size, message.bytes.length]).toEqual([whole.length, 64 * kib]);
    expect(message.text === text.slice(0, Math.floor(64 * kib / 3))).toBe(true);
    expect(whole.equals(await conversation.content(message) ?? Buffer.alloc(0))).toBe(true);
  }
  const small = await bob.with(alice).send('short');
  expect([small.size, await bob.with(alice).content(small)]).toEqual([5, small.bytes]);
});

test('what is held in memory is bounded by its bytes, the same after a reload; what came before is read back', async () => {
  const vault = await Vault.open(new MemoryStore());
  const transcript = await Transcript.open('c', vault, Infinity);
  expect([transcript.hasEarlier, transcript.entries]).toEqual([false, []]);
  await fill(transcript, vault, Array.from({ length: 80 }, (_, i) => entry(i + 1, 70 * kib)));
  const again = await Transcript.open('c', vault, Infinity);
  for (const one of [transcript, again]) {
    expect(one.entries.map(({ seq }) => seq)).toEqual(Array.from({ length: 64 }, (_, i) => 17 + i));
    expect([one.hasEarlier, one.unread]).toEqual([true, 64]);
  }
  const earlier = await again.earlier(17, 100);
  expect(earlier.map(({ seq }) => seq)).toEqual(Array.from({ length: 16 }, (_, i) => 1 + i));
  expect(again.entries[3]).toBe(again.entries[3]);
});

test('what is kept of the past is bounded by its bytes: the oldest go first, and nothing of them stays', async () => {
  const store = new MemoryStore();
  const vault = await Vault.open(store);
  const transcript = await Transcript.open('c', vault, 1000 * kib);
  const small = Array.from({ length: 150 }, (_, i) => entry(i + 1, 10));
  const large = Array.from({ length: 8 }, (_, i) => entry(151 + i, 200 * kib));
  await fill(transcript, vault, [...small, ...large]);
  // A sealed record is text in base64, and takes some more.
  expect(await weight(store, '')).toBeLessThan(1000 * kib * 2);
  const again = await Transcript.open('c', vault, 1000 * kib);
  expect(again.entries.map(({ seq }) => seq)).toEqual([155, 156, 157, 158]);
  expect(again.hasEarlier).toBe(false);
  expect((await store.list({ prefix: 'content/' })).map(([key]) => key)).toEqual([155, 156, 157, 158].map((seq) => contentKey('c', seq)));
  // The account outlives a reload, and one that is larger than all that may be kept is kept alone.
  await fill(again, vault, [entry(159, 2000 * kib)]);
  expect(await store.list({ prefix: entryPrefix('c') })).toHaveLength(1);
  expect(await again.earlier(160, 10)).toMatchObject([{ seq: 159, size: 2000 * kib }]);
  await fill(again, vault, [entry(160, 10)]);
  expect((await again.earlier(161, 10)).map(({ seq }) => seq)).toEqual([160]);
});

test('a messenger keeps of each conversation what it was told to', async () => {
  const node = new ModelNode();
  const [alice, bob] = [await enter(node), await enter(node, { history: 300 * kib })];
  const there = await alice.messenger.start(bob.address);
  for (let i = 0; i < 6; i++) await there.send(new Uint8Array(100 * kib));
  await there.flushed();
  await bob.until(alice, (conversation) => messages(conversation).length === 6);
  const here = await bob.reopen().then(() => bob.with(alice));
  expect(messages(here).map(({ seq }) => seq)).toEqual([6, 7]);
  expect(messages(there)).toHaveLength(6);
});

test('what waits to be sent is bounded by its bytes', async () => {
  const vault = await Vault.open(new MemoryStore());
  const transcript = await Transcript.open('c', vault, Infinity);
  const ledger = { standing: { id: 'c' }, write: (updates: Update[]) => vault.write(updates), changed: () => undefined };
  const outbox = new Outbox({} as Desk, ledger as unknown as Ledger, transcript);
  const large = new Uint8Array(5 * kib * kib);
  for (let place = 1; place <= 12; place++) transcript.enqueue({ place, id: `${place}`, content: large, time: 0 });
  await expect(outbox.add(large)).rejects.toMatchObject({ code: 'outbox_full' });
  await outbox.add(new Uint8Array(10));
  expect(transcript.entries).toHaveLength(13);
});

test('a node that delivers faster than a messenger reads waits', async () => {
  let open = (): void => undefined;
  const gate = new Promise<void>((resolve) => { open = resolve; });
  const id = '6f1b0c9e-52d5-4c0e-9f0d-0a8a5b3c2d1e';
  let [given, most] = [0, 0];
  async function* flood({ signal }: { signal: AbortSignal }): AsyncGenerator<ServerEvent> {
    for (; given < 300; given++) {
      yield { type: 'message', channelId: id, seq: given + 1, receivedAt: new Date(0), payload: new Uint8Array(9) };
    }
    await new Promise((resolve) => { signal.addEventListener('abort', resolve); });
  }
  const peer = await enter(new ModelNode());
  const store = new MemoryStore();
  const slow: Store = {
    key: () => store.key(), get: (key) => store.get(key), list: (range) => store.list(range), close: () => {},
    write: async (changes) => {
      if (given > 0 && changes.some(({ key }) => key.startsWith(entryPrefix(id)))) await gate;
      return store.write(changes);
    },
  };
  const party = await enter(new ModelNode(), { store: slow, heal: false }, (client) => ({
    ...client, events: flood, ack: () => Promise.resolve(),
    channel: () => Promise.resolve({ id, peer: peer.address, acked: 0 }),
  }));
  await expect.poll(() => given).toBeGreaterThan(30);
  for (let i = 0; i < 50; i++) await settled();
  most = given;
  expect(most).toBeLessThan(40);
  open();
  await expect.poll(() => party.messenger.conversation(id)?.entries.length).toBe(300);
});

test('a node that asks to wait for ever is asked again, and not at once', () => {
  const asked = (retryAfterMs: number): number => pauseAfter(0, new QuicproquoError('rate_limited', 'later', { retryAfterMs }));
  expect(asked(Number.MAX_SAFE_INTEGER)).toBeLessThan(1_000_000); // beyond 2^31 timers run at once
  expect(asked(5000)).toBeGreaterThanOrEqual(5000);
});
