import { MessengerError } from '@quicproquo/client/mls';
import { Book } from './book.js';
import { Chat } from './chat.js';
import type { Profile } from './model.js';
import { removeFromBrowser } from './removal.js';
import { Screen } from './screen.js';
import { sentenceOf } from './sentences.js';
import { Takeover } from './takeover.js';
import { chooser } from './view/chooser.js';
import { openRemovalDialog } from './view/removaldialog.js';
import { standstill } from './view/standstill.js';
import type { StandstillAction } from './view/standstill.js';

/** Which profile this tab had, so that it has it again after a reload. */
const remembered = 'quicproquo-profile';

/** The page: one screen at a time, from choosing a profile to its chat. */
export class App {
  readonly #root: HTMLElement;
  readonly #book: Book;
  /** Ends the screen that is shown. */
  #leave: () => void = () => {};

  private constructor(root: HTMLElement, book: Book) {
    this.#root = root;
    this.#book = book;
  }

  static async start(root: HTMLElement): Promise<void> {
    const app = new App(root, await Book.open());
    const profiles = await app.#book.profiles();
    const last = profiles.find(({ id }) => id === sessionStorage.getItem(remembered));
    const only = profiles.length === 1 ? profiles[0] : undefined;
    const profile = last ?? only;
    if (profile) await app.#open(profile);
    else await app.#choose();
  }

  async #choose(): Promise<void> {
    sessionStorage.removeItem(remembered);
    this.#show(chooser(await this.#book.profiles(), {
      open: (profile) => void this.#open(profile),
      create: async (name) => {
        try {
          const profile = await Chat.create(this.#book, name);
          void navigator.storage.persist(); // or the browser may clear it away when the disk is full
          await this.#open(profile);
          return undefined;
        } catch (error) {
          return sentenceOf(error);
        }
      },
    }));
    this.#root.querySelector('input')?.focus();
  }

  /** Opens a profile here, or says that another tab has it, and waits for that one. */
  async #open(profile: Profile): Promise<void> {
    sessionStorage.setItem(remembered, profile.id);
    try {
      this.#chat(await this.#undisturbed(Chat.open({ book: this.#book, profile })));
    } catch (error) {
      if (error instanceof MessengerError && error.code === 'profile_in_use') return this.#wait(profile);
      this.#stop(profile, error);
    }
  }

  async #wait(profile: Profile): Promise<void> {
    const waiting = new AbortController();
    const takeover = new Takeover(profile.id);
    this.#standstill('Open in another tab', `${profile.name} is open in another tab or window. A profile is open in one place at a time, so that no message is handled twice.`, [
      { label: 'Use it here', run: () => takeover.ask() },
      { label: 'Other profiles', run: () => void this.#choose() },
    ]);
    this.#leave = () => {
      waiting.abort();
      takeover.close();
    };
    try {
      const chat = await Chat.open({ book: this.#book, profile, wait: true, signal: waiting.signal });
      if (waiting.signal.aborted) await chat.close();
      else this.#chat(chat);
    } catch (error) {
      if (!waiting.signal.aborted) this.#stop(profile, error);
    }
  }

  #chat(chat: Chat): void {
    const { profile } = chat;
    const takeover = new Takeover(profile.id);
    let current = true;
    const screen = new Screen(chat, {
      leave: () => void this.#undisturbed(chat.close()).then(() => this.#choose()),
      remove: () => {
        current = false; // that the chat ends is no problem now
        void this.#remove(profile, chat.remove());
      },
    });
    this.#show(screen.element);
    this.#leave = () => {
      current = false;
      takeover.close();
      screen.end();
    };
    takeover.onAsked(() => void chat.close().then(() => this.#wait(profile)));
    chat.onChange(() => screen.draw(), (problem) => {
      if (current && problem) void chat.close().then(() => this.#stop(profile, problem));
    });
    screen.begin();
  }

  #stop(profile: Profile, problem: unknown): void {
    if (problem instanceof MessengerError && problem.code === 'profile_removed') return this.#removed(profile);
    this.#standstill('This profile has stopped', sentenceOf(problem), [
      { label: 'Try again', run: () => void this.#open(profile) },
      { label: 'Other profiles', run: () => void this.#choose() },
      { label: 'Remove it…', run: () => openRemovalDialog(profile.name, () =>
        void this.#remove(profile, removeFromBrowser(this.#book, profile))) },
    ]);
  }

  async #remove(profile: Profile, removing: Promise<void>): Promise<void> {
    try {
      await this.#undisturbed(removing);
      this.#removed(profile);
    } catch (error) {
      this.#stop(profile, error);
    }
  }

  #removed({ name }: Profile): void {
    sessionStorage.removeItem(remembered);
    history.replaceState(null, '', '#/'); // which may name whom it talked with
    this.#standstill('This profile was removed', `${name} is no more in this browser. Its key and its messages are gone.`, [
      { label: 'Continue', run: () => void this.#choose() },
    ]);
  }

  #standstill(title: string, sentence: string, actions: readonly StandstillAction[]): void {
    this.#show(standstill(title, sentence, actions));
    this.#root.querySelector('h1')?.focus();
  }

  /** Takes no clicks and keys meanwhile: pressed twice, a button would open a profile that this tab has open. */
  #undisturbed<T>(work: Promise<T>): Promise<T> {
    this.#root.inert = true;
    return work.finally(() => { this.#root.inert = false; });
  }

  #show(element: HTMLElement): void {
    this.#leave();
    this.#leave = () => {};
    for (const dialog of document.querySelectorAll('dialog')) dialog.close();
    document.title = 'quicproquo';
    this.#root.replaceChildren(element);
  }
}
