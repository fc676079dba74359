import assert from 'node:assert/strict';
import { openContext, watch } from './browser.mjs';

/** What a page may complain of while its node is away, or slower than asked. */
export const outage = /ERR_CONNECTION|ERR_EMPTY_RESPONSE|ERR_INCOMPLETE|WebSocket connection to .* failed|^503 |status of 503/;

/** Somebody at a browser of their own, who does what people do: looks, types, and presses. */
export class Person {
  name;
  context;
  page;
  complaints;
  /** The header of the latest request that had one. */
  authorization;
  #origin;
  #expected;

  /** Opens the chat and makes a profile. */
  static async arrive(browser, origin, name, { expected, prepare = async () => {}, ...options } = {}) {
    const person = new Person();
    person.name = name;
    person.#origin = origin;
    person.#expected = expected;
    person.context = await openContext(browser, options);
    person.page = await person.context.newPage();
    await prepare(person.page);
    person.complaints = await watch(person.page, origin, expected);
    person.page.on('request', (request) => { person.authorization = request.headers()['authorization'] ?? person.authorization; });
    await person.page.goto(origin);
    await person.page.getByLabel('Your name').fill(name);
    await person.page.keyboard.press('Enter');
    await person.isOpen();
    return person;
  }

  /** Another tab of the same browser, as the same person sees it. */
  async openTab(fragment = '') {
    const person = new Person();
    Object.assign(person, { name: this.name, context: this.context });
    person.#origin = this.#origin;
    person.page = await this.context.newPage();
    person.complaints = await watch(person.page, this.#origin, this.#expected);
    await person.page.goto(`${this.#origin}/${fragment}`);
    return person;
  }

  /** Waits until the profile is open in this tab. */
  async isOpen() {
    await this.page.locator('.profile').getByText(this.name, { exact: true }).waitFor();
  }

  /** Waits for a state of the connection. */
  async isConnected(label = 'Connected') {
    await this.page.locator('.connection', { hasText: label }).waitFor();
  }

  /** The link that one gives to others, as the dialog shows it. */
  async link() {
    await this.page.getByRole('button', { name: 'My address' }).click();
    const link = await this.page.getByRole('dialog').locator('code').first().innerText();
    await this.page.keyboard.press('Escape');
    return link;
  }

  async start(link, name) {
    await this.page.getByRole('button', { name: 'New conversation' }).click();
    await this.page.getByLabel('Their address').fill(link);
    if (name !== undefined) await this.page.getByLabel('What you call them').fill(name);
    await this.page.getByRole('button', { name: 'Start conversation' }).click();
    await this.page.getByRole('dialog').waitFor({ state: 'detached' });
  }

  /** Opens a conversation of the list. */
  async open(name) {
    await this.page.getByRole('navigation').getByRole('link', { name }).click();
    await this.page.getByRole('textbox', { name: /^Message to/ }).waitFor();
  }

  async say(text) {
    await this.page.getByRole('textbox', { name: /^Message to/ }).fill(text);
    await this.page.keyboard.press('Enter');
  }

  /** Waits until a text is in the open conversation, and in no other state than this. */
  async sees(text, delivery) {
    const state = delivery === undefined ? '' : `[data-delivery="${delivery}"]`;
    await this.page.locator(`.bubble${state}`, { has: this.page.getByText(text, { exact: true }) }).waitFor();
  }

  /** What the open conversation shows: who said what, from this one's side, and notices. */
  transcript() {
    return this.page.locator('.lines').evaluate((log) => [...log.querySelectorAll('.bubble, .notice')].map((line) => {
      if (line.classList.contains('notice')) return `notice: ${line.textContent}`;
      return `${line.classList.contains('mine') ? 'me' : 'them'}: ${line.querySelector('.text').textContent}`;
    }));
  }

  /** Nothing happened that should not; what did is told once, where tests share a page. */
  isContent() {
    assert.deepEqual(this.complaints.splice(0), [], `${this.name}'s page complains`);
  }

  async leave() {
    await this.context.close();
    this.isContent();
  }
}

/** Two people in conversation: the first has the other's link. */
export async function pair(browser, origin, options = {}) {
  const ada = await Person.arrive(browser, origin, 'Ada', options);
  const grace = await Person.arrive(browser, origin, 'Grace', options);
  await ada.start(await grace.link());
  await ada.say('first');
  await grace.open('Ada');
  await grace.sees('first');
  await grace.say('second');
  await ada.sees('second');
  return { ada, grace };
}

/** The same two for several tests, or, after a test that failed and left them somewhere, two others. */
export async function samePair(passed, people, browser, origin) {
  if (passed) return people;
  for (const { context } of Object.values(people)) await context.close();
  return pair(browser, origin);
}

/** What one sees as the other does. */
export function mirrored(transcript) {
  return transcript.map((line) => line.replace(/^(me|them)/, (who) => (who === 'me' ? 'them' : 'me')));
}
