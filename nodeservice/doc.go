// Package nodeservice is the core of the node: the delivery service and key
// package store of MLS clients (RFC 9420), without any wire format and without
// any storage engine.
//
// What it knows: identities (signature public keys), channels of exactly two of
// them, and opaque messages between the two, in one dense order per channel. It
// never sees plaintext, and looks into key packages only.
//
// What it promises: nothing that it confirmed is lost before its recipient
// acknowledged it or it expired; a message comes again until it is
// acknowledged; whatever will not come is announced as a gap; a one-time key
// package is handed out once.
//
// Doors (noderpc, gateway) call a Node and its Sessions and translate; engines
// (pebblestore) implement Store. Whether something may happen is decided here,
// and only here.
package nodeservice
