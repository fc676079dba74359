import { afterEach, expect, test } from 'vitest';
import type { MessengerClient, MessengerOptions } from '../../src/mls/index.js';
import { parse } from '../../src/mls/group.js';
import { ModelNode } from './model.js';
import { Party, messages, notices, switched, texts, transcript } from './party.js';

let parties: Party[] = [];
afterEach(async () => {
  await Promise.all(parties.map((party) => party.messenger.close()));
  parties = [];
});

type Wrap = (client: MessengerClient) => MessengerClient;

async function enter(node: ModelNode, wrap: Wrap = (client) => client, options: Partial<MessengerOptions> = {}): Promise<Party> {
  const party = await Party.of((identity) => wrap(node.client(identity.address)), options);
  await party.open();
  parties.push(party);
  return party;
}

/** Two who have heard each other. */
async function acquainted(node: ModelNode, ofAlice?: Wrap, ofBob?: Wrap, options?: Partial<MessengerOptions>) {
  const [alice, bob] = [await enter(node, ofAlice, options), await enter(node, ofBob, options)];
  const there = await alice.messenger.start(bob.address);
  await there.send('hello');
  const here = await bob.until(alice, (conversation) => texts(conversation).length === 1);
  await here.send('hello yourself');
  await alice.until(bob, (conversation) => texts(conversation).length === 2);
  await Promise.all([there.flushed(), here.flushed()]);
  return { alice, bob, there, here };
}

test('a first message brings the group with it, and both sides have the same transcript', async () => {
  const { alice, bob, there, here } = await acquainted(new ModelNode());
  expect(transcript(there, alice)).toEqual([`2 ${alice.address} hello`, `3 ${bob.address} hello yourself`]);
  expect(transcript(here, bob)).toEqual(transcript(there, alice));
  expect(here.safetyNumber).toBe(there.safetyNumber);
  expect(here.safetyNumber).toMatch(/^(\d{5} ){11}\d{5}$/);
});

test('messages have a time, a direction and a delivery state; the peer’s are unread until they are read', async () => {
  const { there, here } = await acquainted(new ModelNode());
  expect(messages(there)).toMatchObject([
    { direction: 'out', delivery: 'sent', seq: 2, time: expect.any(Date) }, { direction: 'in', delivery: 'received', seq: 3 },
  ]);
  expect([there.unread, here.unread]).toEqual([1, 1]);
  await there.markRead();
  expect([there.unread, here.unread]).toEqual([0, 1]);
});

test('both begin at once: the Welcome that is first in the channel wins, and nothing is lost', async () => {
  const node = new ModelNode();
  const [alice, bob] = [await enter(node), await enter(node)];
  const [there, here] = await Promise.all([alice.messenger.start(bob.address), bob.messenger.start(alice.address)]);
  await Promise.all([there.send('from alice'), here.send('from bob')]);
  await Promise.all([
    alice.until(bob, (conversation) => texts(conversation).length === 2),
    bob.until(alice, (conversation) => texts(conversation).length === 2),
  ]);
  await Promise.all([there.flushed(), here.flushed()]);
  expect(transcript(there, alice)).toEqual(transcript(here, bob));
  expect(notices(there)).toEqual([]);
  expect([there.epoch, here.epoch]).toEqual([1, 1]);
});

test('both update their keys at once: one commit wins, the other side takes it and commits again', async () => {
  const { there, here, alice, bob } = await acquainted(new ModelNode());
  await Promise.all([there.updateKeys(), here.updateKeys()]);
  await there.send('one');
  await bob.until(alice, ({ epoch }) => epoch === 3);
  await here.send('two');
  await alice.until(bob, (conversation) => texts(conversation).includes('two'));
  await bob.until(alice, (conversation) => texts(conversation).includes('one'));
  await Promise.all([there.flushed(), here.flushed()]);
  expect([there.epoch, here.epoch]).toEqual([3, 3]);
  expect(transcript(there, alice)).toEqual(transcript(here, bob));
});

