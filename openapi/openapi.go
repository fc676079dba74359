package openapi

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	"gopkg.in/yaml.v3"
)

var (
	//go:embed openapi.yaml
	openapiYAML []byte
	//go:embed asyncapi.yaml
	asyncapiYAML []byte
)

// YAML is the OpenAPI document as it was written. The bytes are the caller's.
func YAML() []byte { return slices.Clone(openapiYAML) }

// JSON is the OpenAPI document in JSON, members in the order in which they were
// written: the same bytes from every build. They are the caller's.
func JSON() []byte { return slices.Clone(converted()) }

// AsyncAPI is the AsyncAPI document, in YAML, as it was written. The bytes are
// the caller's.
func AsyncAPI() []byte { return slices.Clone(asyncapiYAML) }

// converted panics on a document that is none: it comes with the binary, and the
// tests have read it.
var converted = sync.OnceValue(func() []byte {
	var document yaml.Node
	if err := yaml.Unmarshal(openapiYAML, &document); err != nil {
		panic(err)
	}
	var out bytes.Buffer
	if err := writeJSON(&out, document.Content[0]); err != nil {
		panic(err)
	}
	return append(out.Bytes(), '\n')
})

// writeJSON keeps the order of members, which a Go map would not. Aliases and
// keys that are no strings are not written here, so they are errors.
func writeJSON(out *bytes.Buffer, node *yaml.Node) error {
	switch node.Kind {
	case yaml.MappingNode:
		return writeMembers(out, node.Content)
	case yaml.SequenceNode:
		return writeElements(out, node.Content)
	case yaml.ScalarNode:
		return writeScalar(out, node)
	}
	return fmt.Errorf("openapi: line %d: neither a mapping, a sequence nor a scalar", node.Line)
}

func writeMembers(out *bytes.Buffer, content []*yaml.Node) error {
	out.WriteByte('{')
	for i := 0; i < len(content); i += 2 {
		if i > 0 {
			out.WriteByte(',')
		}
		if content[i].ShortTag() != "!!str" {
			return fmt.Errorf("openapi: line %d: a key is no string", content[i].Line)
		}
		if err := writeScalar(out, content[i]); err != nil {
			return err
		}
		out.WriteByte(':')
		if err := writeJSON(out, content[i+1]); err != nil {
			return err
		}
	}
	out.WriteByte('}')
	return nil
}

func writeElements(out *bytes.Buffer, content []*yaml.Node) error {
	out.WriteByte('[')
	for i, element := range content {
		if i > 0 {
			out.WriteByte(',')
		}
		if err := writeJSON(out, element); err != nil {
			return err
		}
	}
	out.WriteByte(']')
	return nil
}

// writeScalar refuses what JSON cannot say, and a time that lacks its quotes.
func writeScalar(out *bytes.Buffer, node *yaml.Node) error {
	var value any
	switch node.ShortTag() {
	case "!!str", "!!int", "!!float", "!!bool", "!!null":
		if err := node.Decode(&value); err != nil {
			return fmt.Errorf("openapi: line %d: %w", node.Line, err)
		}
	default:
		return fmt.Errorf("openapi: line %d: a scalar of type %s", node.Line, node.ShortTag())
	}
	text, err := json.Marshal(value)
	out.Write(text)
	return err
}
