package main

import (
	"testing"
	"time"
)

func TestMemoryIsGivenBackAtOnceAndThenEverMoreRarely(t *testing.T) {
	var g giving
	now := time.Unix(1_800_000_000, 0)
	look := func(span time.Duration, idle uint64) (given int) {
		for end := now.Add(span); now.Before(end); now = now.Add(idleMemoryEvery) {
			if g.due(now, idle) {
				given++
			}
		}
		return given
	}
	const much, little = idleMemoryKept + 1, idleMemoryKept
	if n := look(time.Hour, little); n != 0 {
		t.Errorf("%d times when little was idle", n)
	}
	if n := look(idleMemoryEvery, much); n != 1 {
		t.Errorf("%d times at the first look with much idle", n)
	}
	if n := look(time.Hour, much); n < 60/5 || n > 60/5+6 {
		t.Errorf("%d times in an hour with much idle", n)
	}
	look(3*idleMemoryRare, little)
	if n := look(idleMemoryEvery, much); n != 1 {
		t.Errorf("%d times at the first look after a rest", n)
	}
}
