/**
 * Sixty digits for two people to compare over another way: equal only if each sees the other's true key. Derivation:
 * SHA-512 of "quicproquo safety number v1" 00 and the two public keys, the smaller (as bytes, big-endian) first; of
 * its first 60 bytes every five, as a big-endian number, modulo 100,000, as five digits. Groups are set apart by a
 * space. That keeps 199 bits, so no third key can be searched that gives the same digits.
 */
export async function safetyNumber(one: Uint8Array, other: Uint8Array): Promise<string> {
  const [low, high] = compare(one, other) <= 0 ? [one, other] : [other, one];
  const label = new TextEncoder().encode('quicproquo safety number v1\0');
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-512', new Uint8Array([...label, ...low, ...high])));
  const groups = Array.from({ length: 12 }, (_, group) => {
    const number = digest.subarray(group * 5, group * 5 + 5).reduce((sum, byte) => sum * 256 + byte, 0);
    return String(number % 100_000).padStart(5, '0');
  });
  return groups.join(' ');
}

function compare(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}
