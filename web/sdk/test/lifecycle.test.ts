import { describe, expect, test } from 'vitest';
import { systemClock } from '@quicproquo/client';
import type { Client, Clock, Via } from '@quicproquo/client';
import { blocking } from './middlebox.js';
import { Node } from './node.js';
import { pair, person, state, take, told, utf8, words } from './people.js';
import type { Options } from './people.js';

const ways: Record<Via, Options> = {
  websocket: {},
  sse: { WebSocket: null },
  poll: { WebSocket: null, fetch: blocking('text/event-stream') },
};

/** Reads until a message has come so often, and tells what came. */
async function readTo(client: Client, last: number): Promise<string[]> {
  const texts: string[] = [];
  for await (const event of client.events()) {
    if (event.type !== 'message') continue;
    texts.push(told(event));
    if (event.seq === last) break;
  }
  return texts;
}

describe.each(Object.entries(ways))('by %s', (_, way) => {
  test('a node that dies and comes back loses nothing and repeats nothing', async () => {
    const node = await Node.start();
    const { bob, toBob } = await pair(node, way);
    await toBob.send(utf8('a'));
    const reading = readTo(bob, 4);
    await state(bob, 'open');
    await toBob.send(utf8('b'));
    await node.kill();
    const sending = toBob.send(utf8('c')); // is repeated until somebody answers
    expect((await state(bob, 'retrying')).in).toBeLessThanOrEqual(500);
    await node.start();
    await sending;
    await toBob.send(utf8('d'));
    expect(await reading).toEqual(['1 a', '2 b', '3 c', '4 d']);
  });
});

test.each([ways.websocket, ways.sse])('a node that drains is come back to when it asked for it', async (way) => {
  const node = await Node.start();
  const { bob, toBob } = await pair(node, way);
  const reading = readTo(bob, 1);
  await state(bob, 'open');
  const retrying = state(bob, 'retrying');
  await node.stop();
  const { in: ms, error } = await retrying;
  expect(ms).toBeGreaterThanOrEqual(1000);
  expect(error.code).toBe('unavailable');
  await node.start();
  await toBob.send(utf8('a'));
  expect(await reading).toEqual(['1 a']);
});

/** A fetch that counts logins. */
function counting(): { readonly fetch: typeof fetch; logins: number } {
  const counter = {
    logins: 0,
    fetch: (...[input, init]: Parameters<typeof fetch>) => {
      if (String(input).endsWith('/v1/auth/token') && init?.method === 'POST') counter.logins++;
      return fetch(input, init);
    },
  };
  return counter;
}

test('events that end with their token begin again with another', async () => {
  const node = await Node.start('--token-ttl=1s');
  const counter = counting();
  const { bob, toBob } = await pair(node, { WebSocket: null, fetch: counter.fetch });
  const reading = readTo(bob, 6);
  for (let i = 1; i <= 6; i++) {
    await toBob.send(utf8(`${i}`));
    const before = counter.logins;
    if (i === 2 || i === 4) await expect.poll(() => counter.logins).toBeGreaterThan(before);
  }
  expect(await reading).toEqual(['1 1', '2 2', '3 3', '4 4', '5 5', '6 6']);
});

/** The platform's time, but that it is later whenever more than minutes have to pass: nobody waits for those. */
function hasty(): Clock {
  let ahead = 0;
  return { ...systemClock, now: () => Date.now() + ahead, setTimeout: (run, ms) => {
    if (ms < 300_000) return setTimeout(run, ms);
    return setTimeout(() => {
      ahead += ms;
      run();
    }, 200);
  } };
}

test('a WebSocket is renewed in band, and stays when its first token ends', async () => {
  const node = await Node.start();
  const counter = counting();
  let first: string | undefined;
  const { bob, toBob } = await pair(node, { clock: hasty(), fetch: (input, init) => {
    first ??= new Headers(init?.headers).get('Authorization') ?? undefined;
    return counter.fetch(input, init);
  } });
  const states: string[] = [];
  bob.onState(({ status }) => states.push(status));
  const acked: number[] = [];
  const reading = (async () => {
    for await (const event of bob.events()) {
      if (event.type === 'acked') acked.push(event.through);
      if (event.type === 'message' && event.seq === 3) return;
    }
  })();
  await state(bob, 'open');
  await expect.poll(() => counter.logins).toBeGreaterThan(3);
  // What is acknowledged after them goes behind the renewals, on the same connection.
  for (const seq of [1, 2]) {
    await toBob.send(utf8(`${seq}`));
    await expect.poll(() => acked.at(-1)).toBe(seq);
  }
  const ended = await fetch(`${node.url}/v1/auth/token`, { method: 'DELETE', headers: { Authorization: first ?? '' } });
  expect(ended.ok).toBe(true);
  await toBob.send(utf8('3'));
  await reading;
  expect(states).toEqual(['idle', 'connecting', 'open', 'idle']);
});