test('keys are updated three times without an answer; the fourth waits for one', async () => {
  const { there, here, alice, bob } = await acquainted(new ModelNode());
  for (let i = 0; i < 3; i++) await there.updateKeys();
  let fourth = false;
  const waiting = there.updateKeys().then(() => { fourth = true; });
  await there.send('sent meanwhile'); // which an update that is due would go before
  await bob.until(alice, (conversation) => texts(conversation).includes('sent meanwhile'));
  expect([there.epoch, here.epoch, fourth]).toEqual([4, 4, false]);
  await here.send('an answer');
  await waiting;
  expect(there.epoch).toBe(5);
});

test('what was encrypted before the peer’s commits can be read after them', async () => {
  let online = true;
  const node = new ModelNode();
  const { there, here, alice, bob } = await acquainted(node, (client) => switched(client, () => online));
  online = false;
  await there.send('written in epoch 1'); // and encrypted, for nobody knows yet that the node is away
  await alice.until(bob, ({ problem }) => problem?.code === 'unavailable');
  for (let i = 0; i < 3; i++) await here.updateKeys();
  await alice.until(bob, ({ epoch }) => epoch === 4);
  online = true;
  await alice.reopen();
  await bob.until(alice, (conversation) => texts(conversation).includes('written in epoch 1'));
  expect(notices(here)).toEqual([]);
});

test('what is written offline is queued, outlives a restart, and is sent in its order', async () => {
  let online = true;
  const { there, here, alice, bob } = await acquainted(new ModelNode(), (client) => switched(client, () => online));
  online = false;
  for (const text of ['one', 'two', 'three']) await there.send(text);
  await alice.reopen();
  const again = alice.with(bob);
  expect(messages(again).slice(2)).toMatchObject([
    { text: 'one', delivery: 'queued' }, { text: 'two', delivery: 'queued' }, { text: 'three', delivery: 'queued' },
  ]);
  const [, , , , last] = messages(again);
  expect(await again.discard(last?.id ?? '')).toBe(true);
  online = true;
  await alice.reopen();
  await bob.until(alice, (conversation) => texts(conversation).includes('two'));
  await alice.with(bob).flushed();
  expect(texts(here, 'in')).toEqual(['hello', 'one', 'two']);
  expect(transcript(alice.with(bob), alice)).toEqual(transcript(here, bob));
});

test('the conversation goes on after both reopen their profiles', async () => {
  const { alice, bob } = await acquainted(new ModelNode());
  await Promise.all([alice.reopen(), bob.reopen()]);
  await alice.with(bob).send('after');
  const here = await bob.until(alice, (conversation) => texts(conversation).includes('after'));
  await alice.with(bob).flushed();
  expect(transcript(alice.with(bob), alice)).toEqual(transcript(here, bob));
  expect((await here.earlier(4)).map((entry) => entry.seq)).toEqual([2, 3]);
});

test('what is delivered again is acknowledged again, and shown once', async () => {
  const node = new ModelNode();
  let deaf = true;
  const noAcks: Wrap = (client) => ({ ...client, ack: (...ack) => (deaf ? Promise.resolve() : client.ack(...ack)) });
  const { there, here, alice, bob } = await acquainted(node, undefined, noAcks);
  expect(node.waiting(there.id, bob.address)).toHaveLength(2);
  deaf = false;
  await bob.reopen();
  await there.send('next');
  const again = await bob.until(alice, (conversation) => texts(conversation).includes('next'));
  await bob.messenger.close();
  expect(node.waiting(there.id, bob.address)).toEqual([]);
  expect(texts(again)).toEqual([...texts(here), 'next']);
  expect(notices(again)).toEqual([]);
});

