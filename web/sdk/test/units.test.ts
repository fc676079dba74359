import { describe, expect, test } from 'vitest';
import type { Code } from '@quicproquo/client';
import { QuicproquoError, decodeBase64url, encodeBase64url } from '@quicproquo/client';
import { fullJitter, jittered } from '../src/backoff.js';
import { endingOf, endingOfClose } from '../src/ending.js';
import { decodeFrame, maxFrame } from '../src/frames.js';
import { retrying } from '../src/retry.js';
import { EventParser } from '../src/sse.js';
import { Window } from '../src/window.js';
import { ManualClock, settled } from './manual.js';

const channel = '6f1b0c9e-52d5-4c0e-9f0d-0a8a5b3c2d1e';
const time = '2026-11-23T09:16:02.007Z';

test('waits double, up to a bound, and any share of them is as likely', () => {
  const backoff = { first: 500, longest: 30_000 };
  const halves = [1, 2, 3, 7, 1000].map((failures) => fullJitter(backoff, failures, { random: () => 0.5 }));
  expect(halves).toEqual([250, 500, 1000, 15_000, 15_000]);
  expect(fullJitter(backoff, 3, { random: () => 0 })).toBe(0);
  expect(jittered(1000, { random: () => 0.999 })).toBe(1250);
  expect(jittered(1000, { random: () => 0 })).toBe(1000);
});

test('base64url is read strictly', () => {
  const all = Uint8Array.from({ length: 256 }, (_, i) => i);
  for (let length = 0; length < 70; length++) {
    expect(decodeBase64url(encodeBase64url(all.subarray(length)))).toEqual(all.slice(length));
  }
  expect(encodeBase64url(Uint8Array.of(0xfb, 0xff))).toBe('-_8');
  const none = ['=', 'AA==', 'A', 'AAAAA', 'A+', 'A/', 'AB', 'AAB', ' AA', 'AA\n', 'ÄÄ'];
  for (const bad of none) expect(decodeBase64url(bad)).toBeUndefined();
});

describe('frames', () => {
  const message = { type: 'message', channel_id: channel, seq: 8, received_at: time, payload: 'AAE' };

  test('are read', () => {
    expect(decodeFrame(JSON.stringify(message))).toEqual({
      type: 'message', channelId: channel, seq: 8, receivedAt: new Date(time), payload: Uint8Array.of(0, 1),
    });
    expect(decodeFrame(`{"type":"gap","channel_id":"${channel}","from":5,"to":7,"reason":"restored"}`))
      .toEqual({ type: 'gap', channelId: channel, from: 5, to: 7, reason: 'restored' });
    const error = decodeFrame('{"type":"error","code":"of a newer node","detail":"x"}');
    expect(error).toEqual({ type: 'error', code: 'internal', detail: 'x' });
  });

  test('of types and with members that are not known are passed over', () => {
    expect(decodeFrame('{"type":"news"}')).toBeUndefined();
    expect(decodeFrame(JSON.stringify({ ...message, more: [{}] }))).toMatchObject({ seq: 8 });
    for (const type of ['constructor', '__proto__', 'toString']) {
      expect(decodeFrame(JSON.stringify({ type }))).toBeUndefined();
    }
  });

  test.each<[string, unknown]>([
    ['no text', new ArrayBuffer(3)],
    ['nothing', ''],
    ['half', '{"type":'],
    ['null', 'null'],
    ['a list', '[]'],
    ['a number', '7'],
    ['without a type', '{}'],
    ['of a type that is none', '{"type":{}}'],
    ['too long', `"${'x'.repeat(maxFrame)}"`],
    ['seq 0', JSON.stringify({ ...message, seq: 0 })],
    ['seq -1', JSON.stringify({ ...message, seq: -1 })],
    ['half a seq', JSON.stringify({ ...message, seq: 1.5 })],
    ['a seq beyond 2^53', JSON.stringify({ ...message, seq: 2 ** 53 })],
    ['a seq in quotes', JSON.stringify({ ...message, seq: '8' })],
    ['no payload', JSON.stringify({ ...message, payload: undefined })],
    ['an empty payload', JSON.stringify({ ...message, payload: '' })],
    ['a padded payload', JSON.stringify({ ...message, payload: 'AAE=' })],
    ['another channel id', JSON.stringify({ ...message, channel_id: `${channel}0` })],
    ['a path for a channel id', JSON.stringify({ ...message, channel_id: '../../auth/token' })],
    ['no time', JSON.stringify({ ...message, received_at: 'now' })],
    ['a gap backwards', `{"type":"gap","channel_id":"${channel}","from":7,"to":5,"reason":"acked"}`],
    ['a gap for no reason', `{"type":"gap","channel_id":"${channel}","from":5,"to":7,"reason":"toString"}`],
    ['a hello that never pings', '{"type":"hello","identity":"x","ping_ms":0}'],
    ['an error without words', '{"type":"error","code":"internal"}'],
    ['nested without end', '['.repeat(100_000)],
  ])('with %s are refused', (_, data) => {
    expect(() => decodeFrame(data)).toThrow(QuicproquoError);
  });
});

