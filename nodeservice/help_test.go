package nodeservice

import (
	"encoding/binary"
	"log/slog"
	"net/netip"
)

func mustAddr(s string) netip.Addr { return netip.MustParseAddr(s) }

func discardLog() *slog.Logger { return slog.New(slog.DiscardHandler) }

// addressNumber is the i-th address of a private network.
func addressNumber(i int) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], 10<<24+uint32(i))
	return netip.AddrFrom4(b)
}
