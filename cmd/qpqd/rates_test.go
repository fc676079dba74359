package main

import (
	"testing"

	"github.com/quicproquo/node/nodeservice"
)

func TestByteRatesLetTwoOfTheLargestThrough(t *testing.T) {
	for _, c := range []struct {
		rate, payload size
		in, out       nodeservice.Rate
	}{
		{10 << 20, 5 << 20, nodeservice.DefaultRates().BytesIn, nodeservice.DefaultRates().BytesOut},
		{1 << 20, 5 << 20, nodeservice.Rate{PerSecond: 1 << 20, Burst: 10 << 20}, nodeservice.Rate{PerSecond: 4 << 20, Burst: 16 << 20}},
		{0, 5 << 20, nodeservice.Rate{}, nodeservice.Rate{}},
	} {
		cfg := config{RateBytes: c.rate, MaxPayload: c.payload}
		if in, out := cfg.bytesIn(), cfg.bytesOut(); in != c.in || out != c.out {
			t.Errorf("%d bytes/s: %+v and %+v, want %+v and %+v", c.rate, in, out, c.in, c.out)
		}
	}
}
