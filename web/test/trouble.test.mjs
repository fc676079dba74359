import assert from 'node:assert/strict';
import { mkdir, rm } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { setInterval } from 'node:timers/promises';
import { launch, openContext } from './browser.mjs';
import { Node } from './node.mjs';
import { Person, mirrored, outage, pair } from './person.mjs';

/** What else a page may complain of whose node has lost its data. */
const lost = new RegExp(`${outage.source}|^(401|404) for |status of (401|404)`);

let browser;

before(async () => {
  browser = await launch();
});

after(async () => {
  await browser?.close();
});

test('a node dies in mid-conversation, and nothing is lost or doubled', () => Node.with([], async (node) => {
  const { ada, grace } = await pair(browser, node.origin, { expected: outage });
  for (let i = 0; i < 8; i++) {
    await Promise.all([ada.say(`ada ${i}`), grace.say(`grace ${i}`)]);
    if (i % 3 === 1) { // with what was just said on its way
      await node.kill();
      await Promise.all([ada.say(`ada, in the dark ${i}`), grace.say(`grace, in the dark ${i}`)]);
      await ada.sees(`ada, in the dark ${i}`, 'queued');
      await ada.isConnected('No connection');
      await ada.page.getByText('What you write is kept, and sent later.').waitFor();
      await node.restart();
    }
  }
  for (const person of [ada, grace]) {
    await person.isConnected();
    await person.page.waitForFunction(() => document.querySelectorAll('.bubble').length === 2 + 16 + 6
      && document.querySelector('[data-delivery="queued"]') === null);
  }
  const transcript = await ada.transcript();
  assert.deepEqual(await grace.transcript(), mirrored(transcript));
  const said = transcript.filter((line) => line.startsWith('me: ada')).map((line) => line.slice('me: '.length));
  assert.deepEqual(said, [0, 1, 2, 3, 4, 5, 6, 7].flatMap((i) => [`ada ${i}`, ...(i % 3 === 1 ? [`ada, in the dark ${i}`] : [])]));
  await ada.leave();
  await grace.leave();
}));

test('that a node is away is said once, however often it is tried', () => Node.with([], async (node) => {
  const ada = await Person.arrive(browser, node.origin, 'Ada', { expected: outage });
  await ada.isConnected();
  await ada.page.evaluate(() => {
    window.said = [];
    const look = () => window.said.push(document.querySelector('.trouble').textContent);
    new MutationObserver(look).observe(document.querySelector('.me'), { subtree: true, childList: true, characterData: true });
  });
  let attempts = 0;
  ada.page.on('websocket', () => { attempts++; });
  await node.kill();
  await ada.isConnected('No connection');
  while (attempts < 3) await ada.page.waitForEvent('websocket');
  await node.restart();
  await ada.isConnected();
  const said = await ada.page.evaluate(() => window.said);
  assert.deepEqual(said.filter((sentence, i) => sentence !== said[i - 1]).map((sentence) => sentence !== ''), [true, false]);
  await ada.leave();
}));

test('a conversation that the node has lost can be begun anew', () => Node.with([], async (node) => {
  const { ada, grace } = await pair(browser, node.origin, { expected: lost });
  await node.kill();
  await rm(node.dataDir, { recursive: true });
  await mkdir(node.dataDir);
  await node.restart();
  await ada.say('into the void');
  await ada.page.getByRole('button', { name: 'Begin it anew' }).click();
  await ada.sees('into the void', 'lost');
  await ada.page.locator('textarea:focus').waitFor();
  await ada.say('third');
  await grace.sees('third');
  await grace.say('fourth');
  await ada.sees('fourth');
  assert.deepEqual(await grace.transcript(), ['them: first', 'me: second', 'them: third', 'me: fourth']);
  assert.equal(await ada.page.getByRole('navigation').getByRole('link').count(), 1);
  await ada.leave();
  await grace.leave();
}));

test('what is written without a connection survives the tab', () => Node.with([], async (node) => {
  const { ada, grace } = await pair(browser, node.origin, { expected: outage });
  await ada.context.setOffline(true);
  await ada.say('written on a train');
  await ada.sees('written on a train', 'queued');
  await ada.page.close();
  await ada.context.setOffline(false);
  const again = await ada.openTab();
  await again.open('Grace');
  await again.sees('written on a train', 'sent');
  await grace.sees('written on a train');
  assert.deepEqual(await grace.transcript(), mirrored(await again.transcript()));
  await again.leave();
  await grace.leave();
}));

test('tokens expire under a live stream, which nobody notices', () => Node.with(['--token-ttl', '12s'], async (node) => {
  const { ada, grace } = await pair(browser, node.origin);
  await ada.page.evaluate(() => {
    window.states = new Set();
    const status = document.querySelector('.connection');
    new MutationObserver(() => window.states.add(status.dataset.status)).observe(status, { attributes: true });
  });
  for (let i = 0; i < 2; i++) {
    await ada.page.waitForResponse((response) => response.url().endsWith('/v1/auth/token') && response.ok());
    await ada.say(`after ${i} renewals`);
    await grace.sees(`after ${i} renewals`);
    await grace.say(`I read ${i}`);
    await ada.sees(`I read ${i}`);
  }
  assert.deepEqual([...await ada.page.evaluate(() => [...window.states])].filter((state) => state !== 'open'), []);
  await ada.leave();
  await grace.leave();
}));

