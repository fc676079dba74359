import { expect, test } from 'vitest';
import type { Conversation } from '../../src/mls/index.js';
import { ModelNode } from './model.js';
import { Crash, Party, notices, texts, transcript } from './party.js';

const seeds = Array.from({ length: 16 }, (_, i) => Number(process.env['SEED'] ?? 1) + i);
const lives = 5;
const lines = 8;

/** Numbers from 0 up to a limit, the same for the same seed (mulberry32). */
function random(seed: number): (limit: number) => number {
  let state = seed * 0x9e3779b9;
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % limit;
  };
}

/** Says all lines through lives that end at random points; the last one lasts. Resolves with what was surely said. */
async function speak(party: Party, peer: Party, node: ModelNode, pick: (limit: number) => number): Promise<string[]> {
  const said: string[] = [];
  const client = node.client(party.address);
  let next = 0;
  for (let life = 1; ; life++) {
    const crash = new Crash(life < lives ? 1 + pick(30) : Infinity, pick(2) === 1);
    const work = (async () => {
      await party.open({ client: crash.client(client), store: crash.store(party.store) });
      const conversation = await party.messenger.start(peer.address);
      while (next < lines) {
        const line = `${party.address} ${next++}`;
        await conversation.send(line);
        said.push(line);
        if (pick(4) === 0) conversation.updateKeys().catch(() => {});
        if (pick(3) === 0) await conversation.flushed();
      }
      await conversation.flushed();
      crash.avert();
    })();
    await Promise.race([work.catch(() => {}), crash.dead]);
    if (!crash.happened) return work.then(() => said);
    await party.closeIfOpen();
    await work.catch(() => {});
    await party.closeIfOpen();
  }
}

function heard(conversation: Conversation): string[] {
  return texts(conversation).map((text) => text ?? '');
}

test('a death at any point of an update of keys leaves both in one epoch, and everything readable', async () => {
  const node = new ModelNode();
  const [alice, bob] = await Promise.all([
    Party.of((identity) => node.client(identity.address)), Party.of((identity) => node.client(identity.address)),
  ]);
  await alice.open();
  await bob.open();
  await (await alice.messenger.start(bob.address)).send('hello');
  await bob.until(alice, (conversation) => heard(conversation).includes('hello'));
  let deaths = 0;
  for (let point = 1; point <= 8; point++) {
    for (const after of [false, true]) {
      const name = `${point} ${after}`;
      const crash = new Crash(point, after);
      await alice.messenger.close();
      const update = alice.open({ client: crash.client(node.client(alice.address)), store: crash.store(alice.store) })
        .then(() => alice.with(bob).updateKeys()).then(() => crash.avert());
      await Promise.race([update.catch(() => {}), crash.dead]);
      if (crash.happened) deaths++;
      await alice.closeIfOpen();
      await update.catch(() => {});
      await alice.open();
      await alice.with(bob).send(`after ${name}`);
      await bob.until(alice, (conversation) => heard(conversation).includes(`after ${name}`));
      await bob.with(alice).send(`answer ${name}`);
      await alice.until(bob, (conversation) => heard(conversation).includes(`answer ${name}`));
      expect([alice.with(bob).epoch, notices(alice.with(bob)), notices(bob.with(alice))]).toEqual([bob.with(alice).epoch, [], []]);
    }
  }
  expect(deaths).toBeGreaterThan(5);
  await Promise.all([alice.messenger.close(), bob.messenger.close()]);
});

test.each(seeds)('whenever either dies, nothing is lost, doubled, or unreadable (seed %i)', async (seed) => {
  const node = new ModelNode();
  const pick = random(seed);
  const [alice, bob] = await Promise.all([
    Party.of((identity) => node.client(identity.address)), Party.of((identity) => node.client(identity.address)),
  ]);
  // Both have key packages before the first one dies.
  await alice.open();
  await bob.open();
  await Promise.all([alice.messenger.close(), bob.messenger.close()]);
  const [ofAlice, ofBob] = await Promise.all([speak(alice, bob, node, pick), speak(bob, alice, node, pick)]);
  const last = (conversation: Conversation): number => conversation.entries.at(-1)?.seq ?? 0;
  const all = (conversation: Conversation): boolean => [...ofAlice, ...ofBob].every((line) => heard(conversation).includes(line));
  // All is sent; what was not surely said may have been said nevertheless.
  await alice.until(bob, (conversation) => all(conversation) && last(conversation) >= last(bob.with(alice)));
  await bob.until(alice, (conversation) => all(conversation) && last(conversation) >= last(alice.with(bob)));
  const there = alice.with(bob);
  const here = bob.with(alice);
  expect(transcript(there, alice)).toEqual(transcript(here, bob));
  expect(heard(there)).toHaveLength(new Set(heard(there)).size);
  expect([...notices(there), ...notices(here)]).toEqual([]);
  await Promise.all([alice.messenger.close(), bob.messenger.close()]);
});
