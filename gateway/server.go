package gateway

import (
	"log/slog"
	"net/http"
	"time"
)

// unread is what a connection over HTTP/2 may send of bodies that nobody reads yet;
// over HTTP/1 it is 4 KiB.
const unread = 256 << 10 // bytes

// NewServer gives a handler the time limits that the gateway counts on: a header
// must arrive within 10 s and in 32 KiB, and an idle connection goes after two
// minutes. Bodies and answers have deadlines of their own, by their size, so that
// a large one may take its time on a slow line and a small one may not.
func NewServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		HTTP2: &http.HTTP2Config{ // streams have deadlines of their own, their connection has these
			MaxReceiveBufferPerConnection: unread,
			MaxReceiveBufferPerStream:     unread,

			SendPingTimeout:  pingEvery,
			PingTimeout:      silentFor - pingEvery,
			WriteByteTimeout: silentFor,
		},
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}
