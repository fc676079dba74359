package crashtest

import (
	"fmt"
	"slices"
	"strings"
)

// Summary counts what happened in histories.
type Summary struct {
	Kills, Operations, Answered, Refused, Unknown int
	Kinds                                         map[Kind]int
	Violations                                    int
}

// Summarize counts one history, and checks it.
func Summarize(h *History) Summary {
	s := Summary{Kinds: map[Kind]int{}}
	s.Kills, s.Violations = len(h.strikes), len(Check(h))
	for _, op := range h.Ops() {
		s.Operations++
		s.Kinds[op.Kind]++
		switch op.Outcome {
		case Answered:
			s.Answered++
		case Refused:
			s.Refused++
		case Unknown:
			s.Unknown++
		}
	}
	return s
}

// Add adds other's counts.
func (s *Summary) Add(other Summary) {
	s.Kills += other.Kills
	s.Operations += other.Operations
	s.Answered += other.Answered
	s.Refused += other.Refused
	s.Unknown += other.Unknown
	s.Violations += other.Violations
	if s.Kinds == nil {
		s.Kinds = map[Kind]int{}
	}
	for kind, n := range other.Kinds {
		s.Kinds[kind] += n
	}
}

// String is one line.
func (s Summary) String() string {
	var kinds []string
	for kind, n := range s.Kinds {
		kinds = append(kinds, fmt.Sprintf("%s %d", kind, n))
	}
	slices.Sort(kinds)
	return fmt.Sprintf("%d kills, %d operations (%s): %d answered, %d refused, %d of unknown outcome; %d violations",
		s.Kills, s.Operations, strings.Join(kinds, ", "), s.Answered, s.Refused, s.Unknown, s.Violations)
}
