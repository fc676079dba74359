import { IDBFactory } from 'fake-indexeddb';
import 'fake-indexeddb/auto';
import { decodeGroupState } from 'ts-mls';
import { afterEach, describe, expect, test } from 'vitest';
import { Identity, MemoryIdentityStore, encodeBase64url } from '../../src/index.js';
import { IndexedDBStore, MemoryLocks, MemoryStore, Messenger, safetyNumber } from '../../src/mls/index.js';
import type { Change, Store } from '../../src/mls/index.js';
import type { ConversationRecord, KeyPackageRecord } from '../../src/mls/records.js';
import { Vault } from '../../src/mls/vault.js';
import { ModelNode } from './model.js';
import { Party, messages, texts } from './party.js';

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

async function open(store: Store, node = new ModelNode(), options: Partial<Parameters<typeof Messenger.open>[0]> = {}) {
  const identity = options.identity ?? await Identity.generate({ store: new MemoryIdentityStore() });
  const messenger = await Messenger.open({ client: node.client(identity.address), store, keyPackages: 3, ...options, identity });
  closing.push(() => messenger.close());
  return messenger;
}

/** A store that remembers all that was ever written. */
function witnessed(store: Store, written: Change[]): Store {
  return { key: () => store.key(), get: (key) => store.get(key), list: (range) => store.list(range), close: () => {},
    write: (changes) => { written.push(...changes); return store.write(changes); } };
}

test('what is stored shows no secret key and no word that was said', async () => {
  const node = new ModelNode();
  const written: Change[] = [];
  const disk = new MemoryStore();
  const alice = await open(witnessed(disk, written), node);
  const bob = await Party.of((identity) => node.client(identity.address));
  await bob.open();
  closing.push(() => bob.messenger.close());
  const there = await alice.start(bob.address);
  await there.send('a secret between us');
  const here = await bob.until({ address: alice.address } as Party, (conversation) => texts(conversation).length === 1);
  await here.send('our answer');
  await there.updateKeys();
  await there.flushed();

  const vault = await Vault.open(disk);
  const secrets: Uint8Array[] = ['a secret between us', 'our answer'].map((text) => new TextEncoder().encode(text));
  for (const [, record] of await vault.list<KeyPackageRecord>({ prefix: 'keypackage/' })) {
    secrets.push(record.initPrivateKey, record.encryptionPrivateKey);
  }
  for (const [, record] of await vault.list<ConversationRecord>({ prefix: 'conversation/' })) {
    const state = decodeGroupState(record.group ?? new Uint8Array(), 0)?.[0];
    if (!state) throw new Error('no group was stored');
    secrets.push(state.keySchedule.initSecret, state.keySchedule.exporterSecret, ...Object.values(state.privatePath.privateKeys));
  }
  expect(secrets.length).toBeGreaterThan(10);
  const images = written.flatMap(({ value }) => (value ? [Buffer.from(value)] : []));
  for (const secret of secrets) {
    for (const form of [Buffer.from(secret), Buffer.from(encodeBase64url(secret)), Buffer.from(secret).toString('hex')]) {
      expect(images.some((image) => image.includes(form))).toBe(false);
    }
  }
});

test('the keys that seal and sign cannot be exported', async () => {
  const store = new MemoryStore();
  const identity = await Identity.generate({ store: new MemoryIdentityStore() });
  await open(store, undefined, { identity });
  await expect(crypto.subtle.exportKey('raw', await store.key())).rejects.toThrow();
  await expect(crypto.subtle.exportKey('pkcs8', identity.privateKey)).rejects.toThrow();
});

test('a record that was changed, or put in another’s place, does not open', async () => {
  const store = new MemoryStore();
  const vault = await Vault.open(store);
  await vault.write([['one', { a: new Uint8Array([1, 2]) }], ['two', { b: 2 }]]);
  expect(await vault.get('one')).toEqual({ a: new Uint8Array([1, 2]) });
  const one = await store.get('one') as Uint8Array<ArrayBuffer>;
  await store.write([{ key: 'two', value: one }]);
  await expect(vault.get('two')).rejects.toMatchObject({ code: 'damaged' });
  await store.write([{ key: 'one', value: one.map((byte, i) => (i === 20 ? byte ^ 1 : byte)) }]);
  await expect(vault.get('one')).rejects.toMatchObject({ code: 'damaged' });
});

test('a store is one identity’s, and conversations are an Ed25519 identity’s', async () => {
  const store = new MemoryStore();
  await (await open(store)).close();
  await expect(open(store)).rejects.toMatchObject({ code: 'wrong_identity' });
  const identity = await Identity.generate({ store: new MemoryIdentityStore(), algorithm: 'P-256' });
  await expect(open(new MemoryStore(), undefined, { identity })).rejects.toMatchObject({ code: 'wrong_identity' });
});

