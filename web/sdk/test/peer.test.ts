import { expect, test } from 'vitest';
import type { Client, ServerEvent, State } from '@quicproquo/client';
import { ManualClock, settled } from './manual.js';
import { channel, hello, message, Peer } from './peer.js';
import { state, take, told } from './people.js';

/** An event in short; of a message its seq. */
function numbered(event: ServerEvent): string {
  return event.type === 'message' ? `${event.seq}` : told(event);
}

/** What a loop yields until it ends, and how it ends. */
async function all(client: Client): Promise<{ events: string[]; end: unknown }> {
  const events: string[] = [];
  try {
    for await (const event of client.events({ ack: 'explicit' })) events.push(numbered(event));
    return { events, end: undefined };
  } catch (failure) {
    return { events, end: failure };
  }
}

test.each([
  [1000, 'unavailable'], [1008, 'permission_denied'], [1009, 'payload_too_large'],
  [4400, 'invalid_argument'], [4403, 'permission_denied'], [4404, 'channel_not_found'],
])('a close with %i ends the loops, once they have had what waits for them', async (code, error) => {
  const peer = await Peer.start();
  const client = await peer.client();
  const reading = all(client);
  const call = await peer.call();
  call.say(hello(client), message(1), message(2));
  call.close(code);
  expect(await reading).toMatchObject({ events: ['1', '2'], end: { code: error } });
  expect(client.state).toEqual({ status: 'closed', code: error });
});

test.each([1001, 1011, 1012, 4408, 4429, 4999])('after a close with %i it comes back, and drops repeats', async (code) => {
  const peer = await Peer.start();
  const client = await peer.client();
  const reading = take(client.events({ ack: 'explicit' }), 4);
  const first = await peer.call();
  first.say(hello(client), message(1), message(2));
  first.close(code);
  expect((await state(client, 'retrying')).in).toBeLessThanOrEqual(500);
  const second = await peer.call();
  const gap = { type: 'gap', channel_id: channel, from: 4, to: 6, reason: 'expired' };
  second.say(hello(client), message(1), message(2), message(3), message(2), gap, message(5));
  expect((await reading).map(numbered)).toEqual(['1', '2', '3', 'gap 4-6 expired']);
});

test('a token that is refused is brought anew, once', async () => {
  const peer = await Peer.start();
  const client = await peer.client();
  const reading = all(client);
  for (let i = 0; i < 2; i++) (await peer.call()).close(4401, 'token_expired: it has expired');
  expect((await reading).end).toMatchObject({ code: 'token_expired', detail: 'it has expired' });
});

test('waits grow, are told, and begin anew with a connection that lasted', async () => {
  const [peer, clock] = [await Peer.start(), new ManualClock(0.5)];
  const client = await peer.client({ clock });
  const waits: number[] = [];
  client.onState((now) => { if (now.status === 'retrying') waits.push(now.in); });
  void all(client);
  for (let i = 0; i < 4; i++) {
    const call = await peer.call();
    call.say(hello(client));
    await state(client, 'open');
    if (i === 3) await advance(clock, 10_000);
    const retrying = state(client, 'retrying');
    call.close(1011);
    await retrying;
    await clock.next();
  }
  expect(waits).toEqual([250, 500, 1000, 250]);
});

/** Lets time pass in which the node pings. */
async function advance(clock: ManualClock, ms: number): Promise<void> {
  clock.setTimeout(() => undefined, ms);
  await clock.next();
}

test('a node that goes silent is left for another connection', async () => {
  const [peer, clock] = [await Peer.start(), new ManualClock(0.5)];
  const client = await peer.client({ clock });
  void all(client);
  const call = await peer.call();
  call.say(hello(client));
  await state(client, 'open');
  expect(clock.pending).toEqual([75_000]);
  await clock.next();
  expect(await call.closed).toBe(4408);
  expect(client.state.status).toBe('retrying');
  await clock.next();
  await peer.call();
});

test('a ping is answered', async () => {
  const peer = await Peer.start();
  const client = await peer.client();
  void all(client);
  const call = await peer.call();
  call.say(hello(client), { type: 'ping' });
  await expect.poll(() => call.heard).toEqual([{ type: 'pong' }]);
});

