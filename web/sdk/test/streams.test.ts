import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ServerEvent, Via } from '@quicproquo/client';
import WebSocket from 'ws';
import { Node } from './node.js';
import { pair, person, state, take, told, utf8, words } from './people.js';
import type { Options } from './people.js';
import { blocking } from './middlebox.js';

let node: Node;
beforeAll(async () => { node = await Node.shared('--rate-address=0', '--rate-creates=0'); });
afterAll(() => node.remove());

/** What leaves a client that transport: the better ones do not pass. */
const ways: Record<Via, Options> = {
  websocket: {},
  sse: { WebSocket: null },
  poll: { WebSocket: null, fetch: blocking('text/event-stream') },
};

describe.each(Object.entries(ways))('by %s', (via, way) => {
  test('what waits comes first, then what is sent, each once', async () => {
    const { bob, toBob } = await pair(node, way);
    await toBob.send(utf8('before'));
    const opened = state(bob, 'open');
    const events: string[] = [];
    for await (const event of bob.events()) {
      if (event.type !== 'acked') events.push(told(event));
      if (event.type === 'caught_up') for (let i = 0; i < 2; i++) await toBob.send(utf8(`live ${i}`));
      if (told(event) === '3 live 1') break;
    }
    expect(events).toEqual(['1 before', 'caught_up', '2 live 0', '3 live 1']);
    expect(await opened).toEqual({ status: 'open', via });
    expect(bob.state).toEqual({ status: 'idle' });
  });

  test('a message is acknowledged when the body has run, and not before', async () => {
    const { toBob, toAlice } = await pair(node, way);
    for (const text of ['a', 'b', 'c']) await toBob.send(utf8(text));
    const seen: string[] = [];
    for await (const event of toAlice.messages()) {
      seen.push(told(event));
      if (seen.length === 3) break;
    }
    expect(seen).toEqual(['1 a', '2 b', '3 c']);
    await acked(toAlice, 2);
    expect(await words(toAlice.messages(), 1)).toEqual(['3 c']); // its body broke off
  });

  test('explicit acknowledgements are the only ones, and open the window', async () => {
    const { toBob, toAlice } = await pair(node, way);
    for (let i = 1; i <= 40; i++) await toBob.send(utf8(`${i}`));
    let [count, most] = [0, 0];
    for await (const event of toAlice.messages({ ack: 'explicit' })) {
      most = Math.max(most, ++count);
      if (event.type !== 'message') throw new Error(told(event));
      if (event.seq === 30) {
        expect((await toAlice.refresh()).acked).toBe(0);
        await toAlice.ack(30);
      }
      if (event.seq === 40) break;
    }
    expect((await toAlice.refresh()).acked).toBe(30);
  });

  test('a new channel appears live', async () => {
    const [alice, bob] = [await person(node), await person(node, way)];
    const events: ServerEvent[] = [];
    for await (const event of bob.events()) {
      events.push(event);
      if (event.type === 'caught_up') await (await alice.createChannel(bob.identity.address)).send(utf8('hi'));
      if (event.type === 'message') break;
    }
    expect(events.map(told)).toEqual(['caught_up', 'channel', '1 hi']);
    expect(events[1]).toMatchObject({ peer: alice.identity.address });
  });
});

/** WebSockets to where nobody listens, as behind a firewall that lets only requests through. */
class Astray extends WebSocket {
  constructor(_url: string, protocols: string[]) {
    super('ws://127.0.0.1:1', protocols);
  }
}

/** What a page's policy does. */
class Forbidden extends WebSocket {
  constructor(url: string, protocols: string[]) {
    if (url !== '') throw new DOMException('the policy forbids it', 'SecurityError');
    super(url, protocols);
  }
}

test.each([
  ['does not get through', Astray], ['is forbidden', Forbidden],
])('where a WebSocket %s, events are tried next', async (_, blocked) => {
  const { bob, toBob, toAlice } = await pair(node, { WebSocket: blocked });
  await toBob.send(utf8('a'));
  const opened = state(bob, 'open');
  expect(await words(toAlice.messages(), 1)).toEqual(['1 a']);
  expect(await opened).toEqual({ status: 'open', via: 'sse' });
});

/** Waits until the node says so: automatic acknowledgements are on their way when the loop goes on. */
async function acked(channel: { refresh(): Promise<{ acked: number }> }, through: number): Promise<void> {
  await expect.poll(async () => (await channel.refresh()).acked).toBe(through);
}