test.each([ways.websocket, ways.sse])('a client whose token is revoked logs in again', async (way) => {
  const node = await Node.start();
  const { bob, toBob } = await pair(node);
  let token = '';
  const tokens = await person(node, { identity: bob.identity, fetch: async (input, init) => {
    const answer = await fetch(input, init);
    if (!String(input).endsWith('/v1/auth/token')) return answer;
    token = (await answer.clone().json() as { access_token: string }).access_token;
    return answer;
  }, ...way });
  const reading = readTo(tokens, 1);
  await state(tokens, 'open');
  const again = state(tokens, 'connecting');
  await fetch(`${node.url}/v1/auth/token`, { method: 'DELETE', headers: { Authorization: `Bearer ${token}` } });
  await again;
  await toBob.send(utf8('a'));
  expect(await reading).toEqual(['1 a']);
});

test('logging out ends the loops, and the token everywhere', async () => {
  const node = await Node.start();
  const { bob, toBob } = await pair(node);
  const other = await person(node, { identity: bob.identity, token: () => Promise.resolve(token) });
  let token = '';
  const first = await person(node, { identity: bob.identity, token: async () => token || (token = await login(bob)) });
  const reading = take(first.events(), 99);
  await state(first, 'open');
  await first.logout();
  await reading; // and tells of no error
  expect(first.state).toEqual({ status: 'closed', code: undefined });
  await expect(other.channel(toBob.id)).rejects.toMatchObject({ code: 'unauthenticated' });
  await expect(first.channel(toBob.id)).rejects.toMatchObject({ code: 'unavailable' });
  await expect(words(first.messages(toBob.id), 1)).rejects.toMatchObject({ code: 'unavailable' });

  async function login(client: Client): Promise<string> {
    let taken = '';
    const probe = await person(node, { identity: client.identity, fetch: (input, init) => {
      taken = new Headers(init?.headers).get('Authorization')?.replace('Bearer ', '') ?? taken;
      return fetch(input, init);
    } });
    await probe.keyPackageStatus();
    return taken;
  }
});

test('logging out brings no new token, however soon the stream breaks', async () => {
  const node = await Node.start();
  const counter = counting();
  const bob = await person(node, { fetch: async (input, init) => {
    const answer = await counter.fetch(input, init);
    // The answer is late: what the token's end breaks has all the time to bring another.
    if (init?.method === 'DELETE') while (bob.state.status !== 'closed' && counter.logins < 2) await new Promise(setImmediate);
    return answer;
  } });
  const reading = take(bob.events(), 99);
  await state(bob, 'open');
  await bob.logout();
  await reading;
  expect(counter.logins).toBe(1);
});

test("a token of another identity's ends the loops with an error", async () => {
  const node = await Node.start();
  const { alice, bob } = await pair(node);
  let token = '';
  const probe = await person(node, { identity: alice.identity, fetch: (input, init) => {
    token = new Headers(init?.headers).get('Authorization')?.replace('Bearer ', '') ?? token;
    return fetch(input, init);
  } });
  await probe.keyPackageStatus();
  const confused = await person(node, { identity: bob.identity, token: () => Promise.resolve(token) });
  await expect(take(confused.events(), 1)).rejects.toMatchObject({ code: 'permission_denied' });
  expect(confused.state).toEqual({ status: 'closed', code: 'permission_denied' });
});

test('closing settles what was acknowledged', async () => {
  const node = await Node.start();
  const { bob, toBob, toAlice } = await pair(node);
  for (const text of ['a', 'b']) await toBob.send(utf8(text));
  expect(await words(bob.messages(toAlice.id), 2)).toEqual(['1 a', '2 b']);
  await bob.close();
  const later = await person(node, { identity: bob.identity });
  expect((await later.channel(toBob.id)).acked).toBe(1); // the second one's body broke off
});
