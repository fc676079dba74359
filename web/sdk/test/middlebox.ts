/** A fetch for where requests for a type never get their answer, as behind a proxy that gathers answers whole. */
export function blocking(accept: string): typeof fetch {
  return (input, init) => {
    if (new Headers(init?.headers).get('Accept') !== accept) return fetch(input, init);
    const headers = { 'Content-Type': 'text/html' };
    return Promise.resolve(new Response('<h1>Bad Gateway</h1>', { status: 502, headers }));
  };
}
