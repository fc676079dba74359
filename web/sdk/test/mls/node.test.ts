import WebSocket from 'ws';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { Client, Identity, MemoryIdentityStore, encodeBase64url } from '../../src/index.js';
import type { MessengerClient, MessengerOptions } from '../../src/mls/index.js';
import { Node } from '../node.js';
import { Party, notices, texts, transcript } from './party.js';

let node: Node;
beforeAll(async () => { node = await Node.shared('--rate-address=0', '--rate-identity=0', '--rate-channel=0', '--rate-creates=0', '--rate-claims=0'); });
afterAll(() => node.remove());

let parties: Party[] = [];
let clients: Client[] = [];
afterEach(async () => {
  await Promise.all(parties.map((party) => party.closeIfOpen()));
  for (const client of clients) client.close();
  parties = [];
  clients = [];
});

async function enter(options: Partial<MessengerOptions> = {}, at = node): Promise<Party> {
  const party = await Party.of((identity): MessengerClient => {
    const client = new Client({ url: at.url, identity: identity as Identity, WebSocket });
    clients.push(client);
    return client;
  }, { keyPackages: 30, ...options });
  parties.push(party);
  await party.open();
  return party;
}

/** A client of a new identity that has no messenger. */
async function bystander(): Promise<Client> {
  const client = new Client({ url: node.url, identity: await Identity.generate({ store: new MemoryIdentityStore() }), WebSocket });
  clients.push(client);
  return client;
}

/** Resolves when a party has what the node shall hold of its key packages. */
async function stocked(party: Party, oneTime: number): Promise<void> {
  const { client } = party;
  await expect.poll(() => client.keyPackageStatus(), { interval: 20 }).toMatchObject([{ oneTime, lastResort: true }]);
}

test('200 messages each way at full speed, both committing now and then: the same transcript on both sides', async () => {
  const [alice, bob] = await Promise.all([enter(), enter()]);
  await stocked(bob, 30);
  const [there, here] = await Promise.all([alice.messenger.start(bob.address), bob.messenger.start(alice.address)]);
  const updates: Promise<void>[] = [];
  for (let i = 0; i < 200; i++) {
    await Promise.all([there.send(`alice ${i}`), here.send(`bob ${i}`)]);
    if (i % 40 === 20) updates.push(there.updateKeys());
    if (i % 40 === 35) updates.push(here.updateKeys());
  }
  await Promise.all([...updates, there.flushed(), here.flushed()]);
  await Promise.all([
    alice.until(bob, (conversation) => texts(conversation).length === 400),
    bob.until(alice, (conversation) => texts(conversation).length === 400),
  ]);
  expect(transcript(there, alice)).toEqual(transcript(here, bob));
  expect(texts(there, 'out')).toEqual(Array.from({ length: 200 }, (_, i) => `alice ${i}`));
  expect(texts(here, 'out')).toEqual(Array.from({ length: 200 }, (_, i) => `bob ${i}`));
  expect([...notices(there), ...notices(here)]).toEqual([]);
  // The first epoch is the Welcome's; updates that were asked for together share a commit.
  expect(there.epoch).toBeGreaterThanOrEqual(3);
  expect(here.epoch).toBe(there.epoch);
});

test('the node is killed in the middle of it: nothing is lost or doubled', async () => {
  const fragile = await Node.start('--rate-address=0', '--rate-identity=0', '--rate-channel=0');
  const [alice, bob] = await Promise.all([enter({ keyPackages: 3 }, fragile), enter({ keyPackages: 3 }, fragile)]);
  const there = await alice.messenger.start(bob.address);
  await there.send('first');
  const here = await bob.until(alice, (conversation) => texts(conversation).length === 1);
  const talk = (async () => {
    for (let i = 0; i < 30; i++) await Promise.all([there.send(`alice ${i}`), here.send(`bob ${i}`)]);
  })();
  await alice.until(bob, (conversation) => texts(conversation, 'in').length > 5);
  await fragile.kill();
  await fragile.start();
  await talk;
  await Promise.all([there.flushed(), here.flushed(), there.updateKeys()]);
  await alice.until(bob, (conversation) => texts(conversation).length === 61);
  await bob.until(alice, (conversation) => texts(conversation).length === 61 && conversation.epoch === there.epoch);
  expect(transcript(there, alice)).toEqual(transcript(here, bob));
  expect(new Set(texts(there)).size).toBe(61);
});

test('what came while nobody was there is read after a reload', async () => {
  const [alice, bob] = await Promise.all([enter({ keyPackages: 3 }), enter({ keyPackages: 3 })]);
  await stocked(bob, 3); // or nobody can begin while it is away
  const there = await alice.messenger.start(bob.address);
  await bob.messenger.close();
  await there.send('one');
  await there.updateKeys();
  await there.send('two');
  await there.flushed();
  await bob.open();
  const here = await bob.until(alice, (conversation) => texts(conversation).length === 2);
  expect(here.unread).toBe(2);
  expect(transcript(here, bob)).toEqual(transcript(there, alice));
});

test('key packages are published, and refilled when they run low', async () => {
  const bob = await enter({ keyPackages: 30 });
  await stocked(bob, 30);
  const claims = Array.from({ length: 6 }, async () => (await bystander()).claimKeyPackage(bob.address, { suites: [1] }));
  const claimed = await Promise.all(claims);
  expect(claimed.map(({ lastResort }) => lastResort)).toEqual(Array(6).fill(false));
  await stocked(bob, 30);
});

test('with no one-time package left the last-resort one serves, and is replaced after', async () => {
  const [alice, bob] = [await enter({ keyPackages: 3 }), await enter({ keyPackages: 0 })];
  await stocked(bob, 0);
  const fingerprint = async (): Promise<string> => (await (await bystander()).claimKeyPackage(bob.address)).fingerprint;
  const before = await fingerprint();
  const there = await alice.messenger.start(bob.address);
  await there.send('by the last resort');
  await bob.until(alice, (conversation) => texts(conversation).includes('by the last resort'));
  await bob.reopen();
  await expect.poll(fingerprint, { interval: 20 }).not.toBe(before);
  expect((await bystander()).identity.address).not.toBe(encodeBase64url(bob.identity.publicKey));
});

test('a stranger’s garbage is acknowledged, shown as a notice, and begins nothing', async () => {
  const bob = await enter({ keyPackages: 3 });
  const stranger = await bystander();
  const channel = await stranger.createChannel(bob.address);
  await channel.send(new TextEncoder().encode('buy this'));
  const here = await bob.until({ address: stranger.identity.address } as Party, (conversation) => notices(conversation).length === 1);
  await expect.poll(async () => (await bob.client.channel(here.id)).acked, { interval: 20 }).toBe(1);
  expect([here.state, notices(here), (await channel.refresh()).head]).toEqual(['starting', ['undecryptable'], 1]);
});
