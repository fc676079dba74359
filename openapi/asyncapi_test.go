package openapi_test

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/openapi"
	"github.com/quicproquo/node/openapi/openapitest"
)

// The frames of the product, by who sends them.
var (
	ofServer = []string{
		"acked", "caught_up", "channel", "draining", "error", "gap", "hello",
		"key_packages_low", "message", "ping", "token_expiring",
	}
	ofClient = []string{"ack", "auth", "pong"}
)

func asyncapi(t *testing.T) any {
	t.Helper()
	document, err := openapitest.AsyncAPI()
	if err != nil {
		t.Fatal(err)
	}
	return document
}

func TestFramesAreThoseOfTheProduct(t *testing.T) {
	document := asyncapi(t)
	want := slices.Sorted(slices.Values(slices.Concat(ofServer, ofClient)))
	if got := slices.Sorted(maps.Keys(openapitest.LoadFrames(t))); !slices.Equal(got, want) {
		t.Errorf("the frames are %v", got)
	}
	for name, channel := range openapitest.Members(document, "channels") {
		if got := slices.Sorted(maps.Keys(openapitest.Members(channel, "messages"))); !slices.Equal(got, want) {
			t.Errorf("the channel %s has the frames %v", name, got)
		}
	}
	for name, o := range openapitest.Members(document, "operations") {
		said := map[string][]string{"send": ofServer, "receive": ofClient}[o.(map[string]any)["action"].(string)]
		var got []string
		for _, ref := range o.(map[string]any)["messages"].([]any) {
			path := ref.(map[string]any)["$ref"].(string)
			got = append(got, path[strings.LastIndex(path, "/")+1:])
		}
		if slices.Sort(got); !slices.Equal(got, said) {
			t.Errorf("the operation %s has the frames %v", name, got)
		}
	}
}

func TestExamplesOfFramesAreFrames(t *testing.T) {
	frames := openapitest.LoadFrames(t)
	for name, message := range openapitest.Members(asyncapi(t), "components", "messages") {
		examples, _ := message.(map[string]any)["examples"].([]any)
		if len(examples) == 0 {
			t.Errorf("the frame %s has no example", name)
		}
		for _, example := range examples {
			payload := example.(map[string]any)["payload"]
			text, err := json.Marshal(payload)
			if err != nil {
				t.Fatal(err)
			}
			if err := frames.Check(text); err != nil || payload.(map[string]any)["type"] != name {
				t.Errorf("the example %s of %s: %v", text, name, err)
			}
		}
	}
}

func TestFrameSchemasNoticeWhatIsWrong(t *testing.T) {
	frames := openapitest.LoadFrames(t)
	const id = `"channel_id":"6f1b0c9e-52d5-4c0e-9f0d-0a8a5b3c2d1e"`
	for _, bad := range []string{
		`{"type":"acked",` + id + `}`,
		`{"type":"acked",` + id + `,"through":"8"}`,
		`{"type":"acked",` + id + `,"through":9007199254740992}`,
		`{"type":"acked","channel_id":"6f1b","through":8}`,
		`{"type":"message",` + id + `,"seq":0,"received_at":"2026-11-23T09:16:02.007Z","payload":"AA"}`,
		`{"type":"message",` + id + `,"seq":1,"received_at":"2026-11-23T09:16:02Z","payload":"AA"}`,
		`{"type":"message",` + id + `,"seq":1,"received_at":"2026-11-23T09:16:02.007Z","payload":"AA=="}`,
		`{"type":"gap",` + id + `,"from":1,"to":2,"reason":"unspecified"}`,
		`{"type":"error","code":"teapot","detail":"short and stout"}`,
		`{"type":"ack",` + id + `,"through":8,"hurry":true}`,
		`{"type":"nonsense"}`,
		`{}`,
		`[]`,
	} {
		if frames.Check([]byte(bad)) == nil {
			t.Errorf("this passed: %s", bad)
		}
	}
	if err := frames.Check([]byte(`{"type":"caught_up","in":"time"}`)); err != nil {
		t.Errorf("a member that a client does not know yet: %v", err)
	}
}

// The two documents describe one service in one set of words.
func TestTheTwoDocumentsAgree(t *testing.T) {
	document := asyncapi(t)
	var other any
	if err := json.Unmarshal(openapi.JSON(), &other); err != nil {
		t.Fatal(err)
	}
	ours := plain(t, openapitest.Members(document, "components", "schemas"))
	theirs := openapitest.Members(other, "components", "schemas")
	for _, name := range []string{"Identity", "Bytes", "Time", "ChannelId", "Seq", "CipherSuite"} {
		if !reflect.DeepEqual(ours[name], theirs[name]) {
			t.Errorf("%s is not the same in both", name)
		}
	}
	codes := []nodeservice.Code{}
	for _, code := range openapitest.Members(ours["Code"])["enum"].([]any) {
		codes = append(codes, nodeservice.Code(code.(string)))
	}
	if !slices.Equal(codes, nodeservice.Codes()) {
		t.Errorf("the codes are %v", codes)
	}
	for name, channel := range openapitest.Members(document, "channels") {
		address := channel.(map[string]any)["address"].(string)
		get := openapitest.Members(other, "paths", address, "get")
		if get["operationId"] != name {
			t.Errorf("%s is at %s, where the other document has %v", name, address, get["operationId"])
		}
	}
}

// plain is the object as encoding/json reads it, numbers as float64.
func plain(t *testing.T, object map[string]any) (out map[string]any) {
	t.Helper()
	text, err := json.Marshal(object)
	if err == nil {
		err = json.Unmarshal(text, &out)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestReferencesOfFramesLeadSomewhere(t *testing.T) {
	document := asyncapi(t)
	var walk func(value any)
	walk = func(value any) {
		switch v := value.(type) {
		case map[string]any:
			if ref, ok := v["$ref"].(string); ok {
				path := strings.Split(strings.TrimPrefix(ref, "#/"), "/")
				if openapitest.Members(document, path...) == nil {
					t.Errorf("%s leads nowhere", ref)
				}
			}
			for _, member := range v {
				walk(member)
			}
		case []any:
			for _, element := range v {
				walk(element)
			}
		}
	}
	walk(document)
}
