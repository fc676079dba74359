import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch } from './browser.mjs';
import { Node } from './node.mjs';
import { Person, mirrored, pair } from './person.mjs';

let browser, node;

before(async () => {
  [browser, node] = await Promise.all([launch(), Node.start()]);
});

after(async () => {
  await browser?.close();
  await node?.stop();
});

test('two people converse', async () => {
  const { ada, grace } = await pair(browser, node.origin);
  await grace.say('one\nof two lines is not sent by Enter'.replace('\n', ' '));
  await ada.say('<b>no markup</b> & "quotes"');
  await grace.sees('<b>no markup</b> & "quotes"', 'received');
  await ada.sees('first', 'sent');
  assert.deepEqual(await ada.transcript(), mirrored(await grace.transcript()));
  assert.deepEqual(await ada.transcript(), [
    'me: first', 'them: second', 'them: one of two lines is not sent by Enter', 'me: <b>no markup</b> & "quotes"',
  ]);
  await ada.leave();
  await grace.leave();
});