describe('server-sent events', () => {
  test('are put together from parts', () => {
    const text = 'event: message\nid: 7\ndata: {"a":1}\n\n: a comment\n\n'
      + 'data:b\r\ndata: c\r\n\r\nretry: 3\n\ndata: rest';
    for (let size = 1; size < text.length; size++) {
      const parser = new EventParser();
      const events: string[] = [];
      for (let at = 0; at < text.length; at += size) events.push(...parser.push(text.slice(at, at + size)));
      expect(events).toEqual(['{"a":1}', 'b\nc']);
    }
  });

  test('that never end are refused', () => {
    const parser = new EventParser();
    const part = `data: ${'x'.repeat(maxFrame / 4)}`;
    expect(() => { for (let i = 0; i < 5; i++) parser.push(part); }).toThrow('larger than any should be');
    const lines = new EventParser();
    expect(() => { for (let i = 0; i < 5; i++) lines.push(`${part}\n`); }).toThrow('larger than any should be');
  });
});

test.each([
  [1000, '', 'over', 'unavailable'],
  [1001, '', 'again', 'unavailable'],
  [1006, '', 'again', 'unavailable'],
  [1008, '', 'over', 'permission_denied'],
  [1009, '', 'over', 'payload_too_large'],
  [1011, 'internal: it broke', 'again', 'internal'],
  [1012, 'the node restarts', 'again', 'unavailable'],
  [4400, 'invalid_argument: no frame', 'over', 'invalid_argument'],
  [4401, 'token_expired: the token has expired', 'login', 'token_expired'],
  [4401, '', 'login', 'unauthenticated'],
  [4403, 'permission_denied: not this origin', 'over', 'permission_denied'],
  [4404, '', 'over', 'channel_not_found'],
  [4408, 'nothing was heard for 60 s', 'again', 'unavailable'],
  [4429, 'quota_exceeded: 16 streams are open', 'again', 'quota_exceeded'],
  [4999, 'constructor: of a newer node', 'again', 'unavailable'],
])('a close with %i, "%s", means %s', (code, reason, then, error) => {
  expect(endingOfClose(code, reason)).toMatchObject({ then, error: { code: error } });
});

test('a window is as full as the node thinks', () => {
  const window = new Window();
  expect(window.room(channel)).toBe(32);
  for (let seq = 1; seq <= 32; seq++) window.deliver(channel, seq, 10);
  expect([window.room(channel), window.room('other'), window.delivered(channel)]).toEqual([0, 32, 32]);
  window.acked(channel, 30);
  expect(window.room(channel)).toBe(30);
  window.deliver('other', 1, 16 << 20);
  expect(window.room(channel)).toBe(0);
  window.acked('other', 5);
  window.deliver(channel, 40, undefined);
  expect([window.room(channel), window.delivered(channel)]).toEqual([30, 40]);
});

describe('a call', () => {
  const refusal = (code: Code, retryAfterMs?: number): Error => new QuicproquoError(code, 'no', { retryAfterMs });

  /** How long it waits between its tries, which fail so, and how it ends. */
  async function attempts(failures: readonly Error[]): Promise<{ waits: number[]; outcome: unknown }> {
    const clock = new ManualClock();
    const waits: number[] = [];
    let [tries, outcome] = [0, undefined as unknown];
    void retrying(clock, new AbortController().signal, () => {
      const failure = failures[tries++];
      return failure ? Promise.reject(failure) : Promise.resolve('done');
    }).then((value) => { outcome = value; }, (error: unknown) => { outcome = error; });
    for (await settled(); outcome === undefined; await clock.next()) waits.push(clock.pending[0] ?? -1);
    return { waits, outcome };
  }

  test('is repeated after growing waits, and not for ever', async () => {
    const away = Array.from({ length: 9 }, () => refusal('unavailable'));
    expect(await attempts(away.slice(0, 4))).toEqual({ waits: [50, 100, 200, 400], outcome: 'done' });
    expect(await attempts(away)).toEqual({ waits: [50, 100, 200, 400], outcome: away[4] });
  });

  test('waits as long as the server asks', async () => {
    expect(await attempts([refusal('rate_limited', 700)])).toEqual({ waits: [750], outcome: 'done' });
    const long = refusal('unavailable', 31_000);
    expect(await attempts([long])).toEqual({ waits: [], outcome: long });
  });

  test('that limits refuse is repeated for half a minute', async () => {
    const { waits, outcome } = await attempts(Array.from({ length: 99 }, () => refusal('rate_limited')));
    expect(waits.reduce((sum, wait) => sum + wait, 0)).toBeLessThanOrEqual(30_000);
    expect(outcome).toMatchObject({ code: 'rate_limited' });
  });

  test('that is refused for good is not repeated, nor one that has a fault', async () => {
    expect(await attempts([refusal('internal')])).toMatchObject({ waits: [], outcome: { code: 'internal' } });
    expect(await attempts([new TypeError('a fault')])).toMatchObject({ waits: [], outcome: { name: 'TypeError' } });
  });

  test('ends with its signal', async () => {
    const stop = new AbortController();
    const calling = retrying(new ManualClock(), stop.signal, () => Promise.reject(refusal('unavailable')));
    await settled();
    stop.abort();
    await expect(calling).rejects.toMatchObject({ code: 'unavailable', detail: 'the call was cancelled' });
  });
});

test('every code has its remedy', () => {
  expect(endingOf(new QuicproquoError('token_expired', 'x')).then).toBe('login');
  expect(endingOf(new QuicproquoError('permission_denied', 'x')).then).toBe('over');
  expect(endingOf(new QuicproquoError('quota_exceeded', 'x')).then).toBe('again');
});
