import { IDBFactory } from 'fake-indexeddb';
import { describe, expect, test } from 'vitest';
import { decodeBase64url, Identity, IndexedDBIdentityStore, MemoryIdentityStore } from '@quicproquo/client';
import type { IdentityStore } from '@quicproquo/client';
import { loginBytes } from '../src/tokens.js';

const stores: [string, () => IdentityStore][] = [
  ['memory', () => new MemoryIdentityStore()],
  ['IndexedDB', () => new IndexedDBIdentityStore({ factory: new IDBFactory() })],
];

describe.each(stores)('in %s', (_, make) => {
  test.each([['Ed25519', 32], ['P-256', 65]] as const)('%s: it is kept, and signs', async (algorithm, length) => {
    const store = make();
    const made = await Identity.generate({ store, algorithm, name: 'alice' });
    const opened = await Identity.open({ store, name: 'alice' });
    expect(opened).toMatchObject({ algorithm, address: made.address });
    expect(decodeBase64url(made.address)).toEqual(made.publicKey);
    expect(made.publicKey).toHaveLength(length);
    const words = new TextEncoder().encode('words');
    const name = algorithm === 'P-256' ? { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } : { name: 'Ed25519' };
    const key = await crypto.subtle.importKey('raw', made.publicKey, name, true, ['verify']);
    const signature = await opened?.sign(words);
    expect(signature).toHaveLength(64);
    expect(await crypto.subtle.verify(name, key, signature ?? new Uint8Array(), words)).toBe(true);
  });

  test('a private key cannot be exported', async () => {
    const store = make();
    await Identity.generate({ store });
    const opened = await Identity.open({ store });
    expect(opened?.privateKey.extractable).toBe(false);
    for (const format of ['pkcs8', 'jwk'] as const) {
      await expect(crypto.subtle.exportKey(format, opened?.privateKey as CryptoKey)).rejects.toThrow();
    }
  });

  test('a name is never given to another', async () => {
    const store = make();
    const first = await Identity.generate({ store });
    await expect(Identity.generate({ store })).rejects.toMatchObject({ code: 'invalid_argument' });
    expect((await Identity.open({ store }))?.address).toBe(first.address);
    await Identity.generate({ store, name: 'another' });
    expect((await store.names()).sort()).toEqual(['another', 'default']);
    await store.remove('default');
    expect(await Identity.open({ store })).toBeUndefined();
  });
});

test('where there is no IndexedDB, what was made is opened again', async () => {
  const made = await Identity.generate({ name: 'somebody' });
  expect((await Identity.open({ name: 'somebody' }))?.address).toBe(made.address);
  expect(await Identity.open({ name: 'nobody' })).toBeUndefined();
});

test('a login signs these bytes', () => {
  const signed = loginBytes('https://node.example', Uint8Array.of(1, 2), Uint8Array.of(3, 4));
  expect(Buffer.from(signed).toString('latin1')).toBe('quicproquo login v1\0https://node.example\0\x01\x02\x03\x04');
});
