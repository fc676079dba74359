import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { after, afterEach, before, test } from 'node:test';
import { launch } from './browser.mjs';
import { Node } from './node.mjs';
import { Person, mirrored, pair, samePair } from './person.mjs';

let browser, node;
let ada, grace; // who are in conversation all along

before(async () => {
  [browser, node] = await Promise.all([launch(), Node.start('--rate-creates', '0')]);
  ({ ada, grace } = await pair(browser, node.origin));
});

afterEach(async ({ passed }) => {
  ({ ada, grace } = await samePair(passed, { ada, grace }, browser, node.origin));
});

after(async () => {
  await browser?.close();
  await node?.stop();
});

test('two people converse', async () => {
  for (const { page } of [ada, grace]) await page.locator('.connection[data-via="websocket"]').waitFor();
  await grace.say('third');
  await ada.sees('third', 'received');
  await ada.say('<b>no markup</b> & "quotes"');
  await grace.sees('<b>no markup</b> & "quotes"', 'received');
  await ada.sees('<b>no markup</b> & "quotes"', 'sent');
  await ada.say('is it (https://example.org/a?b=c) or javascript:alert(1)?');
  const links = grace.page.locator('.bubble').getByRole('link');
  await links.waitFor();
  assert.deepEqual(await links.evaluateAll((all) => all.map(({ href, rel }) => `${href} ${rel}`)), ['https://example.org/a?b=c noreferrer']);
  assert.deepEqual(await ada.transcript(), [
    'me: first', 'them: second', 'them: third', 'me: <b>no markup</b> & "quotes"', 'me: is it (https://example.org/a?b=c) or javascript:alert(1)?',
  ]);
  assert.deepEqual(await grace.transcript(), mirrored(await ada.transcript()));
  ada.isContent();
  grace.isContent();
});

test('the list counts what was not read, and so does the title', async () => {
  await grace.page.goBack();
  for (const text of ['one', 'two', 'three']) await ada.say(text);
  const row = grace.page.getByRole('navigation').getByRole('link', { name: /Ada.*3 unread/ });
  await row.waitFor();
  await grace.page.waitForFunction(() => document.title === '(3) quicproquo');
  assert.match(await row.innerText(), /three/);
  await grace.open('Ada');
  await grace.sees('three');
  await grace.page.waitForFunction(() => document.title === 'Ada – quicproquo');
  await grace.page.locator('.unread').waitFor({ state: 'hidden' });
  ada.isContent();
  grace.isContent();
});

test('what was begun to be written waits for its writer', async () => {
  const field = ada.page.getByRole('textbox', { name: 'Message to Grace' });
  await field.fill('not finished');
  await ada.page.goto(`${node.origin}/#/`);
  await field.waitFor({ state: 'detached' });
  await ada.open('Grace');
  assert.equal(await field.inputValue(), 'not finished');
  await field.fill('');
});

test('a large script leaves room for the conversation and for the answer', async () => {
  const { page } = ada;
  await page.setViewportSize({ width: 320, height: 256 }); // 1280 by 1024, four times as large
  const [transcript, field] = await Promise.all(['.transcript', '.composer textarea'].map((part) => page.locator(part).boundingBox()));
  assert.ok(transcript.height > 60 && field.y + field.height <= 256, JSON.stringify({ transcript, field }));
  await page.goto(`${node.origin}/#/`);
  await page.getByRole('link', { name: /Grace/ }).click(); // after scrolling to all of it
  await page.setViewportSize({ width: 1280, height: 720 });
  ada.isContent();
});

test('a tab is reloaded, and the conversation goes on', async () => {
  const before = await ada.transcript();
  await ada.page.reload();
  await ada.sees('second');
  assert.deepEqual(await ada.transcript(), before);
  await grace.say('while you were away');
  await ada.sees('while you were away', 'received');
  await ada.say('back');
  await grace.page.reload();
  await grace.sees('back');
  assert.deepEqual(await grace.transcript(), mirrored(await ada.transcript()));
  ada.isContent();
  grace.isContent();
});

test('a link begins a conversation, and leads back to it', async () => {
  const grace = await Person.arrive(browser, node.origin, 'Grace');
  const link = await grace.link();
  assert.match(link, new RegExp(`^${node.origin}/#to=[\\w-]{43}&name=Grace$`));
  const ada = await Person.arrive(browser, node.origin, 'Ada');
  await ada.page.goto(link);
  await ada.page.getByRole('dialog', { name: 'Talk with Grace?' }).waitFor();
  await ada.page.keyboard.press('Enter'); // the button has the focus
  await ada.page.getByRole('textbox', { name: 'Message to Grace' }).waitFor();
  await ada.say('by your link');
  await grace.open('Ada');
  await grace.sees('by your link');
  await ada.page.goto(`${node.origin}/#/`);
  await ada.page.getByRole('textbox').waitFor({ state: 'detached' });
  await ada.page.goto(link);
  await ada.page.getByRole('textbox', { name: 'Message to Grace' }).waitFor();
  assert.equal(await ada.page.getByRole('dialog').count(), 0);
  await ada.leave();
  await grace.leave();
});

