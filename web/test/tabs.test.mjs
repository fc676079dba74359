import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { launch } from './browser.mjs';
import { Node } from './node.mjs';
import { mirrored, pair, samePair } from './person.mjs';

let browser, node;
let ada, grace; // who are in conversation all along

before(async () => {
  [browser, node] = await Promise.all([launch(), Node.start()]);
  ({ ada, grace } = await pair(browser, node.origin));
});

afterEach(async ({ passed }) => {
  ({ ada, grace } = await samePair(passed, { ada, grace }, browser, node.origin));
});

after(async () => {
  await browser?.close();
  await node?.stop();
});

test('a profile is open in one tab at a time, and can be called into another', async () => {
  const second = await ada.openTab();
  const elsewhere = (page) => page.getByRole('heading', { name: 'Open in another tab' }).waitFor();
  await elsewhere(second.page);
  await ada.say('still here');
  await grace.sees('still here');

  await second.page.getByRole('button', { name: 'Use it here' }).click();
  await second.isOpen();
  await elsewhere(ada.page);
  await second.open('Grace');
  await second.say('moved');
  await grace.sees('moved');

  await second.page.close();
  await ada.isOpen(); // by itself
  await grace.say('and back');
  await ada.open('Grace');
  await ada.sees('and back');
  assert.deepEqual(await ada.transcript(), ['me: first', 'them: second', 'me: still here', 'me: moved', 'them: and back']);
  assert.deepEqual(await grace.transcript(), mirrored(await ada.transcript()));
  assert.deepEqual(second.complaints, []);
  ada.isContent();
  grace.isContent();
});

test('another profile of the same browser is somebody else', async () => {
  const other = await ada.openTab();
  await other.page.getByRole('button', { name: 'Other profiles' }).click();
  await other.page.getByLabel('Your name').fill('Ada at work');
  await other.page.getByRole('button', { name: 'Create profile' }).click();
  await other.page.locator('.profile', { hasText: 'Ada at work' }).waitFor();
  await other.start(await ada.link());
  await other.say('hello, me');
  await ada.page.getByRole('link', { name: /Ada at work.*1 unread/ }).waitFor();
  await other.page.reload(); // each tab keeps its profile
  await other.page.locator('.profile', { hasText: 'Ada at work' }).waitFor();
  await other.page.getByRole('button', { name: 'Switch' }).click();
  await other.page.getByRole('button', { name: 'Ada at work' }).waitFor();
  assert.deepEqual(other.complaints, []);
  ada.isContent();
  grace.isContent();
});

test('a tab in the background keeps up, and leaves what it shows unread', async () => {
  const front = await grace.context.newPage();
  await front.bringToFront();
  await hide(grace.page, true);
  for (const text of ['one', 'two']) await ada.say(text);
  await grace.page.waitForFunction(() => document.title === '(2) Ada – quicproquo', undefined, { polling: 50 });
  await hide(grace.page, false);
  await grace.page.bringToFront();
  await grace.page.waitForFunction(() => document.title === 'Ada – quicproquo', undefined, { polling: 50 });
  ada.isContent();
  grace.isContent();
});

test('a tab that was frozen catches up', async () => {
  const session = await grace.context.newCDPSession(grace.page);
  await session.send('Page.setWebLifecycleState', { state: 'frozen' });
  for (const text of ['one', 'two', 'three']) await ada.say(text);
  await ada.sees('three', 'sent');
  await session.send('Page.setWebLifecycleState', { state: 'active' });
  await grace.sees('three');
  assert.deepEqual(await grace.transcript(), mirrored(await ada.transcript()));
  ada.isContent();
  grace.isContent();
});

/** What the page is told when its tab goes to the background: a browser without windows has none. */
async function hide(page, hidden) {
  await page.evaluate((state) => {
    Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => state });
    document.dispatchEvent(new Event('visibilitychange'));
  }, hidden ? 'hidden' : 'visible');
}
