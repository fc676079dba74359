import { IDBFactory } from 'fake-indexeddb';
import 'fake-indexeddb/auto';
import { afterEach, expect, onTestFinished, test } from 'vitest';
import { Client, Identity, IndexedDBIdentityStore } from '../../src/index.js';
import { IndexedDBStore, MemoryLocks, MemoryStore, Messenger, removeProfile } from '../../src/mls/index.js';
import type { MessengerClient, MessengerOptions, RemovalOptions } from '../../src/mls/index.js';
import { Node } from '../node.js';
import { ModelNode } from './model.js';
import { Party, texts } from './party.js';

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

/** A browser with one profile, and as many tabs as one likes. */
class Browser {
  readonly factory = new IDBFactory();
  readonly place = { name: 'me', store: new IndexedDBIdentityStore({ factory: this.factory }) };
  readonly locks = new MemoryLocks();
  readonly node = new ModelNode();
  identity!: Identity;

  static async start(): Promise<Browser> {
    const browser = new Browser();
    browser.identity = await Identity.generate(browser.place);
    return browser;
  }

  store(): IndexedDBStore {
    return new IndexedDBStore({ factory: this.factory });
  }

  async tab(options: Partial<MessengerOptions> = {}): Promise<Messenger> {
    const { identity, locks, node } = this;
    const client: MessengerClient = node.client(identity.address);
    const messenger = await Messenger.open({ client, identity, locks, store: this.store(), keyPackages: 3, ...options });
    closing.push(() => messenger.close());
    return messenger;
  }

  remove(options: Partial<RemovalOptions> = {}): Promise<{ readonly revoked: boolean }> {
    return removeProfile({ identity: this.place, store: this.store(), locks: this.locks, ...options });
  }

  /** The names of all databases, but for the identities', and the identities in that. */
  async left(): Promise<unknown[]> {
    const databases = (await this.factory.databases()).map(({ name }) => name);
    return [...databases.filter((name) => name !== 'quicproquo-identities'), ...await this.place.store.names()];
  }
}

/** How a messenger ended. */
async function endOf(messenger: Messenger): Promise<Error | undefined> {
  for await (const event of messenger.events()) if (event.type === 'closed') return event.error;
  throw new Error('it ended without a word');
}

test('a profile that is removed is gone, with all that it was about to say', async () => {
  const browser = await Browser.start();
  const bob = await Party.of((identity) => browser.node.client(identity.address));
  await bob.open();
  closing.push(() => bob.messenger.close());
  const tab = await browser.tab();
  const conversation = await tab.start(bob.address);
  await conversation.send('said');
  await bob.until({ address: tab.address } as Party, (there) => texts(there).includes('said'));
  const ended = endOf(tab);
  for (let i = 0; i < 20; i++) void conversation.send(`under way ${i}`).catch(() => undefined);

  await browser.remove();
  expect(await ended).toMatchObject({ code: 'profile_removed' });
  expect(await browser.left()).toEqual([]);
  await expect(conversation.send('too late')).rejects.toMatchObject({ code: 'closed' });
  await expect(browser.tab()).rejects.toMatchObject({ code: 'profile_removed' });
  expect(await browser.left()).toEqual([]);
});

test('all tabs that wait for a profile hear that it is removed', async () => {
  const browser = await Browser.start();
  const first = endOf(await browser.tab());
  const waiting = [browser.tab({ wait: true }), browser.tab({ wait: true })];
  const refused = waiting.map((tab) => expect(tab).rejects.toMatchObject({ code: 'profile_removed' }));
  await browser.remove();
  await Promise.all([first, ...refused]);
  expect(await browser.left()).toEqual([]);
});

test('whoever has the store open cannot write it back', async () => {
  const browser = await Browser.start();
  await (await browser.tab()).close();
  const straggler = browser.store();
  await straggler.key();
  await browser.remove();
  const change = { key: 'profile', value: new Uint8Array([1]) };
  await expect(straggler.write([change])).rejects.toMatchObject({ code: 'profile_removed' });
  await expect(straggler.key()).rejects.toMatchObject({ code: 'profile_removed' });
  expect(await browser.left()).toEqual([]);

  const memory = new MemoryStore();
  await memory.write([change]);
  await memory.erase();
  expect(await memory.list({ prefix: '' })).toEqual([]);
  await expect(memory.write([change])).rejects.toMatchObject({ code: 'profile_removed' });
});

