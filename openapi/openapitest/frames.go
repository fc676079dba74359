package openapitest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"

	"github.com/quicproquo/node/openapi"
)

// Frames are the schemas of the streams' frames, by type. The types of both
// directions are distinct. Static after LoadFrames; safe for concurrent use.
type Frames map[string]*jsonschema.Schema

const asyncapiURL = "https://quicproquo.invalid/asyncapi.yaml"

// LoadFrames compiles the schema of every message in the AsyncAPI document.
func LoadFrames(t testing.TB) Frames {
	t.Helper()
	document, err := AsyncAPI()
	if err != nil {
		t.Fatalf("reading asyncapi.yaml: %v", err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft7) // an AsyncAPI Schema Object is a superset of it
	compiler.AssertFormat()
	if err := compiler.AddResource(asyncapiURL, document); err != nil {
		t.Fatalf("reading asyncapi.yaml: %v", err)
	}
	frames := Frames{}
	for name := range Members(document, "components", "messages") {
		frames[name], err = compiler.Compile(asyncapiURL + "#/components/messages/" + name + "/payload")
		if err != nil {
			t.Fatalf("the schema of the frame %s: %v", name, err)
		}
	}
	return frames
}

// Check says whether a frame, in JSON, is as the document says. A CBOR frame is
// one once its byte strings are spelled in base64url.
func (f Frames) Check(frame []byte) error {
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(frame))
	if err != nil {
		return err
	}
	members, _ := value.(map[string]any)
	kind, _ := members["type"].(string)
	schema, ok := f[kind]
	if !ok {
		return fmt.Errorf("the document has no frame of type %q", kind)
	}
	return schema.Validate(value)
}

// AsyncAPI is the AsyncAPI document as JSON has it: maps, slices, strings,
// json.Numbers, booleans and nil.
func AsyncAPI() (any, error) {
	var document any
	if err := yaml.Unmarshal(openapi.AsyncAPI(), &document); err != nil {
		return nil, err
	}
	text, err := json.Marshal(document)
	if err != nil {
		return nil, err
	}
	return jsonschema.UnmarshalJSON(bytes.NewReader(text))
}

// Members descends into a document; nil if there is no object at the path.
func Members(document any, path ...string) map[string]any {
	object, _ := document.(map[string]any)
	for _, name := range path {
		object, _ = object[name].(map[string]any)
	}
	return object
}
