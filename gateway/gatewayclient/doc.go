// Package gatewayclient is the Go client of the HTTP door: REST for operations,
// WebSocket for streams. A Client is a nodeservice.Node, so whoever speaks to a
// node in process speaks to one over HTTPS by the same interface and the same
// errors.
//
// A call that got no answer, or 429, 502, 503 or 504, is repeated if making it twice has
// the same effect as making it once. That is so for everything that reads, for
// acknowledgements, revoking, creating channels, uploading key packages, asking for a
// challenge and opening a stream; for sending with a MessageID only, for claiming with a
// ClaimID only, for logging in never. A Client waits as long as the server asks for,
// within bounds (Config), and otherwise for random times that grow. A context that ends
// ends the call at once. A stream that broke is not opened again: only its reader knows
// what it has handled.
//
// A Client keeps nothing: message ids and cursors are its caller's. What cannot be said
// over HTTP is refused here, as invalid_argument: the queues that version 0 had instead of
// channels, fetches that remove what they return, a stream's window other than the
// default.
//
// A server is trusted with messages, not with the process: its answers, lists, headers
// and error texts are bounded, and so are the events of a stream that wait to be read; a
// stream with more of them ends, and the caller follows anew. A server that sends nothing
// is given up: see Config.HTTPClient; on a stream, after 75 s.
//
// HTTP has no sessions: Authenticate reads what the token says about itself, and
// the node judges it with the first call.
package gatewayclient