test('a node that drains says when to come back', async () => {
  const [peer, clock] = [await Peer.start(), new ManualClock(0.5)];
  const client = await peer.client({ clock });
  void all(client);
  const call = await peer.call();
  call.say(hello(client), { type: 'draining', retry_after_ms: 2400 });
  call.close(1012);
  expect(await state(client, 'retrying')).toMatchObject({ in: 2700, error: { code: 'unavailable' } });
});

test('what no node would say closes with 4400, and another connection may do better', async () => {
  const peer = await Peer.start();
  const client = await peer.client();
  const reading = take(client.events(), 1);
  const call = await peer.call();
  call.say(hello(client), '{"type":"message","seq":-1}');
  expect(await call.closed).toBe(4400);
  (await peer.call()).say(hello(client), { type: 'news of a newer node' }, { type: 'caught_up' });
  expect((await reading).map(told)).toEqual(['caught_up']);
});

test("another identity's stream ends everything", async () => {
  const peer = await Peer.start();
  const client = await peer.client();
  const reading = all(client);
  (await peer.call()).say({ ...hello(client), identity: 'A'.repeat(43) }, message(1));
  expect(await reading).toMatchObject({ events: [], end: { code: 'permission_denied' } });
});

test.each([
  ['does not speak the subprotocol', 'chat', async () => undefined],
  ['opens and says nothing', 'qpq.v1.json', (clock: ManualClock) => clock.next()],
])('where a WebSocket %s, events come another way', async (_, subprotocol, then) => {
  const [peer, clock] = [await Peer.start(subprotocol), new ManualClock(0.5)];
  const asked: string[] = [];
  const client = await peer.client({ clock, fetch: (_input, init) => {
    asked.push(new Headers(init?.headers).get('Accept') ?? '');
    return Promise.reject(new TypeError('nobody answers'));
  } });
  void all(client);
  const call = await peer.call();
  await expect.poll(() => clock.pending.length > 0 || asked.length > 0).toBe(true);
  await then(clock);
  await call.closed;
  await expect.poll(() => asked).toEqual(['text/event-stream']);
  expect(client.state).toMatchObject({ status: 'retrying', error: { code: 'unavailable' } });
});

test('acknowledgements are gathered, one at a time, and a refused one goes by a request', async () => {
  const [peer, clock] = [await Peer.start(), new ManualClock(0.5)];
  const requests: string[] = [];
  const client = await peer.client({ clock, fetch: (input, init) => {
    requests.push(`${init?.method} ${new URL(String(input)).search}`);
    return Promise.resolve(new Response(null, { status: 204 }));
  } });
  void all(client);
  const call = await peer.call();
  call.say(hello(client), message(1), message(2), message(3), message(4));
  await state(client, 'open');
  await settled();
  await expect.poll(async () => { call.say({ type: 'news' }); return call.heard; }).toEqual([]);
  const acks = [client.ack(channel, 1), client.ack(channel, 2), client.ack(channel, 3)];
  await expect.poll(() => call.heard).toEqual([{ type: 'ack', channel_id: channel, through: 1 }]);
  call.say({ type: 'acked', channel_id: channel, through: 1 });
  await acks[0];
  await clock.next();
  await expect.poll(() => call.heard).toHaveLength(2);
  expect(call.heard[1]).toEqual({ type: 'ack', channel_id: channel, through: 3 });
  call.say({ type: 'error', code: 'unavailable', detail: 'the disk is full' });
  await Promise.all(acks);
  expect(requests).toEqual(['DELETE ?through=3']);
  await client.ack(channel, 2); // which is done already
  await client.ack(channel, 9); // beyond what this connection delivered
  expect(requests).toEqual(['DELETE ?through=3', 'DELETE ?through=9']);
});

test('a listener that throws does not end the stream', async () => {
  const peer = await Peer.start();
  const client = await peer.client();
  const faults: unknown[] = [];
  const before = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  process.on('uncaughtException', (fault) => faults.push(fault));
  const states: State[] = [];
  const stop = client.onState((now) => { states.push(now); throw new Error('a fault'); });
  const reading = take(client.events(), 1);
  (await peer.call()).say(hello(client), { type: 'caught_up' });
  await reading;
  await expect.poll(() => client.state.status).toBe('idle');
  stop();
  await expect.poll(() => faults.length).toBe(states.length);
  process.removeAllListeners('uncaughtException');
  for (const listener of before) process.on('uncaughtException', listener);
});
