import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { launch, openContext } from './browser.mjs';
import { Node } from './node.mjs';
import { Person, outage, pair } from './person.mjs';

let browser, node, axe;

before(async () => {
  axe = await readFile(new URL('../node_modules/axe-core/axe.min.js', import.meta.url), 'utf8');
  [browser, node] = await Promise.all([launch(), Node.start()]);
});

after(async () => {
  await browser?.close();
  await node?.stop();
});

const widths = { wide: { width: 1100, height: 760 }, narrow: { width: 320, height: 640 } };

/** Holds what is shown against axe's rules, light and dark, wide and narrow, and looks that nothing sticks out. */
async function isAccessible({ page }, screen) {
  await page.evaluate(axe); // as a debugger does: the page's policy would not let it in
  for (const [width, viewport] of Object.entries(widths)) {
    await page.setViewportSize(viewport);
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      const violations = await page.evaluate(async () => {
        const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
        const results = await window.axe.run(document, { runOnly: tags });
        return results.violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
      });
      const sticksOut = await page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth);
      assert.deepEqual({ violations, sticksOut }, { violations: [], sticksOut: false }, `${screen}, ${width}, ${colorScheme}`);
      const pictures = process.env['SCREENSHOTS'];
      if (pictures) await page.screenshot({ path: `${pictures}/${screen}-${width}-${colorScheme}.png` });
    }
  }
  await page.setViewportSize(widths.wide);
}

test('every screen before a conversation is accessible', async () => {
  const context = await openContext(browser);
  const page = await context.newPage();
  await page.goto(node.origin);
  await page.getByLabel('Your name').waitFor();
  await isAccessible({ page }, 'welcome');
  await context.close();

  const ada = await Person.arrive(browser, node.origin, 'Ada');
  await ada.isConnected();
  await isAccessible(ada, 'empty');
  await ada.page.getByRole('button', { name: 'My address' }).click();
  await isAccessible(ada, 'address');
  await ada.page.keyboard.press('Escape');
  await ada.page.getByRole('button', { name: 'New conversation' }).click();
  await ada.page.getByLabel('Their address').fill('nonsense');
  await ada.page.getByRole('button', { name: 'Start conversation' }).click();
  await isAccessible(ada, 'start');
  await ada.page.keyboard.press('Escape');
  const second = await ada.openTab();
  await second.page.getByRole('heading', { name: 'Open in another tab' }).waitFor();
  await isAccessible(second, 'elsewhere');
  await second.page.close();
  await ada.page.getByRole('button', { name: 'Profile' }).click();
  await isAccessible(ada, 'profile');
  await ada.page.getByRole('button', { name: 'Remove this profile' }).click();
  await ada.page.getByRole('button', { name: 'Remove profile' }).click();
  await ada.page.getByText('Tick the box first').waitFor();
  await isAccessible(ada, 'removal');
  await ada.page.keyboard.press('Escape');
  await ada.page.getByRole('button', { name: 'Switch' }).click();
  await ada.page.getByRole('heading', { name: 'Profiles on this device' }).waitFor();
  await isAccessible(ada, 'profiles');
  await ada.page.getByRole('button', { name: 'Ada' }).click();
  await ada.isOpen();
  await ada.page.getByRole('button', { name: 'Profile' }).click();
  await ada.page.getByRole('button', { name: 'Remove this profile' }).click();
  await ada.page.getByLabel('I know that nobody can bring this profile back').check();
  await ada.page.getByRole('button', { name: 'Remove profile' }).click();
  await ada.page.getByRole('heading', { name: 'This profile was removed' }).waitFor();
  await isAccessible(ada, 'removed');
  await ada.leave();
});

test('every screen of a conversation is accessible', async () => {
  const { ada, grace } = await pair(browser, node.origin, { expected: outage });
  for (const text of ['Are you coming on Thursday?', 'I bring the bread, and the large pot if it fits on the bicycle.']) await grace.say(text);
  await ada.say('Yes: https://example.org/a/long/way/that/does/not/want/to/break/anywhere/at/all/however/narrow/it/becomes');
  await grace.sees('Are you coming on Thursday?', 'sent');
  await ada.page.getByRole('button', { name: 'Safety' }).click();
  await ada.page.getByLabel('We have compared it').check();
  await isAccessible(ada, 'safety');
  await ada.page.keyboard.press('Escape');
  await isAccessible(ada, 'conversation');
  await node.kill();
  await ada.isConnected('No connection');
  await ada.say('waits here');
  await ada.sees('waits here', 'queued');
  await isAccessible(ada, 'offline');
  await node.restart();
  await ada.sees('waits here', 'sent');
  await grace.sees('waits here');
  await grace.page.goBack();
  await ada.say('unread');
  await grace.page.getByRole('link', { name: /1 unread/ }).waitFor();
  await isAccessible(grace, 'list');
  await ada.leave();
  await grace.leave();
});
