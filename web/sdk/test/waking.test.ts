import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Waking } from '../src/waking.js';
import { ManualClock, settled } from './manual.js';
import { hello, Peer } from './peer.js';
import { state } from './people.js';

/** What a browser has and Node has not, as far as it says when to come back. */
class Platform {
  readonly window = new EventTarget();
  readonly document = Object.assign(new EventTarget(), { visibilityState: 'visible' });

  online(): void {
    this.window.dispatchEvent(new Event('online'));
  }

  turns(visibilityState: 'visible' | 'hidden'): void {
    Object.assign(this.document, { visibilityState });
    this.document.dispatchEvent(new Event('visibilitychange'));
  }
}

let platform: Platform;
beforeEach(() => {
  platform = new Platform();
  vi.stubGlobal('addEventListener', platform.window.addEventListener.bind(platform.window));
  vi.stubGlobal('document', platform.document);
});
afterEach(() => { vi.unstubAllGlobals(); });

/** Waits of a clock whose chance is one half, until the function is called that is given back with them. */
function begin() {
  const [clock, stop] = [new ManualClock(0.5), new AbortController()];
  const waking = new Waking(clock);
  waking.listen(stop.signal);
  return { clock, stop, wait: (ms: number) => waking.wait(ms, stop.signal) };
}

test.each([
  ['that is online again', () => platform.online()],
  ['that is looked at', () => platform.turns('visible')],
])('a page %s comes back within a second', async (_, happens) => {
  const { clock, wait } = begin();
  const waiting = wait(30_000);
  expect(clock.pending).toEqual([30_000]);
  happens();
  await settled();
  expect(clock.pending).toEqual([500]);
  await clock.next();
  await waiting;
});

test('a page that is hidden waits on', async () => {
  const { clock, wait } = begin();
  void wait(30_000);
  platform.turns('hidden');
  await settled();
  expect(clock.pending).toEqual([30_000]);
});

test('a short wait is not made longer', async () => {
  const { clock, wait } = begin();
  void wait(200);
  platform.online();
  await settled();
  expect(clock.pending).toEqual([200]);
});

test('what happens during an attempt shortens the wait after it', async () => {
  const { clock, wait } = begin();
  platform.online();
  void wait(30_000);
  await settled();
  expect(clock.pending).toEqual([500]);
});

test('a storm of events brings an attempt every five seconds, and after it all is as before', async () => {
  const { clock, wait } = begin();
  const attempts: number[] = [];
  for (let i = 0; i < 5; i++) {
    const waiting = wait(30_000);
    for (let j = 0; j < 100; j++) platform.online();
    await settled();
    for (let j = 0; j < 100; j++) platform.turns('visible');
    while (clock.pending.length > 0) await clock.next();
    await waiting;
    attempts.push(clock.now());
  }
  expect(attempts).toEqual([500, 5_500, 10_500, 15_500, 20_500]);
  void wait(30_000);
  expect(clock.pending).toEqual([30_000]);
});

test('a wait that is given up ends, and listens no more', async () => {
  const { clock, stop, wait } = begin();
  const waiting = wait(30_000);
  stop.abort();
  await waiting;
  platform.online();
  await settled();
  expect(clock.pending).toEqual([]);
});

/** A stream whose connection broke, and how long it is to wait. */
async function broken(frames: object[]) {
  const [peer, clock] = [await Peer.start(), new ManualClock(0.99)];
  const client = await peer.client({ clock });
  const stop = new AbortController();
  const reading = (async () => { for await (const _ of client.events({ signal: stop.signal })); })();
  for (let i = 0; i < 3; i++) { // by now it waits for longer than what an event leaves of it
    const call = await peer.call();
    call.say(hello(client));
    await state(client, 'open');
    call.say(...frames);
    const retrying = state(client, 'retrying');
    call.close(1012);
    await retrying;
    if (i < 2) await clock.next();
  }
  return { peer, clock, end: async () => { stop.abort(); await reading; } };
}

test('a stream comes back when the device is online again', async () => {
  const { peer, clock, end } = await broken([]);
  expect(clock.pending).toEqual([1980]);
  platform.online();
  await settled();
  expect(clock.pending).toEqual([990]);
  await clock.next();
  await peer.call();
  await end();
});

test('a stream whose node asked it to wait waits', async () => {
  const { clock, end } = await broken([{ type: 'draining', retry_after_ms: 8000 }]);
  const waits = clock.pending;
  expect(waits).toEqual([9980]);
  platform.online();
  platform.turns('visible');
  await settled();
  expect(clock.pending).toEqual(waits);
  await end();
});
