package identity

import (
	"bytes"
	"encoding/json"
	"errors"
	"time"
	"unicode/utf8"
)

// maxDepth bounds how deep objects and arrays may lie in one another.
const maxDepth = 8

// object is a JSON object with its members as they came. encoding/json alone
// would let the last of two members win, and take "ISS" for "iss": two readers
// could then see two different tokens (RFC 8725, section 2.4; RFC 7519, section 4).
type object map[string]json.RawMessage

var errObject = errors.New("not one JSON object with each member once")

// parseObject takes one JSON object in UTF-8 and nothing after it, without
// duplicate members at any depth. It keeps no reference to data.
func parseObject(data []byte) (object, error) {
	members := membersOf(data)
	if members == nil || !utf8.Valid(data) {
		return nil, errObject
	}
	if err := checkValue(json.NewDecoder(bytes.NewReader(data)), 0); err != nil {
		return nil, errObject
	}
	return members, nil
}

// membersOf returns nil for what is no JSON object.
func membersOf(data []byte) object {
	var members object
	if json.Unmarshal(data, &members) != nil {
		return nil
	}
	return members
}

// checkValue walks one value of JSON that is known to be well formed.
func checkValue(d *json.Decoder, depth int) error {
	start, err := d.Token()
	if err != nil || depth > maxDepth {
		return errObject
	}
	if _, compound := start.(json.Delim); !compound {
		return nil
	}
	names := map[string]bool{}
	for d.More() {
		if start == json.Delim('{') && !uniqueName(d, names) {
			return errObject
		}
		if err := checkValue(d, depth+1); err != nil {
			return err
		}
	}
	_, err = d.Token() // the closing bracket
	return err
}

func uniqueName(d *json.Decoder, names map[string]bool) bool {
	token, err := d.Token()
	name, ok := token.(string)
	if err != nil || !ok || names[name] {
		return false
	}
	names[name] = true
	return true
}

// has reports whether any of the named members is there, whatever it holds.
func (o object) has(names ...string) bool {
	for _, name := range names {
		if _, ok := o[name]; ok {
			return true
		}
	}
	return false
}

// only reports whether the members are exactly the named ones.
func (o object) only(names ...string) bool {
	for _, name := range names {
		if _, ok := o[name]; !ok {
			return false
		}
	}
	return len(o) == len(names)
}

// pick returns the named members that are there, and no others.
func (o object) pick(names ...string) object {
	picked := make(object, len(names))
	for _, name := range names {
		if value, ok := o[name]; ok {
			picked[name] = value
		}
	}
	return picked
}

// within reports whether there are no members but the named ones.
func (o object) within(names ...string) bool { return len(o.pick(names...)) == len(o) }

// text returns a member that is a string; "" if there is none.
func (o object) text(name string) string {
	var text string
	if json.Unmarshal(o[name], &text) != nil {
		return ""
	}
	return text
}

// texts returns a member that is a list of strings; nil if there is none.
func (o object) texts(name string) []string {
	var texts []string
	if json.Unmarshal(o[name], &texts) != nil {
		return nil
	}
	return texts
}

// time returns a member that is a NumericDate with at most three decimals.
func (o object) time(name string) (time.Time, bool) { return parseNumericDate(o[name]) }

// object returns a member that is an object; nil if there is none. What lies in a
// parsed object was checked with it.
func (o object) object(name string) object { return membersOf(o[name]) }
