package main

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/quicproquo/node/nodeservice"
)

// toggle is a setting that is on or off.
type toggle bool

func (t *toggle) UnmarshalText(text []byte) error {
	switch string(text) {
	case "on":
		*t = true
	case "off":
		*t = false
	default:
		return fmt.Errorf("%q is neither on nor off", text)
	}
	return nil
}

func (t toggle) MarshalText() ([]byte, error) {
	if t {
		return []byte("on"), nil
	}
	return []byte("off"), nil
}

// size is a number of bytes.
type size int64

var sizeUnits = []struct {
	name  string
	bytes int64
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}, {"", 1}}

func (s *size) UnmarshalText(text []byte) error {
	for _, unit := range sizeUnits {
		digits, ok := strings.CutSuffix(string(text), unit.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
		if err != nil || n < 0 || n > (1<<62)/unit.bytes {
			break
		}
		*s = size(n * unit.bytes)
		return nil
	}
	return fmt.Errorf("%q is not a size such as 64KiB, 5MiB, 1GiB or 5242880", text)
}

func (s size) MarshalText() ([]byte, error) {
	for _, unit := range sizeUnits {
		if n := int64(s); n >= unit.bytes && n%unit.bytes == 0 && unit.name != "B" {
			return fmt.Appendf(nil, "%d%s", n/unit.bytes, unit.name), nil
		}
	}
	return strconv.AppendInt(nil, int64(s), 10), nil
}

// share is a part of a whole, 0 to 1, spelled as a percentage.
type share float64

func (s *share) UnmarshalText(text []byte) error {
	digits, percent := strings.CutSuffix(string(text), "%")
	n, err := strconv.ParseFloat(strings.TrimSpace(digits), 64)
	if err != nil || !percent || !(n >= 0 && n < 100) {
		return fmt.Errorf("%q is not a percentage such as 5%%, from 0%% to below 100%%", text)
	}
	*s = share(n / 100)
	return nil
}

func (s share) MarshalText() ([]byte, error) {
	return append(strconv.AppendFloat(nil, float64(s)*100, 'f', -1, 64), '%'), nil
}

// rate is a number of requests per unit of time; 0 is no limit.
type rate float64

func (r *rate) UnmarshalText(text []byte) error {
	n, err := strconv.ParseFloat(string(text), 64)
	if err != nil || !(n >= 0 && n <= 1e6) {
		return fmt.Errorf("%q is not a number from 0 to 1000000", text)
	}
	*r = rate(n)
	return nil
}

func (r rate) MarshalText() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(r), 'f', -1, 64), nil
}

// perSecond is r requests a second, twice as many at once, but always one.
func (r rate) perSecond() nodeservice.Rate {
	if r == 0 {
		return nodeservice.Rate{}
	}
	return nodeservice.Rate{PerSecond: float64(r), Burst: max(1, 2*float64(r))}
}

// per is n times r in a period, all of which may come at once.
func (r rate) per(n float64, period time.Duration) nodeservice.Rate {
	if r == 0 {
		return nodeservice.Rate{}
	}
	return nodeservice.Rate{PerSecond: n * float64(r) / period.Seconds(), Burst: max(1, n*float64(r))}
}

// network is a range of addresses, or one.
type network netip.Prefix

func (n *network) UnmarshalText(text []byte) error {
	if addr, err := netip.ParseAddr(string(text)); err == nil && addr.Zone() == "" {
		*n = network(netip.PrefixFrom(addr, addr.BitLen()))
		return nil
	}
	prefix, err := netip.ParsePrefix(string(text))
	if err != nil {
		return fmt.Errorf("%q is neither a network such as 10.0.0.0/8 nor an address", text)
	}
	*n = network(prefix.Masked())
	return nil
}

func (n network) MarshalText() ([]byte, error) { return netip.Prefix(n).MarshalText() }
