package gateway

import (
	"encoding/json"
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/quicproquo/node/nodeservice"
)

// uploadBody bounds an upload: as many key packages as are taken, in base64url.
var uploadBody = nodeservice.MaxUpload*(strictBase64.EncodedLen(nodeservice.MaxKeyPackage)+8) + 1<<10

func (g *Gateway) uploadKeyPackages(w http.ResponseWriter, r *http.Request, s nodeservice.Session) error {
	var req nodeservice.UploadRequest
	err := g.readJSON(w, r, uploadBody,
		must("key_packages", packagesField(&req.Packages)),
		must("last_resort", boolField(&req.LastResort)))
	if err != nil {
		return err
	}
	prints, err := s.UploadKeyPackages(r.Context(), req)
	if err != nil {
		return err
	}
	answer := struct {
		Fingerprints []octets `json:"fingerprints"`
	}{make([]octets, len(prints))}
	for i := range prints {
		answer.Fingerprints[i] = prints[i][:]
	}
	return writeJSON(w, http.StatusCreated, answer)
}

func packagesField(to *[][]byte) func(json.RawMessage) error {
	return func(value json.RawMessage) error {
		list, err := elements(value)
		if err != nil {
			return err
		}
		if len(list) > nodeservice.MaxUpload {
			return invalidf("at most %d key packages are taken at once", nodeservice.MaxUpload)
		}
		*to = make([][]byte, len(list))
		for i, item := range list {
			if err := bytesField(&(*to)[i])(item); err != nil {
				return invalidf("at index %d: %s", i, nodeservice.AsError(err).Detail)
			}
		}
		return nil
	}
}

func (g *Gateway) keyPackageStatus(w http.ResponseWriter, r *http.Request, s nodeservice.Session) error {
	if _, err := query(r); err != nil {
		return err
	}
	stocks, err := s.KeyPackageStatus(r.Context())
	if err != nil {
		return err
	}
	type suite struct {
		Suite          nodeservice.CipherSuite `json:"suite"`
		OneTime        uint32                  `json:"one_time"`
		SoonestExpiry  *timestamp              `json:"soonest_expiry"` // null: there is none
		LastResort     bool                    `json:"last_resort"`
		LastResortUses uint32                  `json:"last_resort_uses"`
	}
	answer := struct {
		Suites []suite `json:"suites"`
	}{make([]suite, len(stocks))}
	for i, k := range stocks {
		answer.Suites[i] = suite{k.CipherSuite, k.OneTime, timestampOrNull(k.SoonestExpiry), k.LastResort, k.LastResortUses}
	}
	return writeJSON(w, http.StatusOK, answer)
}

func (g *Gateway) claimKeyPackage(w http.ResponseWriter, r *http.Request, s nodeservice.Session) error {
	req, err := g.claimRequest(w, r)
	if err != nil {
		return err
	}
	k, err := s.ClaimKeyPackage(r.Context(), req)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, struct {
		KeyPackage  octets                  `json:"key_package"`
		Fingerprint octets                  `json:"fingerprint"`
		Suite       nodeservice.CipherSuite `json:"suite"`
		LastResort  bool                    `json:"last_resort"`
	}{k.Data, k.Fingerprint[:], k.CipherSuite, k.LastResort})
}

// claimRequest reads a claim; a body that is not there is one without wishes.
func (g *Gateway) claimRequest(w http.ResponseWriter, r *http.Request) (req nodeservice.ClaimRequest, err error) {
	if req.Owner, err = parseIdentity(chi.URLParam(r, "identity")); err != nil {
		return req, err
	}
	if r.ContentLength == 0 {
		_, err = query(r)
		return req, err
	}
	err = g.readJSON(w, r, smallBody,
		may("claim_id", claimIDField(&req.ClaimID)),
		may("suites", suitesField(&req.Suites)))
	return req, err
}

func claimIDField(to *[]byte) func(json.RawMessage) error {
	return func(value json.RawMessage) error {
		if err := bytesField(to)(value); err != nil {
			return err
		}
		if len(*to) < 1 || len(*to) > nodeservice.MaxMessageID {
			return invalidf("1 to %d bytes are expected", nodeservice.MaxMessageID)
		}
		return nil
	}
}

func suitesField(to *[]nodeservice.CipherSuite) func(json.RawMessage) error {
	return func(value json.RawMessage) error {
		list, err := elements(value)
		if err != nil {
			return err
		}
		for _, item := range list {
			n, err := parseUint(string(item), 1<<16-1)
			if err != nil {
				return err
			}
			*to = append(*to, nodeservice.CipherSuite(n))
		}
		return nil
	}
}
