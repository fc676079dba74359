package noderpc

import (
	"crypto/hkdf"
	"crypto/sha256"

	"github.com/quic-go/quic-go"
)

// setKeys gives a transport two keys that it would otherwise make anew at each start.
// With the one, a node tells clients whose connections it lost by a restart that they are
// gone, at their next call (stateless reset, RFC 9000 section 10.3); without it they
// would wait for a timeout. With the other, it recognizes addresses that it has validated
// before. The secret must be this node's alone: another node with the same secret would
// end connections that it merely does not know (section 21.11).
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
