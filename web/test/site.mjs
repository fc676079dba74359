import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname } from 'node:path';

/** The policy that the gateway sends with every page. */
export const policy = [
  "default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "img-src 'self'",
  "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'",
].join('; ');

const types = {
  '.html': 'text/html; charset=utf-8', '.js': 'text/javascript; charset=utf-8', '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml', '.txt': 'text/plain; charset=utf-8',
};

const dist = new URL('../dist/', import.meta.url);
const contract = new URL('../../openapi/openapi.yaml', import.meta.url);

/**
 * Serves dist as the gateway does, on a free port of loopback. JSON is YAML, so the
 * contract stands in for its own conversion. Or it is a node that runs already, at the
 * origin that SITE names.
 */
export async function serve() {
  if (process.env['SITE']) return { origin: new URL(process.env['SITE']).origin, close: () => {} };
  const server = createServer((request, response) => {
    answer(new URL(request.url, 'http://site')).then(
      ([type, body]) => response.writeHead(200, headers(type)).end(body),
      () => response.writeHead(404, headers('text/plain')).end(),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { origin: `http://127.0.0.1:${server.address().port}`, close: () => server.close() };
}

function headers(type) {
  return { 'Content-Type': type, 'Content-Security-Policy': policy, 'X-Content-Type-Options': 'nosniff' };
}

async function answer({ pathname }) {
  switch (pathname) {
    case '/openapi.yaml':
    case '/openapi.json': return ['application/json', await readFile(contract)];
    case '/v1/info': return ['application/json', JSON.stringify({ audience: 'https://node.example' })];
    case '/docs/': return [types['.html'], await readFile(new URL('docs/index.html', dist))];
  }
  return [types[extname(pathname)], await readFile(new URL(`.${pathname}`, dist))];
}