test('what is in the store goes also where a page has it open that does not listen', async () => {
  const browser = await Browser.start();
  await (await browser.tab()).close();
  const deaf = await new Promise<IDBDatabase>((resolve) => {
    const opening = browser.factory.open('quicproquo-mls');
    opening.onsuccess = () => resolve(opening.result);
  });
  await browser.remove();
  const all = deaf.transaction(['records', 'keys']);
  const counts = ['records', 'keys'].map((name) => new Promise((resolve) => {
    const counting = all.objectStore(name).count();
    counting.onsuccess = () => resolve(counting.result);
  }));
  expect(await Promise.all(counts)).toEqual([0, 0]);
  deaf.close();
  await expect.poll(() => browser.left()).toEqual([]);
});

test('a tab that does not let go keeps the profile whole', async () => {
  const browser = await Browser.start();
  await (await browser.tab()).close();
  let letGo = (): void => undefined;
  const holding = browser.locks.request(`quicproquo-mls:${browser.identity.address}`, {}, () =>
    new Promise((resolve) => { letGo = resolve; }));
  await expect(browser.remove({ patience: 20 })).rejects.toMatchObject({ code: 'profile_in_use' });
  expect(await browser.left()).toEqual(['quicproquo-mls', 'me']);
  letGo();
  await holding;
  await (await browser.tab()).close();
  await browser.remove();
  expect(await browser.left()).toEqual([]);
});

test('a removal that was cut off opens nothing, and is finished by the next', async () => {
  const browser = await Browser.start();
  await (await browser.tab()).close();
  const erase = (): Promise<void> => Promise.reject(new Error('the tab died'));
  await expect(browser.remove({ store: { erase } })).rejects.toThrow('the tab died');
  expect(await browser.left()).toEqual(['quicproquo-mls']);
  await expect(browser.tab()).rejects.toMatchObject({ code: 'profile_removed' });
  await browser.remove();
  expect(await browser.left()).toEqual([]);
});

test('after it, another profile can take the place', async () => {
  const browser = await Browser.start();
  await (await browser.tab()).close();
  await browser.remove();
  const identity = await Identity.generate(browser.place);
  expect((await browser.tab({ identity })).address).not.toBe(browser.identity.address);
  await expect(browser.tab()).rejects.toMatchObject({ code: 'profile_removed' }); // the old key is another's name
});

test('the node takes the token of a removed profile no more', async () => {
  const node = await Node.start();
  const browser = await Browser.start();
  let authorization = '';
  const client = new Client({ url: node.url, identity: browser.identity, fetch: (url, init) => {
    authorization = new Headers(init?.headers).get('Authorization') ?? authorization;
    return fetch(url, init);
  } });
  const tab = await browser.tab({ client });
  await expect.poll(() => client.state.status).toBe('open');
  const used = authorization;
  const asked = (): Promise<number> =>
    fetch(`${node.url}/v1/keypackages`, { headers: { Authorization: used } }).then(({ status }) => status);
  expect(await asked()).toBe(200);
  const ended = endOf(tab);
  expect(await browser.remove({ client })).toEqual({ revoked: true });
  await ended;
  expect(await asked()).toBe(401);
  expect(client.state).toMatchObject({ status: 'closed' });
  expect(await browser.left()).toEqual([]);
});

test('a node that does not answer keeps nothing here', async () => {
  const browser = await Browser.start();
  const asked: AbortSignal[] = [];
  const client = new Client({ url: 'https://node.example', identity: browser.identity, WebSocket: null,
    fetch: (_, init) => {
      if (init?.signal) asked.push(init.signal);
      return new Promise(() => undefined);
    } });
  onTestFinished(() => client.close());
  await browser.tab({ client });
  expect(await browser.remove({ client, patience: 200 })).toEqual({ revoked: false });
  expect(await browser.left()).toEqual([]);
  expect(asked.length).toBeGreaterThan(0);
  await expect.poll(() => asked.every(({ aborted }) => aborted)).toBe(true); // nobody goes on asking
});
