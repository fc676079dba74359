import { decodeBase64url } from '../base64url.js';
import { MessengerError } from './errors.js';
import { profileKey } from './records.js';
import type { ProfileRecord } from './records.js';
import type { Vault } from './vault.js';

/** A store holds one identity's profile, and says so. */
export async function checkProfile(vault: Vault, address: string): Promise<void> {
  const profile = await vault.get<ProfileRecord>(profileKey);
  if (!profile) {
    const record: ProfileRecord = { format: 1, address };
    return vault.write([[profileKey, record]]);
  }
  if (profile.format !== 1) throw new MessengerError('damaged', `the profile has format ${String(profile.format)}, not 1`);
  if (profile.address !== address) throw new MessengerError('wrong_identity', 'the store holds the profile of another identity');
}

/** The public key that an address of this profile is. */
export function keyOf(address: string): Uint8Array {
  const key = decodeBase64url(address);
  if (!key) throw new MessengerError('damaged', `${address} is no address`);
  return key;
}
