import { expect, test } from 'vitest';
import { Client, encodeBase64url, systemClock } from '@quicproquo/client';
import type { ServerEvent } from '@quicproquo/client';
import { Acks } from '../src/acks.js';
import { Scope } from '../src/clock.js';
import { Connection } from '../src/connection.js';
import type { Rest } from '../src/rest.js';
import { Seat } from '../src/seat.js';
import { BroughtTokens } from '../src/tokens.js';
import { ManualClock, settled } from './manual.js';
import { channel, hello, message, Peer } from './peer.js';
import { state, take, utf8 } from './people.js';

const other = '00000000-52d5-4c0e-9f0d-0a8a5b3c2d1e';

function json(body: object, status = 200): Promise<Response> {
  const type = status < 400 ? 'application/json' : 'application/problem+json';
  return Promise.resolve(new Response(JSON.stringify(body), { status, headers: { 'Content-Type': type } }));
}

function page(messages: object[], more = false): object {
  return { messages, head: 9, acked: 0, floor: 0, gap: null, more };
}

test('a loop asks no sooner than a node that refuses it wants', async () => {
  const [peer, clock] = [await Peer.start(), new ManualClock(0.5)];
  let asked = 0;
  const client = await peer.client({ clock, fetch: () => {
    asked++;
    return json({ code: 'unavailable', detail: 'later', retry_after_ms: 60_000 }, 503);
  } });
  const reading = take(client.messages(channel), 1);
  for (let i = 0; i < 20; i++) await settled();
  expect(asked).toBe(1);
  await client.close();
  expect(await reading).toEqual([]);
});

test('a loop that begins while the client closes does not wait for ever', async () => {
  const peer = await Peer.start();
  const client = await peer.client();
  const closing = client.close();
  const reading = take(client.events(), 1);
  await closing;
  await expect(reading).rejects.toMatchObject({ code: 'unavailable' });
  expect(client.state.status).toBe('closed');
});

test('a call ends with its signal, or its client, while the token is brought', async () => {
  const peer = await Peer.start();
  const client = await peer.client({ token: () => new Promise(() => undefined) });
  const stop = new AbortController();
  const sending = client.send(channel, utf8('a'), { signal: stop.signal });
  stop.abort(new Error('enough'));
  await expect(sending).rejects.toMatchObject({ code: 'unavailable', cause: stop.signal.reason as unknown });
  const listing = client.keyPackageStatus();
  await Promise.all([client.close(), expect(listing).rejects.toMatchObject({ code: 'unavailable' })]);
});

test('what brings tokens may fail, and is told in the words of this package', async () => {
  const peer = await Peer.start();
  const fault = new Error('not signed in');
  const clock = new ManualClock(0);
  const client = await peer.client({ clock, token: () => Promise.reject(fault) });
  const asking = expect(client.keyPackageStatus()).rejects.toMatchObject({ name: 'QuicproquoError', cause: fault });
  for (let i = 0; i < 4; i++) {
    await settled();
    await clock.next();
  }
  await asking;
});

test.each([
  ['messages of another channel', page([{ ...message(1), channel_id: other }])],
  ['messages out of order', page([message(2), message(1)])],
  ['more to come, and nothing now', page([], true)],
])('a page with %s is refused', async (_, body) => {
  const peer = await Peer.start();
  const client = await peer.client({ fetch: () => json(body) });
  await expect(client.fetch(channel)).rejects.toMatchObject({ code: 'internal' });
});

test("another's channel is not taken for the one that was asked for", async () => {
  const peer = await Peer.start();
  const client = await peer.client({ fetch: () => json({
    channel_id: channel, peer: 'B'.repeat(43), created_at: '2026-11-23T09:15:00Z', head: 0, acked: 0, unread: 0,
    created: true,
  }) });
  await expect(client.createChannel('A'.repeat(43))).rejects.toMatchObject({ code: 'internal' });
});

test.each(['', 'a b', 'grüße', 'two\nlines', 'x'.repeat(65)])('a message id like %j is refused at once', async (messageId) => {
  const peer = await Peer.start();
  const client = await peer.client();
  const sending = client.send(channel, utf8('a'), { messageId });
  await expect(sending).rejects.toMatchObject({ code: 'invalid_argument' });
});

test.each([NaN, 1.5, -1, Infinity, 2 ** 53])('an acknowledgement of %d is refused at once', async (through) => {
  const peer = await Peer.start();
  const client = await peer.client();
  await expect(client.ack(channel, through)).rejects.toMatchObject({ code: 'invalid_argument' });
});

test('however often a node says hello, the token is renewed by one timer', async () => {
  const [peer, clock] = [await Peer.start(), new ManualClock(0.5)];
  const part = (value: object): string => encodeBase64url(utf8(JSON.stringify(value)));
  const token = `${part({})}.${part({ iat: 0, exp: 900 })}.AAAA`;
  const client = await peer.client({ clock, token: () => Promise.resolve(token) });
  const reading = take(client.events(), 1);
  const call = await peer.call();
  call.say(hello(client), hello(client), hello(client), { type: 'ping' });
  await expect.poll(() => call.heard).toEqual([{ type: 'pong' }]);
  expect(clock.pending).toEqual([75_000, 840_000]);
  call.say({ type: 'caught_up' });
  await reading;
});

