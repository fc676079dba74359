import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch } from './browser.mjs';
import { Node } from './node.mjs';
import { mirrored, pair } from './person.mjs';

let browser, node;

before(async () => {
  const unlimited = ['--rate-identity', '0', '--rate-address', '0', '--rate-channel', '0'];
  [browser, node] = await Promise.all([launch(), Node.start(...unlimited)]);
});

after(async () => {
  await browser?.close();
  await node?.stop();
});

const each = 200;

/** Writes as fast as the page takes it, and renews the keys after every fiftieth message, without waiting for anything. */
function pour(person) {
  return person.page.evaluate(async ({ name, count }) => {
    const field = document.querySelector('.composer textarea');
    const press = (label) => [...document.querySelectorAll('button')].find((button) => button.textContent === label).click();
    for (let i = 0; i < count; i++) {
      field.value = `${name} ${i}`;
      field.form.requestSubmit();
      if (i % 50 === 25) {
        press('Safety');
        press('Renew keys');
        press('Close');
      }
      await new Promise((resolve) => { setTimeout(resolve); }); // the page lives meanwhile
    }
  }, { name: person.name, count: each });
}

test('two hundred messages each way at once, with commits among them, are one transcript', async () => {
  // Two commits at once are a race, which the node tells the one who lost.
  const { ada, grace } = await pair(browser, node.origin, { expected: /^412 for .*messages$|status of 412/ });
  await Promise.all([pour(ada), pour(grace)]);
  for (const { page } of [ada, grace]) {
    await page.waitForFunction((count) => document.querySelectorAll('.bubble').length === count
      && document.querySelector('[data-delivery="queued"]') === null, 2 + 2 * each, { timeout: 600_000 });
  }
  const transcript = await ada.transcript();
  assert.deepEqual(await grace.transcript(), mirrored(transcript));
  for (const [who, name] of [['me', 'Ada'], ['them', 'Grace']]) {
    const own = transcript.slice(2).filter((line) => line.startsWith(`${who}: `));
    assert.deepEqual(own, Array.from({ length: each }, (_, i) => `${who}: ${name} ${i}`));
  }
  await ada.page.reload();
  await ada.sees('Grace 199');
  assert.deepEqual(await ada.transcript(), transcript);
  await readBack(ada, transcript);
  await ada.leave();
  await grace.leave();
});

/** Writes on until the beginning is no longer shown, and asks for it. */
async function readBack(person, before) {
  const later = Array.from({ length: 120 }, (_, i) => `later ${i}`);
  await person.page.evaluate((texts) => {
    const field = document.querySelector('.composer textarea');
    for (const text of texts) {
      field.value = text;
      field.form.requestSubmit();
    }
  }, later);
  await person.sees('later 119', 'sent');
  assert.ok(!(await person.transcript()).includes('me: first'));
  await person.page.getByRole('button', { name: 'Show earlier messages' }).click();
  await person.sees('first');
  assert.deepEqual(await person.transcript(), [...before, ...later.map((text) => `me: ${text}`)]);
}
