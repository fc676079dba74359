import type { Entry, Message, Notice } from '@quicproquo/client/mls';
import { unpack } from './envelope.js';
import type { Line, TextLine } from './model.js';

/** What was made of entries, which never change: a transcript of hundreds is drawn at every message. */
const made = new WeakMap<Entry, Line>();

/** What became of lines that waited in a conversation that is over. */
const lost = new WeakMap<TextLine, TextLine>();

/** The same lines, once nothing is sent any more. */
export function linesLeftBy(lines: readonly Line[]): Line[] {
  return lines.map((line) => {
    if (line.kind === 'notice' || line.delivery !== 'queued') return line;
    const left = lost.get(line) ?? { ...line, delivery: 'lost' };
    lost.set(line, left);
    return left;
  });
}

/** The entries of a conversation as the screen shows them; their ids tell them from those of another. */
export function linesOf(conversation: string, entries: readonly Entry[]): Line[] {
  return entries.map((entry) => {
    const line = made.get(entry) ?? lineOf(entry, `${conversation}/${entry.id}`);
    made.set(entry, line);
    return line;
  });
}

/** Which entry of which conversation a line shows. */
export function entryOf(line: string): readonly [conversation: string, entry: string] {
  const at = line.indexOf('/');
  return [line.slice(0, at), line.slice(at + 1)];
}

function lineOf(entry: Entry, id: string): Line {
  const at = entry.time.getTime();
  if (entry.kind === 'notice') return { kind: 'notice', id, at, sort: entry.notice, text: sentenceOf(entry) };
  return { kind: 'text', id, at, mine: entry.direction === 'out', text: textOf(entry), delivery: entry.delivery };
}

/** What is too large to show is shown as far as the messenger has it at hand. */
function textOf({ text, size, bytes }: Message): string {
  if (size === bytes.length) return unpack(text).text;
  const beginning = unpack(text && `${text}"}`).text; // of an envelope that was cut within its text
  return `${beginning}… (too large to show whole: ${Math.ceil(size / 1024)} KB)`;
}

function sentenceOf({ notice, from, seq }: Notice): string {
  switch (notice) {
    case 'gap': return from === seq
      ? 'A message may be missing here: it waited too long at the node.'
      : `Up to ${seq - from + 1} messages may be missing here: they waited too long at the node.`;
    case 'undecryptable': return 'Something came that cannot be read. If it mattered, ask for it again.';
    case 'refused': return 'Something came that does not belong into this conversation, and was refused.';
    case 'reestablished': return 'The encryption was set up anew. What was under way just then may be lost.';
  }
}

/** What a list shows of the latest entry. */
export function lastOf(entries: readonly Entry[]): { text: string; at: number } | undefined {
  const last = entries.at(-1);
  if (!last) return undefined;
  const line = lineOf(last, last.id);
  const text = line.kind === 'text' && line.mine ? `You: ${line.text}` : line.text;
  return { text, at: last.time.getTime() };
}

/** What the other calls themself, by the latest message that says so. */
export function claimedName(entries: readonly Entry[]): string | undefined {
  for (let i = entries.length - 1; i >= 0; i--) {
    const entry = entries[i];
    if (entry?.kind !== 'message' || entry.direction === 'out') continue;
    const { name } = unpack(entry.text);
    if (name !== undefined) return name;
  }
  return undefined;
}
