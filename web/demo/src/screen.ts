import type { Chat } from './chat.js';
import type { Invitation } from './link.js';
import { fragmentOf, parseRoute } from './route.js';
import { ownAddress, sentenceOf } from './sentences.js';
import { openAddressDialog } from './view/addressdialog.js';
import { openDetailsDialog } from './view/detailsdialog.js';
import { openProfileDialog } from './view/profiledialog.js';
import { openRemovalDialog } from './view/removaldialog.js';
import { ShellView } from './view/shell.js';
import type { PaneActions } from './view/pane.js';
import { openStartDialog } from './view/startdialog.js';

const pace = 100; // milliseconds between two redraws, or drawing would be most of the work when hundreds come

export interface ScreenActions {
  /** Leaves the profile for others. */
  leave(): void;
  /** Removes the profile from this browser. */
  remove(): void;
}

/** Joins an open profile with its screen: what changes is shown, what is done is passed on. */
export class Screen {
  readonly #chat: Chat;
  readonly #shell: ShellView;
  readonly #ended = new AbortController();
  /** What was begun to be written, by address; gone with the page. */
  readonly #drafts = new Map<string, string>();
  /** Whether a redraw is due, and when the last one was: of many changes in a row the last is drawn. */
  #due = false;
  #drawnAt = 0;

  constructor(chat: Chat, { leave, remove }: ScreenActions) {
    this.#chat = chat;
    this.#shell = new ShellView(chat.overview(), {
      leave,
      showProfile: () => openProfileDialog(chat.profile.name, () => openRemovalDialog(chat.profile.name, remove)),
      showAddress: () => openAddressDialog({ address: chat.address, name: chat.profile.name }),
      startConversation: () => this.#start(),
      paneActions: (peer) => this.#paneActions(peer),
    });
    const { signal } = this.#ended;
    addEventListener('hashchange', () => this.#follow(), { signal });
    document.addEventListener('visibilitychange', () => {
      this.draw();
      if (this.#chat.overview().clock !== undefined) void this.#chat.checkClock(); // it may have been put right
    }, { signal });
  }

  get element(): HTMLElement {
    return this.#shell.element;
  }

  /** To be called once the screen is on the page. */
  begin(): void {
    this.#shell.focus();
    this.#follow();
  }

  end(): void {
    this.#ended.abort();
  }

  /** Shows what has changed, soon. */
  draw(): void {
    if (this.#due) return;
    this.#due = true;
    setTimeout(() => {
      this.#due = false;
      if (!this.#ended.signal.aborted) this.#drawNow();
    }, Math.max(0, this.#drawnAt + pace - performance.now()));
  }

  #drawNow(): void {
    this.#drawnAt = performance.now();
    const route = parseRoute(location.hash);
    const talk = route.show === 'talk' ? this.#chat.talk(route.peer) : undefined;
    this.#shell.update(this.#chat.overview(), talk);
    if (talk && document.visibilityState === 'visible') void this.#chat.markRead(talk.peer);
  }

  #follow(): void {
    const route = parseRoute(location.hash);
    this.#drawNow();
    if (route.show === 'list' || route.show === 'talk') return;
    history.replaceState(null, '', '#/');
    if (route.show === 'invitation') this.#invited(route.invitation);
    else this.#start({ address: route.text, name: '' });
  }

  /** A link was followed: to one who is known already it leads at once, to another after a question. */
  #invited(invitation: Invitation): void {
    const { address } = invitation;
    if (address === this.#chat.address) openAddressDialog({ address, name: this.#chat.profile.name });
    else if (this.#chat.talk(address)) location.hash = fragmentOf(address);
    else this.#start(invitation);
  }

  #start(given?: Invitation): void {
    openStartDialog(async (invitation) => {
      if (invitation.address === this.#chat.address) return ownAddress;
      const wrong = await wrongWith(this.#chat.start(invitation));
      if (wrong === undefined) location.hash = fragmentOf(invitation.address);
      return wrong;
    }, given);
  }

  #paneActions(peer: string): PaneActions {
    return {
      send: (text) => wrongWith(this.#chat.send(peer, text)),
      draft: () => this.#drafts.get(peer) ?? '',
      keepDraft: (text) => { this.#drafts.set(peer, text); },
      beginAnew: () => wrongWith(this.#chat.start({ address: peer, name: '' })),
      showEarlier: () => void this.#chat.showEarlier(peer),
      discard: (id) => void this.#chat.discard(id),
      showDetails: () => this.#showDetails(peer),
    };
  }

  #showDetails(peer: string): void {
    const talk = this.#chat.talk(peer);
    const security = this.#chat.security(peer);
    if (!talk || !security) return;
    openDetailsDialog({
      peer, name: talk.name, compared: talk.compared, ...security,
      rename: (name) => void this.#chat.rename(peer, name),
      setCompared: (compared) => void this.#chat.setCompared(peer, compared),
      updateKeys: () => this.#chat.updateKeys(peer),
    });
  }
}

/** What is wrong, in a sentence; undefined: it is done. */
async function wrongWith(done: Promise<void>): Promise<string | undefined> {
  try {
    await done;
    return undefined;
  } catch (error) {
    return sentenceOf(error);
  }
}
