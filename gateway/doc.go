// Package gateway is the node's HTTP door: the core's operations as REST routes
// and its streams as WebSockets and server-sent events, for browsers and phones.
// Package openapi is its contract: it serves the two documents and a page to read
// them with, and its tests hold every request and answer of theirs against them.
//
// It is a thin adapter: it decodes a request, authenticates its token (a bearer's,
// RFC 6750, or one with a proof of possession, RFC 9449), calls one method of the
// session, and encodes the answer. Whether something may happen is decided in the
// core. What is decided here is only whether a request is one: its shape, its
// size, its media types, the origin of the page that sent it, and how long its
// bytes may take.
//
// What it promises: bodies are bounded while they are read; every write has a
// deadline; bad input gets a code and a sentence (RFC 9457), never a 500; a
// stream's slow reader costs bounded memory; no token is logged or echoed.
package gateway
