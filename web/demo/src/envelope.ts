import { tidyName } from './link.js';

/** What this chat puts into an MLS application message: JSON in UTF-8. Only the two members ever see it. */
export interface Envelope {
  readonly text: string;
  /** What the sender calls themself. A claim: only the key is proven. */
  readonly name: string | undefined;
}

export function pack({ text, name }: Envelope): string {
  return JSON.stringify({ text, name });
}

/** Reads what came; anything that is not of this chat is text as it stands. */
export function unpack(content: string | undefined): Envelope {
  if (content === undefined) return { text: 'Something that is no text', name: undefined };
  try {
    const { text, name } = JSON.parse(content) as Record<string, unknown>;
    if (typeof text !== 'string') return { text: content, name: undefined };
    return { text, name: (typeof name === 'string' && tidyName(name)) || undefined };
  } catch {
    return { text: content, name: undefined };
  }
}
