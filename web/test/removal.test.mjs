import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch } from './browser.mjs';
import { Node } from './node.mjs';
import { Person, outage, pair } from './person.mjs';

let browser;

before(async () => {
  browser = await launch();
});

after(async () => {
  await browser?.close();
});

const title = 'This profile was removed';

test('a profile that is removed is gone from the browser, and from its other tabs', () => Node.with([], async (node) => {
  const { ada, grace } = await pair(browser, node.origin);
  await ada.page.getByRole('button', { name: 'Safety' }).click();
  await ada.page.getByLabel('What you call them').fill('My colleague');
  await ada.page.keyboard.press('Escape');
  const second = await ada.openTab();
  await second.page.getByRole('heading', { name: 'Open in another tab' }).waitFor();
  await ada.page.bringToFront();
  const address = new URL(await grace.link()).hash.match(/[\w-]{43}/)[0];
  const before = await kept(ada.page);
  for (const trace of ['Ada', 'My colleague', address]) assert.ok(before.text.includes(trace), `${trace} is kept before`);
  assert.equal(before.names.length, 3);

  await ada.page.getByRole('button', { name: 'Profile' }).click();
  await press(ada.page, 'Remove this profile from this browser…');
  await press(ada.page, 'Remove profile'); // as yet without a word of consent
  await ada.page.getByRole('alert').getByText('Tick the box first').waitFor();
  assert.equal(await focused(ada.page), 'checkbox');
  assert.deepEqual((await kept(ada.page)).text, before.text);
  await ada.page.keyboard.press('Escape');
  await ada.page.waitForFunction(() => document.querySelector('dialog') === null);
  assert.equal(await focused(ada.page), 'Profile');

  const used = ada.authorization;
  const asked = async () => (await fetch(`${node.origin}/v1/keypackages`, { headers: { authorization: used } })).status;
  assert.equal(await asked(), 200);
  await ada.page.keyboard.press('Enter');
  await press(ada.page, 'Remove this profile from this browser…');
  await consent(ada.page);
  await ada.page.getByRole('heading', { name: title }).waitFor();
  await second.page.getByRole('heading', { name: title }).waitFor();
  assert.equal(await asked(), 401);

  await grace.say('is anybody there?');
  await grace.sees('is anybody there?', 'sent');
  for (const page of [ada.page, second.page]) {
    assert.deepEqual(await kept(page), { names: ['quicproquo-chat', 'quicproquo-identities'], text: '[]' });
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.getByRole('heading', { name: 'Create a profile' }).waitFor();
    await page.reload();
    await page.getByRole('heading', { name: 'Create a profile' }).waitFor();
    assert.equal(new URL(page.url()).hash, '#/');
  }
  assert.equal((await kept(ada.page)).text, '[]');
  assert.deepEqual(second.complaints, []);
  await ada.leave();
  await grace.leave();
}));

test('a profile goes also while the node is away, and one that is left stays', () => Node.with([], async (node) => {
  const { ada, grace } = await pair(browser, node.origin, { expected: outage });
  const other = await ada.openTab();
  await other.page.getByRole('button', { name: 'Other profiles' }).click();
  await other.page.getByLabel('Your name').fill('Ada at work');
  await other.page.getByRole('button', { name: 'Create profile' }).click();
  await other.page.locator('.profile', { hasText: 'Ada at work' }).waitFor();
  await node.kill();
  await ada.isConnected('No connection');
  await ada.say('never sent');
  await ada.sees('never sent', 'queued');
  await remove(ada.page);
  await ada.page.getByRole('heading', { name: title }).waitFor();
  await ada.page.getByRole('button', { name: 'Continue' }).click();
  await ada.page.getByRole('button', { name: 'Ada at work' }).waitFor();
  assert.equal(await ada.page.getByRole('button', { name: 'Ada', exact: true }).count(), 0);
  await node.restart();
  await other.isConnected();
  assert.deepEqual(other.complaints, []);
  await ada.leave();
  await grace.leave();
}));

test('a profile that does not open any more can be removed', () => Node.with([], async (node) => {
  const ada = await Person.arrive(browser, node.origin, 'Ada');
  await ada.isConnected();
  await damage(ada.page);
  await ada.page.reload();
  await ada.page.getByRole('heading', { name: 'This profile has stopped' }).waitFor();
  await press(ada.page, 'Remove it…');
  await consent(ada.page);
  await ada.page.getByRole('heading', { name: title }).waitFor();
  assert.equal((await kept(ada.page)).text, '[]');
  await ada.leave();
}));

/** Opens the dialog that removes a profile, and does. */
async function remove(page) {
  await page.getByRole('button', { name: 'Profile' }).click();
  await press(page, 'Remove this profile from this browser…');
  await consent(page);
}

async function consent(page) {
  await page.getByLabel('I know that nobody can bring this profile back').check();
  await press(page, 'Remove profile');
}

/** Spoils what says whose profile it is. */
function damage(page) {
  return page.evaluate(async () => {
    const { name } = (await indexedDB.databases()).find((database) => database.name.startsWith('quicproquo-mls-'));
    const opening = indexedDB.open(name);
    await new Promise((resolve) => { opening.onsuccess = resolve; });
    const spoiling = opening.result.transaction('records', 'readwrite');
    spoiling.objectStore('records').put(new Uint8Array(40), 'profile');
    await new Promise((resolve) => { spoiling.oncomplete = resolve; });
    opening.result.close();
  });
}

/** Goes to a button by the keyboard alone, and presses it. */
async function press(page, name) {
  await page.getByRole('button', { name }).waitFor();
  for (let i = 0; await focused(page) !== name; i++) {
    assert.ok(i < 10, `${name} can be reached`);
    await page.keyboard.press('Tab');
  }
  await page.keyboard.press('Enter');
}

/** What has the focus: its words, or what it is. */
function focused(page) {
  return page.evaluate(() => document.activeElement.textContent || document.activeElement.type);
}

/** The names of all databases, and all that can be read in them, keys of records included. */
function kept(page) {
  return page.evaluate(async () => {
    const done = (request) => new Promise((resolve, reject) => {
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
    const names = (await indexedDB.databases()).map(({ name }) => name).sort();
    const found = [...Object.entries(sessionStorage), ...Object.entries(localStorage)];
    for (const name of names) {
      const database = await done(indexedDB.open(name));
      for (const store of database.objectStoreNames) {
        const records = database.transaction(store).objectStore(store);
        const [keys, values] = await Promise.all([done(records.getAllKeys()), done(records.getAll())]);
        found.push(...keys.map((key, i) => [name, store, key, values[i]]));
      }
      database.close();
    }
    return { names, text: JSON.stringify(found) };
  });
}
