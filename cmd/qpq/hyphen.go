package main

import (
	"strings"

	"github.com/quicproquo/node/nodeservice/identity"
)

// One identity in 64 begins with a hyphen, and would be taken for a flag. So
// those among the arguments are marked before they are parsed, by a byte that
// no argument can contain, and whatever takes an argument takes the mark off.
const hyphenMark = "\x00"

func markIdentities(args []string) []string {
	marked := make([]string, len(args))
	for i, arg := range args {
		marked[i] = arg
		if _, err := identity.ParseKeyText(arg); err == nil && strings.HasPrefix(arg, "-") {
			marked[i] = hyphenMark + arg
		}
	}
	return marked
}

func unmarked(argument []byte) string { return strings.TrimPrefix(string(argument), hyphenMark) }

// payloadArgument is a payload on the command line.
type payloadArgument string

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *payloadArgument) UnmarshalText(text []byte) error {
	*p = payloadArgument(unmarked(text))
	return nil
}
