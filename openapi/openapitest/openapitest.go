// Package openapitest reads the contract for tests: of this repository's
// documents, and of the gateway that must do what they say. The libraries that
// read it stay out of the binaries that way.
package openapitest

import (
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/quicproquo/node/openapi"
)

// Document is the OpenAPI document, its references resolved.
func Document(t testing.TB) *openapi3.T {
	t.Helper()
	document, err := openapi3.NewLoader().LoadFromData(openapi.YAML())
	if err != nil {
		t.Fatalf("reading openapi.yaml: %v", err)
	}
	return document
}
