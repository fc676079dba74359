// Types of the platform, as browsers and Node declare them: a program of Node need not know a browser's.

/** A CryptoKey of WebCrypto. */
export type Key = Awaited<ReturnType<typeof crypto.subtle.importKey>>;

/** What `indexedDB` is, where there is one. */
export type Databases = typeof globalThis extends { indexedDB: infer T } ? T : unknown;