describe('one tab has a profile', () => {
  test('a second one is told so, and a third one that waits gets it afterwards', async () => {
    const identity = await Identity.generate({ store: new MemoryIdentityStore() });
    const [store, locks, node] = [new MemoryStore(), new MemoryLocks(), new ModelNode()];
    const first = await open(store, node, { identity, locks });
    await expect(open(store, node, { identity, locks })).rejects.toMatchObject({ code: 'profile_in_use' });
    const third = open(store, node, { identity, locks, wait: true });
    await first.close();
    expect((await third).address).toBe(identity.address);
  });

  test('waiting can be given up, and leaves the way free', async () => {
    const identity = await Identity.generate({ store: new MemoryIdentityStore() });
    const [store, locks, node] = [new MemoryStore(), new MemoryLocks(), new ModelNode()];
    const first = await open(store, node, { identity, locks });
    const patience = new AbortController();
    const second = open(store, node, { identity, locks, wait: true, signal: patience.signal });
    patience.abort(new Error('enough'));
    await expect(second).rejects.toThrow('enough');
    await first.close();
    await open(store, node, { identity, locks });
  });

  test('a profile that does not open is given back', async () => {
    const [store, locks, node] = [new MemoryStore(), new MemoryLocks(), new ModelNode()];
    await (await open(store, node)).close();
    const identity = await Identity.generate({ store: new MemoryIdentityStore() });
    await expect(open(store, node, { identity, locks })).rejects.toMatchObject({ code: 'wrong_identity' });
    await open(new MemoryStore(), node, { identity, locks });
  });
});

describe('IndexedDB', () => {
  test('keeps a profile across reloads', async () => {
    const factory = new IDBFactory();
    const [node, identity] = [new ModelNode(), await Identity.generate({ store: new MemoryIdentityStore() })];
    const bob = await Party.of((bobs) => node.client(bobs.address));
    await bob.open();
    closing.push(() => bob.messenger.close());
    const first = await open(new IndexedDBStore({ factory }), node, { identity });
    const there = await first.start(bob.address);
    await there.send('kept');
    await there.flushed();
    await first.close();
    const second = await open(new IndexedDBStore({ factory }), node, { identity });
    const again = second.conversations()[0];
    if (!again) throw new Error('the conversation was not kept');
    expect(messages(again)).toMatchObject([{ text: 'kept', delivery: 'sent', seq: 2 }]);
    await again.send('and goes on');
    await bob.until({ address: identity.address } as Party, (conversation) => texts(conversation).includes('and goes on'));
  });

  test.each([['IndexedDB', () => new IndexedDBStore({ factory: new IDBFactory() })], ['memory', () => new MemoryStore()]])('%s: ranges, atomic changes, one key', async (_name, make) => {
    const store: Store = make();
    const value = (byte: number): Uint8Array<ArrayBuffer> => new Uint8Array([byte]);
    await store.write(['a/1', 'a/2', 'a/3', 'b/1'].map((key, i) => ({ key, value: value(i) })));
    await store.write([{ key: 'a/2', value: undefined }, { key: 'a/4', value: value(9) }]);
    expect(await store.list({ prefix: 'a/' })).toEqual([['a/1', value(0)], ['a/3', value(2)], ['a/4', value(9)]]);
    expect(await store.list({ prefix: 'a/', last: 1 })).toEqual([['a/4', value(9)]]);
    expect(await store.list({ prefix: 'a/', before: 'a/4', last: 1 })).toEqual([['a/3', value(2)]]);
    expect(await store.list({ prefix: 'a/', first: 2 })).toEqual([['a/1', value(0)], ['a/3', value(2)]]);
    expect(await store.list({ prefix: 'c/' })).toEqual([]);
    expect([await store.get('b/1'), await store.get('b/2')]).toEqual([value(3), undefined]);
    const [one, other] = await Promise.all([store.key(), store.key()]);
    const iv = new Uint8Array(12);
    const sealed = await crypto.subtle.encrypt({ name: 'AES-GCM', iv }, one, value(7));
    expect(new Uint8Array(await crypto.subtle.decrypt({ name: 'AES-GCM', iv }, other, sealed))).toEqual(value(7));
    store.close();
  });
});

test('the safety number is what its derivation says', async () => {
  const [low, high] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)];
  // Computed by: printf 'quicproquo safety number v1\0' + low + high | sha512sum, five bytes at a time, modulo 100000.
  const expected = '75897 95569 62539 80082 67099 82983 26215 28412 99085 21914 82042 57358';
  expect(await safetyNumber(low, high)).toBe(expected);
  expect(await safetyNumber(high, low)).toBe(expected);
  expect(await safetyNumber(low, low)).not.toBe(expected);
});
