import { MessengerError } from './errors.js';
import type { MessengerClient } from './ports.js';

/**
 * A client that nobody waits for once a signal aborts: a messenger closes at once, also while the node does not answer.
 * What was asked may have its effect nevertheless, as after a crash.
 */
export function abandoning(client: MessengerClient, signal: AbortSignal): MessengerClient {
  /** Those who wait now; one listener for all of them, of whom there may be many. */
  const waiting = new Set<() => void>();
  signal.addEventListener('abort', () => { for (const leave of waiting) leave(); }, { once: true });
  const unlessClosed = <T>(asked: Promise<T>): Promise<T> => new Promise((resolve, reject) => {
    const leave = (): void => reject(new MessengerError('closed', 'the messenger was closed'));
    if (signal.aborted) leave();
    waiting.add(leave);
    asked.then(resolve, reject).finally(() => waiting.delete(leave));
  });
  return {
    createChannel: (peer) => unlessClosed(client.createChannel(peer)),
    channel: (id) => unlessClosed(client.channel(id)),
    send: (id, payload, options) => unlessClosed(client.send(id, payload, { ...options, signal })),
    fetch: (id, options) => unlessClosed(client.fetch(id, { ...options, signal })),
    ack: (id, through) => unlessClosed(client.ack(id, through)),
    uploadKeyPackages: (packages, options) => unlessClosed(client.uploadKeyPackages(packages, options)),
    claimKeyPackage: (peer, options) => unlessClosed(client.claimKeyPackage(peer, options)),
    keyPackageStatus: () => unlessClosed(client.keyPackageStatus()),
    events: (options) => client.events(options),
  };
}
