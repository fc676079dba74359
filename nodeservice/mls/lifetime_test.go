package mls

import (
	"math"
	"testing"
	"time"
)

func TestLifetimeBoundaries(t *testing.T) {
	const ns = time.Nanosecond
	begin, end := testNotBefore, testNotAfter
	tests := []struct {
		name                     string
		notBefore, notAfter, now time.Time
		maxLength                time.Duration
		problem                  string
	}{
		{"within", begin, end, begin.Add(time.Hour), MaxLifetime, ""},
		{"earliest", begin, end, begin.Add(-LifetimeSkew), MaxLifetime, ""},
		{"too early", begin, end, begin.Add(-LifetimeSkew - ns), MaxLifetime, "has not begun yet"},
		{"latest", begin, end, end.Add(LifetimeSkew), MaxLifetime, ""},
		{"too late", begin, end, end.Add(LifetimeSkew + ns), MaxLifetime, "is over"},
		{"a second too long", begin, end.Add(time.Second), begin, MaxLifetime, "is longer than 7776000 seconds"},
		{"any length", begin, end.AddDate(1000, 0, 0), begin, 0, ""},
		{"any length, but over", begin, end, end.AddDate(1, 0, 0), 0, "is over"},
		{"centuries", begin, timeOf(math.MaxUint64), begin, MaxLifetime, "is longer than 7776000 seconds"},
		{"a moment", begin, begin, begin, MaxLifetime, ""},
		{"backwards", begin, begin.Add(-time.Second), begin, MaxLifetime, "ends before it begins"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			kp := &KeyPackage{NotBefore: test.notBefore, NotAfter: test.notAfter}
			checkProblem(t, kp.CheckLifetime(test.now, test.maxLength), test.problem)
		})
	}
}

func checkProblem(t *testing.T, err error, problem string) {
	t.Helper()
	if problem == "" {
		if err != nil {
			t.Errorf("error = %v, want none", err)
		}
		return
	}
	if want := "key package: leaf_node.lifetime " + problem; err == nil || err.Error() != want {
		t.Errorf("error = %v, want %s", err, want)
	}
}

func TestUnrepresentableTimesAreClamped(t *testing.T) {
	last := time.Date(9999, time.December, 31, 23, 59, 59, 0, time.UTC)
	for seconds, want := range map[uint64]time.Time{
		0:              time.Unix(0, 0),
		lastSecond:     last,
		lastSecond + 1: last,
		math.MaxInt64:  last,
		math.MaxUint64: last,
	} {
		w := unsignedPackage(t, 1)
		w.leafNode.lifetime = lifetime{notBefore: seconds, notAfter: seconds}
		kp, err := ParseKeyPackage(signed(t, w))
		if err != nil {
			t.Fatal(err)
		}
		if !kp.NotBefore.Equal(want) || !kp.NotAfter.Equal(want) {
			t.Errorf("%d seconds = %v and %v, want %v", seconds, kp.NotBefore, kp.NotAfter, want)
		}
	}
}