/** A network that lets no WebSocket through. */
const withoutSockets = (page) => page.addInitScript(() => {
  window.WebSocket = class {
    constructor() {
      setTimeout(() => {
        this.onerror?.(new Event('error'));
        this.onclose?.({ code: 1006, reason: '' });
      });
    }
    send() {}
    close() {}
  };
});

test('where WebSockets are blocked, server-sent events carry the conversation', () => Node.with([], async (node) => {
  const { ada, grace } = await pair(browser, node.origin, { prepare: withoutSockets });
  for (const { page } of [ada, grace]) await page.locator('.connection[data-via="sse"]').waitFor();
  await ada.say('by another way');
  await grace.sees('by another way');
  await grace.say('indeed');
  await ada.sees('indeed', 'received');
  await ada.leave();
  await grace.leave();
}));

test('where all streams are blocked, asking again and again does', () => Node.with([], async (node) => {
  const prepare = async (page) => {
    await withoutSockets(page);
    await page.route('**/v1/stream', (route) => route.fulfill({ status: 403, contentType: 'text/html', body: 'Not in this office.' }));
  };
  const { ada, grace } = await pair(browser, node.origin, { prepare, expected: /^403 for .*stream$|status of 403/ });
  for (const { page } of [ada, grace]) await page.locator('.connection[data-via="poll"]').waitFor();
  await ada.say('knock');
  await grace.sees('knock');
  await grace.say('who is there?');
  await ada.sees('who is there?', 'received');
  await ada.leave();
  await grace.leave();
}));

test('a node without logins, or of another name, is an error that says so', async () => {
  for (const [flags, sentence] of [
    [['--self-login', 'off'], /does not allow this.*log/],
    [['--public-url', 'https://chat.example.org'], /does not allow this.*https:\/\/chat\.example\.org/],
  ]) {
    await Node.with(flags, async (node) => {
      const context = await openContext(browser);
      const page = await context.newPage();
      await page.goto(node.origin);
      await page.getByLabel('Your name').fill('Ada');
      await page.keyboard.press('Enter');
      await page.getByRole('heading', { name: 'This profile has stopped' }).waitFor();
      assert.match(await page.locator('.lead').innerText(), sentence);
      await page.getByRole('button', { name: 'Other profiles' }).click();
      await page.getByRole('button', { name: 'Ada' }).waitFor();
      await context.close();
    });
  }
});

test('a browser that keeps nothing is told from other trouble', () => Node.with([], async (node) => {
  const context = await openContext(browser);
  const page = await context.newPage();
  await page.addInitScript(() => Object.defineProperty(window, 'sessionStorage', {
    get: () => { throw new DOMException('Access is denied for this document.', 'SecurityError'); },
  }));
  await page.goto(node.origin);
  await page.getByText('does not let this page keep anything').waitFor();
  await context.close();
}));

test('a clock that is wrong is told', () => Node.with([], async (node) => {
  const prepare = (page) => page.addInitScript((ahead) => {
    window.Date = class extends Date {
      constructor(...given) {
        super(...(given.length > 0 ? given : [Date.now()]));
      }

      static now() {
        return super.now() + ahead;
      }
    };
  }, 3 * 3_600_000);
  // The node refuses key packages that are not valid yet.
  const ada = await Person.arrive(browser, node.origin, 'Ada', { prepare, expected: /^400 for .*keypackages$|status of 400/ });
  await ada.page.getByRole('status').filter({ hasText: 'The clock of this device is 3 hours ahead.' }).waitFor();
  await ada.leave();
}));

/** Asks the node itself, by the token that a person's page uses. */
async function call(person, path, init = {}) {
  const answer = await fetch(new URL(path, person.page.url()), { ...init, headers: { ...init.headers, Authorization: person.authorization } });
  assert.ok(answer.ok, `${path}: ${answer.status}`);
  return answer.json();
}

test('what expired before it was read is a gap that is told', () => Node.with(['--retention-messages', '10s', '--sweep-every', '100ms'], async (node) => {
  const { ada, grace } = await pair(browser, node.origin);
  await grace.page.close();
  await ada.say('too late');
  await ada.sees('too late', 'sent');
  for await (const _ of setInterval(200)) { // nobody tells of it: there is nothing but to ask
    if ((await call(grace, '/v1/channels')).channels[0].unread === 0) break;
  }
  const later = await grace.openTab();
  await later.open('Ada');
  await later.page.locator('.notice', { hasText: 'may be missing here' }).waitFor();
  await ada.say('in time');
  await later.sees('in time');
  await later.say('only just');
  await ada.sees('only just');
  await ada.leave();
  await later.leave();
}));

test('what cannot be read is told, and the conversation goes on', () => Node.with([], async (node) => {
  const { ada, grace } = await pair(browser, node.origin);
  const { channels: [channel] } = await call(ada, '/v1/channels');
  const body = new TextEncoder().encode('this is no MLS message');
  await call(ada, `/v1/channels/${channel.channel_id}/messages`, { method: 'POST', body, headers: { 'Content-Type': 'message/mls' } });
  await grace.page.locator('.notice', { hasText: 'cannot be read' }).waitFor();
  await ada.say('never mind');
  await grace.sees('never mind');
  await ada.leave();
  await grace.leave();
}));