test('the keyboard alone is enough', async () => {
  const grace = await Person.arrive(browser, node.origin, 'Grace');
  const link = await grace.link();
  const ada = await Person.arrive(browser, node.origin, 'Ada', { viewport: { width: 320, height: 640 } });
  const { page } = ada;
  const tabTo = async (name) => {
    const focused = () => page.evaluate(() => document.activeElement.innerText || document.activeElement.labels?.[0]?.innerText || document.activeElement.ariaLabel);
    for (let presses = 0; await focused() !== name; presses++) {
      assert.ok(presses < 20, `${name} cannot be reached`);
      await page.keyboard.press('Tab');
    }
  };
  await tabTo('New conversation');
  await page.keyboard.press('Enter');
  await page.keyboard.insertText(link);
  await tabTo('Start conversation');
  await page.keyboard.press('Enter');
  await page.getByRole('textbox', { name: 'Message to Grace' }).waitFor();
  await tabTo('Message to Grace');
  await page.keyboard.type('by hand');
  await page.keyboard.press('Enter');
  await grace.open('Ada');
  await grace.sees('by hand');
  await tabTo('Safety');
  await page.keyboard.press('Enter');
  await page.getByRole('dialog').waitFor();
  await page.keyboard.press('Escape');
  await tabTo('Safety'); // where the focus was
  await page.keyboard.press('Shift+Tab');
  await page.keyboard.press('Enter'); // back
  await page.getByRole('navigation').waitFor();
  await ada.leave();
  await grace.leave();
});

test('both see the same safety number, and keys can be renewed', async () => {
  const numbers = [];
  for (const { page } of [ada, grace]) {
    await page.getByRole('button', { name: 'Safety' }).click();
    const number = page.getByRole('list', { name: 'Safety number' });
    await number.waitFor();
    numbers.push(await number.getByRole('listitem').allInnerTexts());
  }
  assert.deepEqual(numbers[0], numbers[1]);
  assert.equal(numbers[0].join('').replace(/\D/g, '').length, 60);
  await ada.page.getByLabel('We have compared it').check();
  await ada.page.getByRole('button', { name: 'Renew keys' }).click();
  await ada.page.getByText('Fresh keys are in force').waitFor();
  await ada.page.locator('button:focus', { hasText: 'Renew keys' }).waitFor(); // which was pressed
  await ada.page.getByLabel('What you call them').fill('Grace H.');
  await ada.page.getByRole('button', { name: 'Close' }).click();
  await ada.page.getByRole('heading', { level: 2, name: 'Grace H.' }).waitFor();
  await ada.page.reload();
  await ada.page.getByRole('link', { name: /Grace H\..*Safety number compared/ }).waitFor();
  await grace.page.keyboard.press('Escape');
  await ada.say('under new keys');
  await grace.sees('under new keys');
  await grace.say('likewise');
  await ada.sees('likewise');
  ada.isContent();
  grace.isContent();
});

/** An address of nobody. */
const strangersAddress = () => generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' }).x;

test('what goes wrong is said in plain sentences', async () => {
  const ada = await Person.arrive(browser, node.origin, 'Ada', { expected: /^404 for .*claim$|status of 404/ });
  const own = await ada.link();
  await ada.page.getByRole('button', { name: 'New conversation' }).click();
  for (const [address, sentence] of [['nonsense', /This is no address/], [own, /your own address/]]) {
    await ada.page.getByLabel('Their address').fill(address);
    await ada.page.getByRole('button', { name: 'Start conversation' }).click();
    await ada.page.getByRole('alert').filter({ hasText: sentence }).waitFor();
  }
  const { x, y } = await ada.page.getByRole('dialog').boundingBox();
  await ada.page.mouse.click(x + 5, y + 100); // its edge
  await ada.page.getByRole('alert').filter({ hasText: /your own address/ }).waitFor();
  await ada.page.mouse.click(5, 5); // beside it
  await ada.page.getByRole('dialog').waitFor({ state: 'detached' });
  await ada.page.goto(own.replace(/.{9}&.*$/, '')); // a link that lost its end
  await ada.page.getByRole('alert').filter({ hasText: /not all of one/ }).waitFor();
  await ada.page.keyboard.press('Escape');
  await ada.start(`So here it is:\n ${own.replace(/to=.*/, 'to=')}${strangersAddress()}&name=No%20body. `);
  await ada.page.getByRole('heading', { name: 'No body.' }).waitFor();
  await ada.page.goto(`${node.origin}/#/`);
  await ada.start(strangersAddress());
  await ada.say('is anybody there?');
  await ada.sees('is anybody there?', 'queued');
  await ada.page.getByText('its owner has to open this chat once').waitFor();
  await ada.leave();
});

const small = ['--max-payload', '2000B', '--queue-messages', '3'];

test('what the node will never take is said, and can be removed', () => Node.with(small, async (node) => {
  const { ada, grace } = await pair(browser, node.origin, { expected: /^(409|413) for .*messages$|status of (409|413)/ });
  await ada.say('x'.repeat(3000));
  const failed = ada.page.locator('.bubble[data-delivery="failed"]');
  await failed.getByText('Not sent').waitFor();
  await failed.getByRole('button', { name: 'Remove' }).click();
  await failed.waitFor({ state: 'detached' });
  await ada.page.locator('textarea:focus').waitFor(); // not lost with the button
  await grace.page.close();
  for (let i = 0; i < 5; i++) await ada.say(`into a full mailbox ${i}`);
  await ada.page.getByText('The other mailbox is full.').waitFor();
  const back = await grace.openTab();
  await back.open('Ada');
  await back.sees('into a full mailbox 4');
  await ada.sees('into a full mailbox 4', 'sent');
  await ada.leave();
  await back.leave();
}));