test('what was repeated under another seq, damaged or never encrypted is shown as a notice, and nothing stops', async () => {
  const node = new ModelNode();
  const seen: Uint8Array<ArrayBuffer>[] = [];
  const watch: Wrap = (client) => ({ ...client, send: (id, payload, options) => { seen.push(payload); return client.send(id, payload, options); } });
  const { there, here, alice, bob } = await acquainted(node, watch);
  const hello = seen[1] as Uint8Array<ArrayBuffer>;
  node.inject(there.id, bob.address, hello);
  node.inject(there.id, bob.address, hello.map((byte, i) => (i === hello.length - 1 ? byte ^ 1 : byte)));
  node.inject(there.id, bob.address, new TextEncoder().encode('not encrypted'));
  node.inject(there.id, bob.address, new Uint8Array([...hello, 0]));
  node.inject(there.id, alice.address, hello); // to its own author
  await bob.until(alice, (conversation) => notices(conversation).length === 4);
  await alice.until(bob, (conversation) => notices(conversation).length === 1);
  await there.send('still here');
  await bob.until(alice, (conversation) => texts(conversation).includes('still here'));
  expect(notices(here)).toEqual(Array(4).fill('undecryptable'));
  expect([there.state, here.state, here.epoch]).toEqual(['active', 'active', 1]);
});

test('what was read while a commit waited for its turn does not open again after it', async () => {
  const node = new ModelNode();
  const fromBob: Uint8Array<ArrayBuffer>[] = [];
  let between = (): Promise<unknown> => Promise.resolve();
  const overtaken: Wrap = (client) => ({
    ...client,
    send: async (id, payload, options) => {
      if (options.ifHead !== undefined) await between();
      return client.send(id, payload, options);
    },
  });
  const watch: Wrap = (client) => ({ ...client, send: (id, payload, options) => { fromBob.push(payload); return client.send(id, payload, options); } });
  const { there, here, alice, bob } = await acquainted(node, overtaken, watch);
  between = async () => {
    between = () => Promise.resolve();
    await here.send('in between');
    await here.flushed();
  };
  await there.updateKeys();
  expect([there.epoch, texts(there, 'in')]).toEqual([2, ['hello yourself', 'in between']]);
  node.inject(there.id, alice.address, fromBob.at(-1) as Uint8Array<ArrayBuffer>);
  await alice.until(bob, (conversation) => notices(conversation).length === 1);
  expect([notices(there), texts(there, 'in')]).toEqual([['undecryptable'], ['hello yourself', 'in between']]);
});

test('the secrets of a one-time key package go when it is used', async () => {
  const sent: Uint8Array<ArrayBuffer>[] = [];
  const watch: Wrap = (client) => ({ ...client, send: (id, payload, options) => { sent.push(payload); return client.send(id, payload, options); } });
  const { bob } = await acquainted(new ModelNode(), watch);
  const welcome = parse(sent[0] ?? new Uint8Array());
  const ref = welcome.kind === 'welcome' ? welcome.refs[0] : undefined;
  const kept = await bob.store.list({ prefix: 'keypackage/' });
  expect(kept.length).toBeGreaterThan(0);
  expect(ref).toBeDefined();
  expect(kept.map(([key]) => key)).not.toContain(`keypackage/${ref}`);
});

test('a Welcome to a last-resort key package does not open again, though the package does', async () => {
  const node = new ModelNode();
  const sent: Uint8Array<ArrayBuffer>[] = [];
  const watch: Wrap = (client) => ({ ...client, send: (id, payload, options) => { sent.push(payload); return client.send(id, payload, options); } });
  const { there, here, alice, bob } = await acquainted(node, watch, undefined, { keyPackages: 0 });
  await there.updateKeys();
  await bob.until(alice, ({ epoch }) => epoch === 2);
  const [welcome, hello] = sent as [Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>];
  node.inject(there.id, bob.address, welcome);
  node.inject(there.id, bob.address, hello);
  await there.send('goes on');
  await bob.until(alice, (conversation) => texts(conversation).includes('goes on'));
  expect([here.epoch, notices(here), texts(here, 'in')]).toEqual([2, ['undecryptable', 'undecryptable'], ['hello', 'goes on']]);
});

