// Package noderpc is the native door: the node's service over Cap'n Proto RPC,
// as a server and as a client.
//
// The server decodes a call, calls one method of a nodeservice.Session, and
// encodes the answer; it decides nothing about who may do what. What it does own
// is the wire: one bootstrap object a connection, capabilities bound to a
// session, bounds on bytes and calls, and a guard between hostile peers and an
// RPC runtime that trusts them. The client is a nodeservice.Node over a
// connection, so that everything written against the core runs against a remote
// node as well. GatewayNode is the same for a gateway that stands apart: it carries
// many clients, says where they come from, and connects again by itself.
//
// It speaks schema versions 0 and 1. Only this package and schema import capnp.
package noderpc
