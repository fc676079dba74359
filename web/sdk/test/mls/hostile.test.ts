import { afterEach, expect, test } from 'vitest';
import { Identity, MemoryIdentityStore, QuicproquoError } from '../../src/index.js';
import type { MessengerClient } from '../../src/mls/index.js';
import { MemoryStore, Messenger } from '../../src/mls/index.js';
import { Loop } from '../../src/mls/loop.js';
import { entryKey, entryPrefix, keyPackagePrefix, keyPackageKey } from '../../src/mls/records.js';
import { Vault } from '../../src/mls/vault.js';
import { settled } from '../manual.js';
import { ModelNode } from './model.js';
import { Party, messages, texts } from './party.js';

const parties: Party[] = [];
afterEach(async () => {
  await Promise.all(parties.splice(0).map((party) => party.closeIfOpen()));
});

async function enter(node: ModelNode, wrap: (client: MessengerClient) => MessengerClient = (client) => client): Promise<Party> {
  const party = await Party.of((identity) => wrap(node.client(identity.address)));
  parties.push(party);
  await party.open();
  return party;
}

/** Lets work go on that waits for cryptography. */
async function muchSettled(): Promise<void> {
  for (let i = 0; i < 100; i++) await crypto.subtle.digest('SHA-256', new Uint8Array(1)).then(settled);
}

test('a wake-up is never lost, however late in a pass it comes', async () => {
  for (let later = 0; later < 12; later++) {
    let [wanted, seen] = [0, 0];
    const loop = new Loop(async () => { seen = wanted; });
    loop.wake();
    for (let i = 0; i < later; i++) await Promise.resolve();
    wanted = 1;
    loop.wake();
    await settled();
    expect(seen).toBe(1);
  }
});

test('a node that gives the channel of another for the one that was asked for is not believed', async () => {
  const node = new ModelNode();
  const mallory = await enter(node);
  const bob = await enter(node);
  const alice = await enter(node, (client) => ({ ...client, createChannel: () => client.createChannel(mallory.address) }));
  await alice.messenger.start(mallory.address);
  await expect(alice.messenger.start(bob.address)).rejects.toMatchObject({ code: 'internal' });
});

test('a channel with nobody is not kept, and the profile opens again', async () => {
  const node = new ModelNode();
  let asked = 0;
  const alice = await enter(node, (client) => ({ ...client, channel: async (id) => {
    asked++;
    return { ...await client.channel(id), peer: '!' };
  } }));
  const bob = await enter(node);
  await (await bob.messenger.start(alice.address)).send('hello');
  await expect.poll(() => asked).toBeGreaterThan(0);
  await alice.reopen();
  expect(alice.messenger.conversations()).toEqual([]);
});

test('a profile that opens by half is closed whole before another may have it', async () => {
  const node = new ModelNode();
  const [bob, carol] = [await enter(node), await enter(node)];
  let open = (): void => undefined;
  const gate = new Promise<void>((resolve) => { open = resolve; });
  let hold = false;
  const alice = await enter(node, (client) => ({ ...client, send: async (...sending) => {
    const receipt = await client.send(...sending);
    if (hold) await gate;
    return receipt;
  } }));
  const there = await alice.messenger.start(bob.address);
  const other = await alice.messenger.start(carol.address);
  for (const conversation of [there, other]) {
    await conversation.send('one');
    await conversation.flushed();
  }
  hold = true;
  await there.send('two');
  await alice.messenger.close();
  const [entry] = await alice.store.list({ prefix: entryPrefix(other.id) });
  await alice.store.write([{ key: entry?.[0] ?? entryKey(other.id, 1), value: new Uint8Array(40) }]);
  await expect(alice.open()).rejects.toMatchObject({ code: 'damaged' });
  const kept = await alice.store.list({ prefix: '' });
  open();
  await muchSettled();
  expect(await alice.store.list({ prefix: '' })).toEqual(kept);
});