test('messages were lost: a gap is shown, and the group goes on', async () => {
  const node = new ModelNode();
  const { there, here, alice, bob } = await acquainted(node);
  await bob.messenger.close();
  for (let i = 0; i < 40; i++) await there.send(`lost ${i}`);
  await there.flushed();
  node.expire(there.id, bob.address);
  await bob.open();
  await there.send('found');
  const again = await bob.until(alice, (conversation) => texts(conversation).includes('found'));
  // From bob's acknowledgement on, which lies before his own message, 3.
  expect(again.entries.filter(({ kind }) => kind === 'notice')).toMatchObject([{ notice: 'gap', from: 3, seq: 43 }]);
  expect(again.epoch).toBe(1);
  await again.send('an answer');
  await alice.until(bob, (conversation) => texts(conversation).includes('an answer'));
  expect(here.id).toBe(again.id);
});

test('a commit was lost: a new group takes the old one’s place, and what waits is sent in it', async () => {
  const node = new ModelNode();
  const { there, alice, bob } = await acquainted(node);
  await bob.messenger.close();
  await there.updateKeys();
  node.expire(there.id, bob.address);
  await there.send('in an epoch that bob cannot know');
  await there.flushed();
  await bob.open();
  await bob.until(alice, ({ state, entries }) => state === 'active' && entries.some((entry) => entry.kind === 'notice' && entry.notice === 'reestablished'));
  expect(notices(bob.with(alice))).toEqual(['gap', 'undecryptable', 'reestablished']);
  await bob.with(alice).send('are you there?');
  await alice.until(bob, (conversation) => texts(conversation).includes('are you there?'));
  await there.send('yes');
  await bob.until(alice, (conversation) => texts(conversation).includes('yes'));
  expect(notices(there)).toEqual(['reestablished']);
  expect([there.epoch, bob.with(alice).epoch]).toEqual([1, 1]);
});

test('where healing is left to the user, a broken group waits for it', async () => {
  const node = new ModelNode();
  const { there, alice, bob } = await acquainted(node, undefined, undefined, { heal: false });
  await bob.messenger.close();
  await there.updateKeys();
  node.expire(there.id, bob.address);
  await there.send('in an epoch that bob cannot know');
  await bob.open();
  const broken = await bob.until(alice, ({ state }) => state === 'broken');
  await broken.send('waits');
  expect(messages(broken).at(-1)).toMatchObject({ text: 'waits', delivery: 'queued' });
  await broken.reestablish();
  await alice.until(bob, (conversation) => texts(conversation).includes('waits'));
  expect(broken.state).toBe('active');
});

test('what was encrypted before a new group is read in the old one', async () => {
  let online = true;
  const { there, here, alice, bob } = await acquainted(new ModelNode(), (client) => switched(client, () => online));
  online = false;
  await there.send('written in the old group');
  await alice.until(bob, ({ problem }) => problem?.code === 'unavailable');
  await here.reestablish();
  await alice.until(bob, (conversation) => notices(conversation).includes('reestablished'));
  online = true;
  await alice.reopen();
  await bob.until(alice, (conversation) => texts(conversation).includes('written in the old group'));
  expect(notices(here)).toEqual(['reestablished']);
});

test('both begin a new group at once: they end in the same one', async () => {
  const { there, here, alice, bob } = await acquainted(new ModelNode());
  await Promise.all([there.reestablish(), here.reestablish()]);
  await Promise.all([there.send('one'), here.send('two')]);
  await Promise.all([
    alice.until(bob, (conversation) => texts(conversation).includes('two')),
    bob.until(alice, (conversation) => texts(conversation).includes('one')),
  ]);
  await Promise.all([there.flushed(), here.flushed()]);
  expect(transcript(there, alice)).toEqual(transcript(here, bob));
});