test('a token that ends is renewed on the node’s word where the timer is late, as in a page that nobody looks at', async () => {
  const peer = await Peer.start();
  const clock = new class extends ManualClock {
    late = 0;
    override now(): number { return super.now() + this.late; }
  }(0.5);
  const part = (value: object): string => encodeBase64url(utf8(JSON.stringify(value)));
  const tokens = ['one', 'two'].map((last) => `${part({})}.${part({ iat: 0, exp: 900 })}.${last}`);
  const client = await peer.client({ clock, token: () => Promise.resolve(tokens.shift() ?? 'no more') });
  const [, second] = tokens;
  const reading = take(client.events(), 1);
  const call = await peer.call();
  call.say(hello(client), { type: 'token_expiring' }, { type: 'ping' });
  await expect.poll(() => call.heard).toEqual([{ type: 'pong' }]);
  clock.late = 845_000;
  call.say({ type: 'token_expiring' });
  await expect.poll(() => call.heard).toEqual([{ type: 'pong' }, { type: 'auth', token: second }]);
  call.say({ type: 'caught_up' });
  await reading;
});

test.each([
  ['events', (client: Client) => client.events()], ['messages', (client: Client) => client.messages(channel)],
])('a loop over %s that is left while it waits ends at once', async (_, begin) => {
  const peer = await Peer.start();
  const client = await peer.client({ fetch: () => json(page([])) });
  const events = begin(client);
  const left = events[Symbol.asyncIterator]();
  const waiting = left.next();
  (await peer.call()).say(hello(client));
  await state(client, 'open');
  expect(await left.return?.()).toEqual({ done: true, value: undefined });
  expect(await waiting).toEqual({ done: true, value: undefined });
  expect(client.state).toEqual({ status: 'idle' });
  // What is iterated again is another loop.
  const again = events[Symbol.asyncIterator]();
  const next = again.next();
  (await peer.call()).say(hello(client), message(1));
  expect(await next).toMatchObject({ done: false, value: { seq: 1 } });
  await expect(again.throw?.(new Error('enough'))).rejects.toThrow('enough');
  expect(client.state).toEqual({ status: 'idle' });
});

test('what a loop skips by after is not acknowledged for it', async () => {
  const peer = await Peer.start();
  const asked: string[] = [];
  const client = await peer.client({ fetch: (_input, init) => {
    asked.push(String(init?.method));
    return json(page([]));
  } });
  const reading = take(client.messages(channel, { after: 5 }), 1);
  const call = await peer.call();
  call.say(hello(client), message(1), message(2), { type: 'ping' });
  await state(client, 'open');
  await expect.poll(() => call.heard).toEqual([{ type: 'pong' }]);
  call.say(message(6));
  expect(await reading).toMatchObject([{ seq: 6 }]);
  expect([asked, call.heard]).toEqual([['GET'], [{ type: 'pong' }]]);
});

test('a node that never stops to deliver is left, and come back to', async () => {
  const peer = await Peer.start();
  const { identity } = await peer.client();
  const told: string[] = [];
  const audience = { acks: new Acks({} as Rest, systemClock, new AbortController().signal, () => undefined), opened: () => undefined,
    dispatch: (event: ServerEvent) => told.push(event.type) };
  const tokens = new BroughtTokens(systemClock, () => Promise.resolve('token'));
  const connection = new Connection(audience, identity.address, 'sse', tokens, systemClock);
  const line = connection.line('token', new Scope());
  line.receive({ type: 'hello', identity: identity.address, pingMs: 25_000 });
  const [receivedAt, payload] = [new Date(0), new Uint8Array(1)];
  for (let seq = 1; seq <= 20_000; seq++) line.receive({ type: 'message', channelId: channel, seq, receivedAt, payload });
  expect(line.signal.aborted).toBe(true);
  expect(connection.refused).toMatchObject({ then: 'again', error: { code: 'internal' } });
  expect(told.length).toBeLessThan(17_000);
});

test('a node with channels without end is given up for a while', async () => {
  const peer = await Peer.start();
  const view = { channel_id: channel, peer: 'A'.repeat(43), created_at: '2026-11-23T09:15:00Z', head: 0, acked: 0, unread: 0 };
  const endless = JSON.stringify({ channels: Array(9000).fill(view), next_cursor: 'more' });
  const client = await peer.client({ WebSocket: null, fetch: (input) => Promise.resolve(String(input).includes('/v1/stream')
    ? new Response('not here', { status: 404 })
    : new Response(endless, { headers: { 'Content-Type': 'application/json' } })) });
  const reading = take(client.events(), 1);
  expect((await state(client, 'retrying')).error).toMatchObject({ code: 'internal' });
  await client.close();
  expect(await reading).toEqual([]);
});

test.each(['node.example', 'ws://node.example', 'file:///etc', ''])('a client of %j is refused at once', async (url) => {
  const peer = await Peer.start();
  const { identity } = await peer.client();
  expect(() => new Client({ url, identity })).toThrow(expect.objectContaining({ code: 'invalid_argument' }));
});

test('a node that sends more than a loop can hold ends it', async () => {
  const host = { handled: () => undefined, stuck: () => false, ackTarget: () => 0 };
  const seat = new Seat(host, { channelId: undefined, after: undefined, ack: 'auto' });
  const payload = new Uint8Array(1 << 20);
  const offered = 200;
  for (let seq = 1; seq <= offered; seq++) {
    seat.offer({ type: 'message', channelId: channel, seq, receivedAt: new Date(0), payload });
  }
  let taken = 0;
  const reading = (async () => { for (;; taken++) await seat.take(); })();
  await expect(reading).rejects.toMatchObject({ code: 'unavailable' });
  expect(taken).toBeGreaterThan(16);
  expect(taken).toBeLessThan(offered);
});
