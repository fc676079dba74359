package node_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"regexp"
	"testing"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/noderpc"
	"github.com/quicproquo/node/nodeservice/nodetest"
)

// TestBehavioursOverQUIC tries on the native door's other transport what depends on
// one: waits, streams, drains, and ends of connections. What fills windows of 16 MiB
// is left out: with the race detector, packets cost too much for that.
func TestBehavioursOverQUIC(t *testing.T) {
	some := regexp.MustCompile("drain|wait|stream|restart|shutdown|revok")
	large := regexp.MustCompile("in bytes|stalls no other|several channels|whole window")
	nodetest.Run(t,
		[]nodetest.Door{{Name: "quic", Serve: overQUIC,
			Only: func(name string) bool { return some.MatchString(name) && !large.MatchString(name) },
			Has:  nodetest.Drain | nodetest.Legacy | nodetest.Recipient | nodetest.MaxBytes | nodetest.Window | nodetest.Held}},
		[]nodetest.Engine{{Name: "model", Open: openModel}})
}

func overQUIC(t *testing.T, core *nodeservice.Service, log *slog.Logger) nodetest.Served {
	server := noderpc.NewServer(noderpc.ServerConfig{Node: core, Log: log})
	certificate := nodetest.Certificate(t)
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	stop := nodetest.Serving(func() {
		_ = server.ServeQUIC(context.Background(), socket, &tls.Config{Certificates: []tls.Certificate{certificate}})
	}, func() { closing(t, server) })
	t.Cleanup(stop)
	trusted := x509.NewCertPool()
	parsed, err := x509.ParseCertificate(certificate.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	trusted.AddCert(parsed)
	return nodetest.Served{
		Addr: socket.LocalAddr().String(),
		Stop: stop,
		Dial: func(t *testing.T) nodeservice.Node {
			client, err := noderpc.Dial(t.Context(), "quic", socket.LocalAddr().String(), &tls.Config{RootCAs: trusted, ServerName: "localhost"})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { closing(t, client) })
			return client
		},
	}
}
