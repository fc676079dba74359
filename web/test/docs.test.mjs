import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { launch, openContext, watch } from './browser.mjs';
import { Node } from './node.mjs';

let browser, site;
let shared; // a page on which several tests look around

before(async () => {
  [browser, site] = await Promise.all([launch(), Node.start()]);
  shared = await open();
});

afterEach(async ({ passed }) => {
  if (!passed) shared = await open();
});

after(async () => {
  await browser?.close();
  await site?.stop();
});

async function open(options = {}, fragment = '') {
  const page = await (await openContext(browser, options)).newPage();
  const complaints = await watch(page, site.origin);
  await page.goto(`${site.origin}/docs/${fragment}`);
  await page.locator('.opblock').nth(await operations() - 1).waitFor(); // all of them
  return { page, complaints };
}

/** How many operations the contract has. */
async function operations() {
  const contract = await (await fetch(`${site.origin}/openapi.yaml`)).text();
  return contract.match(/^ {6}operationId: /gm).length;
}

const shot = async (page, name) => {
  if (process.env['SCREENSHOTS']) await page.screenshot({ path: `${process.env['SCREENSHOTS']}/${name}.png` });
};

test('every operation of the contract is on the page', async () => {
  const { page, complaints } = shared;
  assert.equal(await page.locator('.opblock').count(), await operations());
  await page.locator('.info', { hasText: 'quicproquo node' }).waitFor();
  assert.deepEqual(complaints, []);
  await shot(page, 'docs');
});

// One at a time: the renderer draws all that is open whenever something opens.
test('all of an operation can be read, and nothing breaks the policy', async () => {
  const { page, complaints } = shared;
  for (const block of await page.locator('.opblock').all()) {
    const summary = block.locator('.opblock-summary-control').first();
    await summary.click();
    await block.locator('.opblock-body .responses-table').waitFor();
    await summary.click();
    await block.locator('.opblock-body').waitFor({ state: 'detached' });
  }
  assert.deepEqual(complaints, []);
});

test('an operation shows its headers, bodies and errors', async () => {
  const { page, complaints } = await open({ viewport: { width: 1280, height: 1600 } }, '#/Messages/enqueue');
  for (const wanted of ['channelId', 'Idempotency-Key', 'If-Match', 'message/mls', 'duplicate', 'message_id_reused', 'RateLimit-Policy']) {
    await page.locator('#operations-Messages-enqueue', { hasText: wanted }).waitFor();
  }
  assert.deepEqual(complaints, []);
  await shot(page, 'enqueue');
  await page.context().close();
});

test('schemas can be unfolded, and descriptions are formatted', async () => {
  const { page, complaints } = shared;
  await page.locator('section.models .models-control').click();
  await page.locator('section.models .json-schema-2020-12').first().waitFor();
  await page.locator('section.models').scrollIntoViewIfNeeded();
  await page.locator('.info .renderedMarkdown h2').first().waitFor();
  assert.deepEqual(complaints, []);
  await shot(page, 'schemas');
});

test('a request can be tried out, on the page\'s own origin', async () => {
  const { page, complaints } = shared;
  const info = page.locator('#operations-Node-info');
  await info.locator('.opblock-summary-control').click();
  await info.locator('.try-out__btn').click();
  await info.locator('.execute').click();
  await info.locator('.live-responses-table', { hasText: '"audience"' }).waitFor();
  assert.deepEqual(complaints, []);
  await shot(page, 'tried');
});

test('a link leads to its operation, on a dark and narrow screen too', async () => {
  const options = { colorScheme: 'dark', viewport: { width: 390, height: 844 } };
  const { page, complaints } = await open(options, '#/Streams/followChannel');
  await page.locator('#operations-Streams-followChannel .opblock-body', { hasText: 'Last-Event-ID' }).waitFor();
  assert.equal(await page.evaluate(() => document.documentElement.classList.contains('dark-mode')), true);
  await page.setViewportSize({ width: 320, height: 640 });
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 320, 'nothing sticks out');
  assert.deepEqual(complaints, []);
  await shot(page, 'dark');
  await page.context().close();
});

test('what could run is refused, whoever would put it into the page', async () => {
  const { page } = shared;
  const refused = await page.evaluate(() => ['<script src="x.js"></script>', '<img src=x onerror="x()">', '<a href="javascript:x()">x</a>'].filter((html) => {
    try {
      document.createElement('div').innerHTML = html;
      return false;
    } catch {
      return true;
    }
  }).length);
  assert.equal(refused, 3);
});
