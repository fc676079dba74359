package noderpc

import (
	"crypto/hkdf"
	"crypto/sha256"

	"github.com/quic-go/quic-go"
)

// setKeys gives a transport what it would otherwise make anew at each start. With the
// one key a node tells clients of connections from before its restart that they are no
// more (RFC 9000, section 10.3), at their next call, who would wait for a timeout else;
// with the other it knows addresses that it has validated before. The secret must be this node's alone:
// another that shares it would end connections of which it merely does not know
// (section 21.11).
func setKeys(t *quic.Transport, secret []byte) error {
	if secret == nil {
		return nil
	}
	reset, err := hkdf.Key(sha256.New, secret, nil, "quicproquo QUIC stateless reset", len(quic.StatelessResetKey{}))
	if err != nil {
		return err
	}
	token, err := hkdf.Key(sha256.New, secret, nil, "quicproquo QUIC address token", len(quic.TokenGeneratorKey{}))
	if err != nil {
		return err
	}
	t.StatelessResetKey = (*quic.StatelessResetKey)(reset)
	t.TokenGeneratorKey = (*quic.TokenGeneratorKey)(token)
	return nil
}
