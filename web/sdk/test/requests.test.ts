import { afterAll, beforeAll, expect, test } from 'vitest';
import { QuicproquoError, systemClock } from '@quicproquo/client';
import { Node } from './node.js';
import { pair, person, utf8, words } from './people.js';

let node: Node;
beforeAll(async () => { node = await Node.shared('--rate-address=0', '--rate-creates=0'); });
afterAll(() => node.remove());

test('an error has the code of the node, and what it carries', async () => {
  const { toBob } = await pair(node);
  const failure = await toBob.send(utf8('a'), { ifHead: 3 }).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(QuicproquoError);
  expect(failure).toMatchObject({ code: 'precondition_failed', head: 0, status: 412, name: 'QuicproquoError' });
  expect(String(failure)).toMatch(/^QuicproquoError: precondition_failed: .+/);
});

test('a head that is still so lets a message pass', async () => {
  const { toBob } = await pair(node);
  expect((await toBob.send(utf8('a'), { ifHead: 0 })).seq).toBe(1);
  expect((await toBob.send(utf8('b'), { ifHead: 1 })).seq).toBe(2);
});

test('a send whose answer was lost is stored once', async () => {
  let lost = 0;
  const { toBob, toAlice } = await pair(node, {}, { fetch: async (input, init) => {
    const answer = await fetch(input, init);
    const sending = init?.method === 'POST' && String(input).endsWith('/messages');
    if (sending && lost++ < 2) throw new TypeError('the line broke');
    return answer;
  } });
  expect(await toBob.send(utf8('a'))).toMatchObject({ seq: 1, duplicate: true });
  const named = await toBob.send(utf8('b'), { messageId: 'mine' });
  expect(named).toMatchObject({ seq: 2, duplicate: false, messageId: 'mine' });
  await expect(toBob.send(utf8('c'), { messageId: 'mine' })).rejects.toMatchObject({ code: 'message_id_reused' });
  expect(await words(toAlice.messages(), 2)).toEqual(['1 a', '2 b']);
});

test('what is refused for the rate of it is repeated when it may be', async () => {
  const slow = await Node.start('--rate-identity=20', '--rate-channel=20', '--rate-address=0');
  const { toBob } = await pair(slow);
  const receipts = await Promise.all(Array.from({ length: 80 }, (_, i) => toBob.send(utf8(`${i}`))));
  expect(new Set(receipts.map(({ seq }) => seq)).size).toBe(80);
});

test('nothing is signed for a node that takes itself for another', async () => {
  let logins = 0;
  const client = await person(node, { audience: 'https://node.example', fetch: (input, init) => {
    if (String(input).endsWith('/v1/auth/token')) logins++;
    return fetch(input, init);
  } });
  await expect(client.keyPackageStatus()).rejects.toMatchObject({ code: 'permission_denied' });
  const reading = words(client.messages('6f1b0c9e-52d5-4c0e-9f0d-0a8a5b3c2d1e'), 1);
  await expect(reading).rejects.toMatchObject({ code: 'permission_denied' });
  expect(logins).toBe(0);
});

test('one login serves calls that begin together', async () => {
  let logins = 0;
  const client = await person(node, { fetch: (input, init) => {
    if (String(input).endsWith('/v1/auth/token')) logins++;
    return fetch(input, init);
  } });
  await Promise.all([client.keyPackageStatus(), client.keyPackageStatus(), client.keyPackageStatus()]);
  expect(logins).toBe(1);
});

test.each(['Ed25519', 'P-256'] as const)('where proofs are required, %s gives them', async (algorithm) => {
  const strict = await Node.start('--require-dpop');
  const { bob, toBob, toAlice } = await pair(strict, { dpop: true, algorithm }, { dpop: true, algorithm });
  await toBob.send(utf8('a'));
  const opened: string[] = [];
  bob.onState((state) => opened.push(state.status === 'open' ? state.via : state.status));
  expect(await words(toAlice.messages(), 1)).toEqual(['1 a']);
  expect(opened).toEqual(['idle', 'connecting', 'sse', 'idle']);
  const plain = await person(strict, { identity: bob.identity });
  await expect(plain.channel(toBob.id)).rejects.toMatchObject({ code: 'unauthenticated' });
});

test('a clock that is wrong does not spoil proofs', async () => {
  const strict = await Node.start('--require-dpop');
  const wrong = { ...systemClock, now: () => Date.now() - 3_600_000 };
  await (await person(strict, { dpop: true, clock: wrong })).keyPackageStatus();
});

test('channels are found by their peer, and listed over pages', async () => {
  const bob = await person(node);
  const peers = new Set<string>();
  for (let i = 0; i < 3; i++) {
    const alice = await person(node);
    await (await alice.createChannel(bob.identity.address)).send(utf8('hi'));
    peers.add(alice.identity.address);
  }
  const listed: string[] = [];
  for await (const { peer, unread } of bob.channels()) {
    listed.push(peer);
    expect(unread).toBe(1);
  }
  expect(new Set(listed)).toEqual(peers);
  const [one = ''] = listed;
  for await (const { peer } of bob.channels({ peer: one })) expect(peer).toBe(one);
  expect((await bob.createChannel(one)).created).toBe(false);
});

test('fetching waits, and leaves everything where it is', async () => {
  const { toBob, toAlice } = await pair(node);
  const waiting = toAlice.fetch({ wait: 10_000 });
  await toBob.send(utf8('a'));
  const page = { head: 1, acked: 0, floor: 0, more: false, gap: undefined };
  expect(await waiting).toMatchObject({ ...page, messages: [{ seq: 1 }] });
  expect((await toAlice.fetch()).messages).toHaveLength(1);
  const stop = new AbortController();
  const cancelled = toAlice.fetch({ after: 1, wait: 10_000, signal: stop.signal });
  stop.abort(new Error('enough'));
  await expect(cancelled).rejects.toMatchObject({ code: 'unavailable', cause: stop.signal.reason as unknown });
});

test('what a node is, it says without a login', async () => {
  expect(await (await person(node)).info()).toMatchObject({ audience: node.url, maxPayload: 5 << 20, maxFetch: 256 });
});

test('key packages have their errors', async () => {
  const { alice, bob } = await pair(node);
  expect(await bob.keyPackageStatus()).toEqual([]);
  await expect(alice.claimKeyPackage(bob.identity.address)).rejects.toMatchObject({ code: 'key_package_not_found' });
  await expect(bob.uploadKeyPackages([utf8('no key package')])).rejects.toMatchObject({ code: 'invalid_argument' });
});

test('a node that is not there is unavailable', async () => {
  const gone = await Node.start();
  const client = await person(gone);
  await gone.kill();
  await expect(client.info()).rejects.toMatchObject({ code: 'unavailable', status: undefined });
});
