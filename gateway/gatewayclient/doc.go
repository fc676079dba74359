// Package gatewayclient is the Go client of the HTTP door: REST for operations,
// WebSocket for streams. A Client is a nodeservice.Node, so whoever speaks to a
// node in process speaks to one over HTTPS by the same interface and the same
// errors.
//
// It tries nothing again, and it keeps nothing: that is for its caller, who knows
// which message ids and cursors are its own. What HTTP has no words for is
// refused here, as invalid_argument: the mode of before channels, fetches that
// remove what they return, a stream's window other than the default.
//
// HTTP has no sessions: Authenticate reads what the token says about itself, and
// the node judges it with the first call.
package gatewayclient
