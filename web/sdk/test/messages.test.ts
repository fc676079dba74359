import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Node } from './node.js';
import { pair, told, utf8, words } from './people.js';

let node: Node;
beforeAll(async () => { node = await Node.shared('--rate-address=0', '--rate-creates=0'); });
afterAll(() => node.remove());

describe.each(['Ed25519', 'P-256'] as const)('with %s', (algorithm) => {
  test('a message is sent, read, and acknowledged', async () => {
    const { toBob, toAlice, alice } = await pair(node, { algorithm }, { algorithm });
    const receipt = await toBob.send(utf8('hello'));
    expect(receipt).toMatchObject({ seq: 1, duplicate: false });
    for await (const event of toAlice.messages()) {
      expect(told(event)).toBe('1 hello');
      await toAlice.ack(1);
      break;
    }
    expect(await toAlice.refresh()).toMatchObject({ head: 1, acked: 1, unread: 0, peer: alice.identity.address });
  });
});

test('messages come in order, live, over both', async () => {
  const { toBob, toAlice } = await pair(node);
  await toBob.send(utf8('a'));
  const reading = words(toAlice.messages(), 3);
  await toBob.send(utf8('b'));
  await toBob.send(utf8('c'));
  expect(await reading).toEqual(['1 a', '2 b', '3 c']);
});
