/** How the tabs of one browser ask one another for a profile. */
export class Takeover {
  readonly #channel: BroadcastChannel;

  constructor(profile: string) {
    this.#channel = new BroadcastChannel(`quicproquo-profile-${profile}`);
  }

  /** Asks whichever tab has the profile to give it up. */
  ask(): void {
    this.#channel.postMessage('give it to me');
  }

  onAsked(asked: () => void): void {
    this.#channel.onmessage = asked;
  }

  close(): void {
    this.#channel.close();
  }
}
