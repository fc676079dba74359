// The API reference: our page, and of swagger-ui only what the page needs.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

const source = new URL('./', import.meta.url);
const renderer = new URL('../node_modules/swagger-ui-dist/', import.meta.url);

/** @returns {Map<string, Buffer>} the files of the reference, by name */
export function reference() {
  const files = new Map();
  for (const name of ['index.html', 'page.css', 'page.js', 'icon.svg']) {
    files.set(name, readFileSync(new URL(name, source)));
  }
  const script = readFileSync(new URL('swagger-ui-bundle.js', renderer), 'utf8');
  files.set('swagger-ui-bundle.js', Buffer.from(withoutSourceMap(script)));
  files.set('swagger-ui.css', Buffer.from(style(files)));
  for (const name of ['LICENSE', 'NOTICE', 'swagger-ui-bundle.js.LICENSE.txt']) {
    const text = readFileSync(new URL(name, renderer));
    files.set(name.endsWith('.txt') ? name : `swagger-ui.${name}.txt`, text);
  }
  return files;
}

/** The style sheet, its inline images as files: the page's policy admits no data: URL. */
function style(files) {
  const css = readFileSync(new URL('swagger-ui.css', renderer), 'utf8');
  const debugGrids = /\.swagger-ui \.debug-grid[^{]*\{[^}]*\}/g; // bitmaps that no page shows
  const images = /url\("data:image\/svg\+xml;charset=utf-8,((?:[^"\\]|\\.)*)"\)/g;
  const mended = withoutSourceMap(css).replace(debugGrids, '').replace(images, (_, text) => {
    const svg = Buffer.from(decodeURIComponent(text.replace(/\\(.)/g, '$1')) + '\n');
    const name = `image-${createHash('sha256').update(svg).digest('hex').slice(0, 8)}.svg`;
    files.set(name, svg);
    return `url(${name})`;
  });
  if (mended.includes('data:')) throw new Error('the style sheet has a data: URL that is not understood');
  return mended;
}

function withoutSourceMap(text) {
  return text.replace(/\n*(\/\/|\/\*)# sourceMappingURL=[^\n]*\n*$/, '') + '\n';
}
