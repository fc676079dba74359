package main

import (
	"crypto/tls"
	"fmt"
	"net"
)

// udpDoor is where native clients come over QUIC. There is no QUIC without TLS.
type udpDoor struct {
	socket net.PacketConn
	tls    *tls.Config
}

// listenUDP opens the UDP socket with the port number that the native door has on TCP. It
// returns nil if the operator has switched QUIC off.
func listenUDP(c *config, rpc net.Addr, certificate *certificate) (*udpDoor, error) {
	if !c.QUIC {
		return nil, nil
	}
	socket, err := net.ListenPacket("udp", rpc.String())
	if err != nil {
		return nil, fmt.Errorf("--rpc-listen, over UDP for QUIC (--quic off does without): %w", err)
	}
	return &udpDoor{socket, certificate.config()}, nil
}
