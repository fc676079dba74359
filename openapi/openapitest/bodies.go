package openapitest

import (
	"bytes"
	"encoding/json"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

const openapiURL = "https://quicproquo.invalid/openapi.yaml"

// bodies holds JSON bodies against the document's schemas. openapi3filter would
// compile a schema for each body, and take those with references for ones of OpenAPI
// 3.0; here each is compiled once, as the JSON Schema that it is.
type bodies struct {
	document *openapi3.T
	compiled sync.Map // of *jsonschema.Schema, by *openapi3.Schema
}

// check says whether a body is as its media type wants. The schemas of what is no
// JSON say no more than that it is text.
func (b *bodies) check(kind string, media *openapi3.MediaType, body []byte) error {
	kind, _, _ = strings.Cut(kind, ";") // what follows are parameters
	if media.Schema == nil || !strings.HasSuffix(kind, "json") {
		return nil
	}
	schema, err := b.schema(media.Schema)
	if err != nil {
		return err
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return err
	}
	return schema.Validate(value)
}

func (b *bodies) schema(ref *openapi3.SchemaRef) (*jsonschema.Schema, error) {
	if schema, ok := b.compiled.Load(ref.Value); ok {
		return schema.(*jsonschema.Schema), nil
	}
	text, err := json.Marshal(map[string]any{"body": ref, "components": b.document.Components})
	if err != nil {
		return nil, err
	}
	resource, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	compiler := jsonschema.NewCompiler() // of draft 2020-12, which is OpenAPI 3.1's dialect
	compiler.AssertFormat()
	if err := compiler.AddResource(openapiURL, resource); err != nil {
		return nil, err
	}
	schema, err := compiler.Compile(openapiURL + "#/body")
	if err != nil {
		return nil, err
	}
	b.compiled.Store(ref.Value, schema)
	return schema, nil
}
