import assert from 'node:assert/strict';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { launch } from './browser.mjs';
import { Node } from './node.mjs';
import { pair } from './person.mjs';

let browser, node;

before(async () => {
  [browser, node] = await Promise.all([launch(), Node.start()]);
});

after(async () => {
  await browser?.close();
  await node?.stop();
});

const said = ['the heron stands at the weir', 'bring the violet umbrella'];

test('the node gets no text, no name and no private key', async () => {
  const sent = [];
  const secrets = [];
  const prepare = async (page) => {
    record(page, sent);
    await page.exposeFunction('reportSecret', (bytes) => secrets.push(Buffer.from(bytes)));
    await page.addInitScript(overhear);
  };
  const { ada, grace } = await pair(browser, node.origin, { prepare });
  await ada.say(said[0]);
  await grace.sees(said[0]);
  await grace.page.getByRole('button', { name: 'Safety' }).click();
  await grace.page.getByRole('button', { name: 'Renew keys' }).click();
  await grace.page.getByText('Fresh keys are in force').waitFor();
  await grace.page.close(); // so that something stays at the node
  await ada.say(said[1]);
  await ada.sees(said[1], 'sent');
  assert.deepEqual(await extractable(ada.page), [], 'keys that could be taken out');
  await ada.leave();
  await node.kill();

  const stored = await contents(node.dataDir);
  // Not each of them: a log cuts what crosses the end of a block.
  const ciphertexts = sent.filter(({ what }) => /^POST .*\/messages$/.test(what)).map(({ bytes }) => bytes);
  const found = ciphertexts.filter((ciphertext) => ciphertext.length > 100 && stored.some(({ bytes }) => bytes.includes(ciphertext)));
  assert.ok(found.length > 0, 'the search finds what is stored');
  assert.ok(sent.some(({ bytes }) => bytes.includes('"type":"ack"')), 'frames of WebSockets are searched');
  assert.ok(secrets.length > 200, `only ${secrets.length} secrets were overheard`);
  const places = [...stored, ...sent.flatMap(spelled)];
  for (const [what, needles] of [['text', said.map((text) => Buffer.from(text))], ['name', [Buffer.from('"Grace"'), Buffer.from('"Ada"')]], ['key', secrets]]) {
    const found = needles.filter((needle) => places.some(({ bytes }) => bytes.includes(needle)));
    assert.deepEqual(found, [], `a ${what} was found`);
  }
  await node.restart();
});

/** Notes all that a page sends: URLs, headers, bodies, frames. */
function record(page, sent) {
  page.on('request', (request) => {
    const body = request.postDataBuffer() ?? Buffer.alloc(0);
    if (body.length > 0) sent.push({ what: `${request.method()} ${new URL(request.url()).pathname}`, bytes: body });
    sent.push({ what: 'head', bytes: Buffer.from(`${request.url()} ${JSON.stringify(request.headers())}`) });
  });
  page.on('websocket', (socket) => socket.on('framesent', ({ payload }) => sent.push({ what: 'frame', bytes: Buffer.from(payload) })));
}

/** What was sent, and all that it spells in base64url. */
function spelled(part) {
  const words = part.bytes.toString('latin1').match(/[\w-]{16,}/g) ?? [];
  return [part, ...words.map((word) => ({ bytes: Buffer.from(word, 'base64url') }))];
}

/** Runs in the page, first: tells of every secret that goes into WebCrypto or comes out of it. */
function overhear() {
  const { subtle } = crypto;
  const tell = (data) => {
    const bytes = new Uint8Array(data.buffer ?? data, data.byteOffset ?? 0, data.byteLength);
    if (bytes.length >= 16 && new Set(bytes).size > 4) void window.reportSecret([...bytes]); // not the zeros that stand for no salt
  };
  const tellKey = (format, data) => {
    if (format === 'jwk' && data.d) tell(Uint8Array.from(atob(data.d.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0)));
    if (format === 'pkcs8') tell(new Uint8Array(data.buffer ?? data, data.byteOffset ?? 0).slice(-32));
  };
  const wrap = (name, heard) => {
    const original = subtle[name].bind(subtle);
    Object.defineProperty(subtle, name, { value: async (...given) => {
      const result = await original(...given);
      heard(result, ...given);
      return result;
    } });
  };
  wrap('importKey', (key, format, data) => {
    tellKey(format, data);
    if (format === 'raw' && key.type === 'secret') tell(data);
  });
  wrap('exportKey', (data, format, key) => {
    tellKey(format, data);
    if (key.type === 'secret') tell(data);
  });
  wrap('deriveBits', tell);
}

/** All files of a directory, and below. */
async function contents(directory) {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  assert.ok(paths.length > 3, 'there are files');
  return Promise.all(paths.map(async (path) => ({ path, bytes: await readFile(path) })));
}

/** The names of private keys that this origin keeps so that a script could read them. */
function extractable(page) {
  return page.evaluate(async () => {
    const done = (request) => new Promise((resolve, reject) => {
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
    const found = [];
    let keys = 0;
    const look = (value, where) => {
      if (value instanceof CryptoKey) {
        keys++;
        if (value.type !== 'public' && value.extractable) found.push(where);
      } else if (value?.constructor === Object) {
        for (const [name, part] of Object.entries(value)) look(part, `${where}.${name}`);
      }
    };
    for (const { name } of await indexedDB.databases()) {
      const database = await done(indexedDB.open(name));
      for (const store of database.objectStoreNames) {
        for (const value of await done(database.transaction(store).objectStore(store).getAll())) look(value, `${name}/${store}`);
      }
      database.close();
    }
    return keys >= 2 ? found : ['there are no keys at all'];
  });
}