test('loops share one stream, and a late one misses nothing', async () => {
  let streams = 0;
  const { bob, toBob, toAlice } = await pair(node, { WebSocket: null, fetch: (input, init) => {
    if (String(input).endsWith('/v1/stream')) streams++;
    return fetch(input, init);
  } });
  await toBob.send(utf8('a'));
  const stop = new AbortController();
  const first: string[] = [];
  const early = (async () => {
    for await (const event of bob.events({ ack: 'explicit', signal: stop.signal })) {
      if (event.type === 'message') first.push(told(event));
      if (event.type === 'message' && event.seq === 3) await toAlice.ack(3);
    }
  })();
  await expect.poll(() => first).toEqual(['1 a']);
  const late = words(toAlice.messages(), 3);
  const everything = take(bob.events(), 4);
  await toBob.send(utf8('b'));
  await toBob.send(utf8('c'));
  expect(await late).toEqual(['1 a', '2 b', '3 c']);
  expect((await everything).map(told)).toEqual(expect.arrayContaining(['1 a', 'caught_up', '2 b', '3 c']));
  stop.abort();
  await early;
  expect(first).toEqual(['1 a', '2 b', '3 c']);
  expect(streams).toBe(1);
});

test('a loop that acknowledges does not do so over one that has not', async () => {
  const { bob, toBob, toAlice } = await pair(node);
  const stop = new AbortController();
  const { signal } = stop;
  const [careful, quick] = [bob.events({ ack: 'explicit', signal }), toAlice.messages({ signal })];
  const reading = Promise.all([drain(careful), drain(quick)]);
  await state(bob, 'open');
  await toBob.send(utf8('a'));
  await expect.poll(() => counts.get(quick)).toBe(1);
  await toBob.send(utf8('b'));
  await expect.poll(() => counts.get(quick)).toBe(2); // so its body was done with the first
  expect((await toAlice.refresh()).acked).toBe(0);
  await toAlice.ack(2);
  expect((await toAlice.refresh()).acked).toBe(2);
  stop.abort();
  await reading;
});

const counts = new Map<unknown, number>();

async function drain(events: AsyncIterable<ServerEvent>): Promise<void> {
  for await (const event of events) if (event.type === 'message') counts.set(events, (counts.get(events) ?? 0) + 1);
}

test('after skips what was handled, and a gap tells what is gone', async () => {
  const { toBob, toAlice } = await pair(node);
  for (const text of ['a', 'b', 'c', 'd']) await toBob.send(utf8(text));
  await toAlice.ack(2);
  expect(await words(toAlice.messages({ after: 1 }), 2)).toEqual(['gap 2-2 acked', '3 c']);
  expect(await words(toAlice.messages({ after: 3 }), 1)).toEqual(['4 d']);
  await expect(words(toAlice.messages({ after: 9 }), 1)).rejects.toMatchObject({ code: 'invalid_argument', head: 4 });
});

test("a stranger's channel is none", async () => {
  const { toBob } = await pair(node);
  const mallory = await person(node);
  await expect(words(mallory.messages(toBob.id), 1)).rejects.toMatchObject({ code: 'channel_not_found', status: 404 });
});

test('a signal ends a loop, and its client stays', async () => {
  const { bob, toBob } = await pair(node);
  const stop = new AbortController();
  const reading = take(bob.events({ signal: stop.signal }), 99);
  await state(bob, 'open');
  stop.abort();
  expect((await reading).every((event) => event.type === 'caught_up')).toBe(true);
  await toBob.send(utf8('later'));
  expect(await words(bob.messages(toBob.id), 1)).toEqual(['1 later']);
});

test('channels that nobody reads do not hold up the one that is read', async () => {
  const bob = await person(node);
  for (let i = 0; i < 4; i++) {
    const stranger = await person(node);
    const channel = await stranger.createChannel(bob.identity.address);
    for (let n = 0; n < 32; n++) await channel.send(utf8('x'));
  }
  const alice = await person(node);
  const toBob = await alice.createChannel(bob.identity.address);
  const reading = words(bob.messages(toBob.id), 2);
  await state(bob, 'open');
  await toBob.send(utf8('a'));
  await toBob.send(utf8('b'));
  expect(await reading).toEqual(['1 a', '2 b']);
});
