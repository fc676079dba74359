// Package gatewayclient is the Go client of the HTTP door: REST for operations,
// WebSocket for streams. A Client is a nodeservice.Node, so whoever speaks to a
// node in process speaks to one over HTTPS by the same interface and the same
// errors.
//
// A call that got no answer, or 429, 502, 503 or 504, is repeated if twice has the
// effect of once: everything that reads, acknowledgements, revoking, creating
// channels, uploading key packages, asking for a challenge and opening a stream
// always; sending with a MessageID only, claiming with a ClaimID only, logging in
// never. It waits as long as the server asks for, within bounds (Config), and else
// backs off at random. A context that ends ends the call at once. A stream that
// broke is not opened again: only its reader knows what it has handled.
//
// It keeps nothing: message ids and cursors are its caller's. What HTTP has no
// words for is refused here, as invalid_argument: the mode of before channels,
// fetches that remove what they return, a stream's window other than the default.
//
// A server is trusted with messages, not with the process: its answers, lists, headers
// and sentences are bounded, and so are the events of a stream that wait to be read,
// after which one follows anew. A server that says nothing is given up after a while.
//
// HTTP has no sessions: Authenticate reads what the token says about itself, and
// the node judges it with the first call.
package gatewayclient
