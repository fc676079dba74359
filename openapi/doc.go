// Package openapi is the contract of the HTTP door, written by hand and first:
// an OpenAPI 3.1 document of every route, with examples for each operation and
// each error code, and an AsyncAPI 3.0 document of the frames of the streams.
//
// It holds bytes, and nothing that reads them: what is served is what was
// written. That both documents are well formed, and that their examples are what
// their schemas say, is for this package's tests; that the gateway does what they
// say is for the gateway's.
package openapi