test('an acknowledgement that failed is made up for as soon as something else happens', async () => {
  const node = new ModelNode();
  let away = true;
  const bob = await enter(node, (client) => ({ ...client, ack: (id, through) => {
    if (away) return Promise.reject(new QuicproquoError('unavailable', 'for long', { retryAfterMs: 600_000 }));
    return client.ack(id, through);
  } }));
  const alice = await enter(node);
  await (await alice.messenger.start(bob.address)).send('hello');
  const here = await bob.until(alice, (conversation) => texts(conversation).length === 1);
  await muchSettled();
  away = false;
  await here.send('hello yourself');
  await expect.poll(() => node.waiting(here.id, bob.address)).toEqual([]);
});

test('a node that refuses key packages, or never has enough, does not fill the store', async () => {
  const identity = await Identity.generate({ store: new MemoryIdentityStore() });
  const model = new ModelNode().client(identity.address);
  const open = async (store: MemoryStore, upload: MessengerClient['uploadKeyPackages']): Promise<void> => {
    let asked = 0;
    const client: MessengerClient = { ...model, uploadKeyPackages: upload, keyPackageStatus: () => {
      asked++;
      return Promise.resolve([]);
    } };
    const messenger = await Messenger.open({ client, identity, store, keyPackages: 3 });
    await expect.poll(() => asked).toBeGreaterThan(0);
    await settled();
    await messenger.close();
  };
  const refusing = new MemoryStore();
  await open(refusing, () => Promise.reject(new QuicproquoError('invalid_argument', 'the clock is wrong')));
  expect(await refusing.list({ prefix: keyPackagePrefix })).toEqual([]);
});

test('what is full of key packages gets no more', async () => {
  const identity = await Identity.generate({ store: new MemoryIdentityStore() });
  const store = new MemoryStore();
  const vault = await Vault.open(store);
  const keepUntil = Math.floor(Date.now() / 1000) + 3600;
  await vault.write(Array.from({ length: 2000 }, (_, i) => [keyPackageKey(`${i}`), { ref: `${i}`, keepUntil }] as const));
  let uploads = 0;
  const model = new ModelNode().client(identity.address);
  const client: MessengerClient = { ...model, uploadKeyPackages: () => Promise.resolve(uploads++) };
  const messenger = await Messenger.open({ client, identity, store, keyPackages: 3 });
  await muchSettled();
  await messenger.close();
  expect(uploads).toBe(0);
  expect(await store.list({ prefix: keyPackagePrefix })).toHaveLength(2000);
});

test('a Buffer is kept as the bytes that it is', async () => {
  const node = new ModelNode();
  const [alice, bob] = [await enter(node), await enter(node)];
  const there = await alice.messenger.start(bob.address);
  const buffer = Buffer.from('bytes');
  await there.send(buffer as Uint8Array<ArrayBuffer>);
  buffer.fill(0);
  await there.flushed();
  await alice.reopen();
  expect(messages(alice.with(bob))).toMatchObject([{ text: 'bytes' }]);
});

test('reading what was read changes nothing, and tells nobody', async () => {
  const node = new ModelNode();
  const [alice, bob] = [await enter(node), await enter(node)];
  await (await alice.messenger.start(bob.address)).send('hello');
  const here = await bob.until(alice, (conversation) => texts(conversation).length === 1);
  await here.markRead();
  let told = 0;
  bob.messenger.subscribe(() => { told++; });
  await here.markRead();
  expect([here.unread, told]).toEqual([0, 0]);
  await bob.messenger.close();
  await here.markRead();
});

test('a loop over a messenger’s events that is left while it waits ends at once', async () => {
  const alice = await enter(new ModelNode());
  const loop = alice.messenger.events()[Symbol.asyncIterator]();
  const waiting = loop.next();
  expect(await loop.return?.()).toEqual({ done: true, value: undefined });
  expect(await waiting).toEqual({ done: true, value: undefined });
});

test('who waits for a channel that is gone is told', async () => {
  const node = new ModelNode();
  let gone = false;
  const alice = await enter(node, (client) => ({ ...client, send: (...sending) =>
    gone ? Promise.reject(new QuicproquoError('channel_not_found', 'no such channel')) : client.send(...sending) }));
  const bob = await enter(node);
  const there = await alice.messenger.start(bob.address);
  gone = true;
  await there.send('too late');
  await expect(there.flushed()).rejects.toMatchObject({ code: 'closed' });
  expect(there.state).toBe('closed');
});