test('a message that the node will never take fails alone, and can be removed', async () => {
  const node = new ModelNode();
  const { QuicproquoError } = await import('../../src/index.js');
  const small: Wrap = (client) => ({
    ...client,
    send: (id, payload, options) => (payload.length > 1000
      ? Promise.reject(new QuicproquoError('payload_too_large', 'at most 1000')) : client.send(id, payload, options)),
  });
  const { there, here, alice, bob } = await acquainted(node, small);
  await there.send('x'.repeat(2000));
  await there.send('small');
  await bob.until(alice, (conversation) => texts(conversation).includes('small'));
  await there.flushed();
  const failed = messages(there).find(({ delivery }) => delivery === 'failed');
  expect(failed?.text).toHaveLength(2000);
  expect(await there.discard(failed?.id ?? '')).toBe(true);
  expect(transcript(there, alice)).toEqual(transcript(here, bob));
});

test('the peer has no key package yet: the conversation begins once it has', async () => {
  const node = new ModelNode();
  const alice = await enter(node);
  const bob = await Party.of((identity) => node.client(identity.address));
  const there = await alice.messenger.start(bob.address);
  await there.send('whenever you come');
  await alice.until(bob, ({ problem }) => problem?.code === 'key_package_not_found');
  expect(there.state).toBe('starting');
  await bob.open();
  parties.push(bob);
  const here = await bob.until(alice, (conversation) => texts(conversation).length === 1);
  expect(texts(here)).toEqual(['whenever you come']);
});

test('what is no message or no address is refused', async () => {
  const { there, alice } = await acquainted(new ModelNode());
  await expect(there.send('')).rejects.toMatchObject({ code: 'invalid_argument' });
  await expect(there.send(new Uint8Array(5 * 1024 * 1024))).rejects.toMatchObject({ code: 'invalid_argument' });
  await expect(alice.messenger.start(alice.address)).rejects.toMatchObject({ code: 'invalid_argument' });
  await expect(alice.messenger.start('nobody')).rejects.toMatchObject({ code: 'invalid_argument' });
  await alice.messenger.close();
  await expect(there.send('late')).rejects.toMatchObject({ code: 'closed' });
});

test('the address is the same conversation, whoever began it, and however often', async () => {
  const { alice, bob, there } = await acquainted(new ModelNode());
  expect(await alice.messenger.start(bob.address)).toBe(there);
  expect(await bob.messenger.start(alice.address)).toBe(bob.with(alice));
  expect(alice.messenger.conversations()).toHaveLength(1);
});

test('closing does not wait for a node that does not answer', async () => {
  const node = new ModelNode();
  const silence = new Promise<never>(() => {});
  let silent = false;
  const mute: Wrap = (client) => ({
    ...client,
    send: (...sending) => (silent ? silence : client.send(...sending)),
    ack: (...ack) => (silent ? silence : client.ack(...ack)),
    createChannel: (peer) => (silent ? silence : client.createChannel(peer)),
  });
  const { alice, bob, there, here } = await acquainted(node, mute);
  const carol = await enter(node);
  silent = true;
  await there.send('into the silence');
  await here.send('is acknowledged to nobody');
  const left = [alice.messenger.start(carol.address), there.flushed()].map((waiting) => expect(waiting).rejects.toMatchObject({ code: 'closed' }));
  await alice.messenger.close();
  await Promise.all(left);
  silent = false;
  await alice.open();
  await bob.until(alice, (conversation) => texts(conversation).includes('into the silence'));
});

test('events tell what changed, and end with the messenger', async () => {
  const { alice, bob, there, here } = await acquainted(new ModelNode());
  const told: string[] = [];
  const loop = (async () => {
    for await (const event of alice.messenger.events()) told.push(event.type === 'conversation' ? event.conversation.id : event.type);
  })();
  await here.send('news');
  await alice.until(bob, (conversation) => texts(conversation).includes('news'));
  await alice.messenger.close();
  await loop;
  expect(told[0]).toBe(there.id);
  expect(told.at(-1)).toBe('closed');
});
