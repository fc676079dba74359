import { expect, test } from 'vitest';
import { encodeBase64url } from '@quicproquo/client';
import { BroughtTokens } from '../src/tokens.js';
import { ManualClock } from './manual.js';

/** A token that says that it lives so many seconds. */
function jwt(seconds: number, id: number): string {
  const part = (value: object): string => encodeBase64url(new TextEncoder().encode(JSON.stringify(value)));
  return `${part({ alg: 'EdDSA' })}.${part({ iat: 1_000_000, exp: 1_000_000 + seconds, jti: `${id}` })}.AAAA`;
}

async function passes(clock: ManualClock, ms: number): Promise<void> {
  clock.setTimeout(() => undefined, ms);
  await clock.next();
}

test('a token is brought once, and anew before it expires', async () => {
  const clock = new ManualClock();
  let brought = 0;
  const tokens = new BroughtTokens(clock, () => Promise.resolve(jwt(900, ++brought)));
  const [first, same] = await Promise.all([tokens.get(), tokens.get()]);
  expect(first).toBe(same);
  expect(tokens.renewIn()).toBe(840_000);
  await passes(clock, 839_999);
  expect(await tokens.get()).toBe(first);
  await passes(clock, 1);
  expect(await tokens.get()).toBe(jwt(900, 2));
});

test('a token that cannot be renewed is used while it lives', async () => {
  const clock = new ManualClock();
  let failing = false;
  const bring = (): Promise<string> => failing ? Promise.reject(new Error('no')) : Promise.resolve(jwt(90, 1));
  const tokens = new BroughtTokens(clock, bring);
  const first = await tokens.get();
  failing = true;
  await passes(clock, 60_000);
  expect(tokens.renewIn()).toBe(0);
  expect(await tokens.get()).toBe(first);
  await passes(clock, 30_000);
  await expect(tokens.get()).rejects.toThrow('no');
});

test('a token that was refused is not used again, nor is one of unknown life renewed', async () => {
  let brought = 0;
  const tokens = new BroughtTokens(new ManualClock(), () => Promise.resolve(`opaque ${++brought}`));
  const first = await tokens.get();
  expect(tokens.renewIn()).toBeUndefined();
  tokens.discard('another');
  expect(await tokens.get()).toBe(first);
  tokens.discard(first);
  expect(await tokens.get()).toBe('opaque 2');
});
