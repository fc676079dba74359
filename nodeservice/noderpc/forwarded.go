package noderpc

import (
	"net/netip"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/schema"
)

// forwardedDoor is the door, in the audit, of clients that come through a gateway that
// stands apart.
const forwardedDoor = "gateway"

// readForwarded takes over what a trusted gateway tells of its client. Nobody
// else is believed: an address that a client may choose limits nothing, and a proof that
// was made for another's request proves nothing.
func readForwarded(origin *nodeservice.Origin, auth schema.Auth) error {
	address, err := auth.ClientAddress()
	if err != nil {
		return unreadable(err)
	}
	if address != "" {
		addr, err := netip.ParseAddr(address)
		if err != nil {
			return invalid("clientAddress is not an IP address")
		}
		origin.Address, origin.Door = addr.Unmap().WithZone(""), forwardedDoor
	}
	if !auth.HasMethod() { // an empty proof was still promised
		return nil
	}
	var proof nodeservice.Proof
	if proof.JWT, err = auth.Proof(); err != nil {
		return unreadable(err)
	}
	if proof.Method, err = auth.Method(); err != nil {
		return unreadable(err)
	}
	if proof.URL, err = auth.Url(); err != nil {
		return unreadable(err)
	}
	origin.Proof = &proof
	return nil
}

// placeOrigin is readForwarded from the other side.
func placeOrigin(auth schema.Auth, origin nodeservice.Origin) error {
	if origin.Address.IsValid() {
		if err := auth.SetClientAddress(origin.Address.String()); err != nil {
			return err
		}
	}
	if origin.Proof == nil {
		return nil
	}
	if err := auth.SetProof(origin.Proof.JWT); err != nil {
		return err
	}
	if err := auth.SetMethod(origin.Proof.Method); err != nil {
		return err
	}
	return auth.SetUrl(origin.Proof.URL)
}
