// Package schema0 is version 0 of the native schema, frozen: what N-1 clients
// were built from. Only tests use it, to speak as such a client.
package schema0
