package nodeservice

import "sync/atomic"

// counters count decisions since the start.
type counters struct {
	byCode    [operations][codeCount]atomic.Uint64 // "" first, then Codes
	byVersion [MaxVersion + 1]atomic.Uint64
}

// Counter is a number of decisions.
type Counter struct {
	Operation string
	Code      Code // "": done
	Count     uint64
}

const codeCount = 16 // Codes, and "" for done

// codeIndex is a code's place in counters.byCode.
var codeIndex = func() map[Code]int {
	index := map[Code]int{"": 0}
	for i, code := range Codes() {
		index[code] = i + 1
	}
	return index
}()

func (c *counters) count(op operation, code Code) { c.byCode[op][codeIndex[code]].Add(1) }

func (c *counters) legacy(version uint16) {
	if int(version) < len(c.byVersion) {
		c.byVersion[version].Add(1)
	}
}

// Counters are the decisions of this process, those that happened at least once.
func (s *Service) Counters() (all []Counter) {
	codes := append([]Code{""}, Codes()...)
	for op := range s.counters.byCode {
		for i, code := range codes {
			if n := s.counters.byCode[op][i].Load(); n > 0 {
				all = append(all, Counter{Operation: operation(op).String(), Code: code, Count: n})
			}
		}
	}
	return all
}

// LegacyUses counts calls without a channel, by the client's schema version: at
// zero growth an operator can switch the legacy mode off.
func (s *Service) LegacyUses() []uint64 {
	uses := make([]uint64, len(s.counters.byVersion))
	for v := range uses {
		uses[v] = s.counters.byVersion[v].Load()
	}
	return uses
}
