package gatewayclient

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/quicproquo/node/nodeservice"
)

// session is a bearer token and the streams that were opened with it.
type session struct {
	client *Client
	id     nodeservice.Identity // static after construction

	mu      sync.Mutex
	token   string                // guarded by mu; replaced by Renew
	expires nodeservice.UnixMilli // guarded by mu
	closed  bool                  // guarded by mu
	streams map[*stream]struct{}  // guarded by mu; the node bounds them
}

func newSession(c *Client, token string, says claims) *session {
	return &session{client: c, id: says.identity, token: token, expires: says.expires, streams: map[*stream]struct{}{}}
}

// Identity implements nodeservice.Session.
func (s *session) Identity() nodeservice.Identity { return s.id }

// ExpiresAt implements nodeservice.Session.
func (s *session) ExpiresAt() nodeservice.UnixMilli {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.expires
}

// bearer is the token to send now.
func (s *session) bearer() (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return "", nodeservice.Errorf(nodeservice.CodeUnauthenticated, "the session was closed; authenticate again")
	}
	return s.token, nil
}

// do makes a request as the session's identity.
func (s *session) do(ctx context.Context, r request, answer any) (err error) {
	if r.token, err = s.bearer(); err != nil {
		return err
	}
	return s.client.do(ctx, r, answer)
}

// Renew implements nodeservice.Session. It asks the node about the new token before it
// gives up the old one, which works.
func (s *session) Renew(ctx context.Context, token string) (nodeservice.UnixMilli, error) {
	says, err := readClaims(token)
	if err != nil {
		return 0, err
	}
	if says.identity != s.id {
		return 0, nodeservice.Errorf(nodeservice.CodePermissionDenied, "the new token belongs to another identity")
	}
	if _, err := s.bearer(); err != nil {
		return 0, err
	}
	check := get("/v1/keypackages", nil)
	check.token = token
	if err := s.client.do(ctx, check, nil); err != nil {
		return 0, err
	}
	s.mu.Lock()
	s.token, s.expires = token, says.expires
	open := slices.Collect(maps.Keys(s.streams))
	s.mu.Unlock()
	for _, st := range open {
		st.renew(token)
	}
	return says.expires, nil
}

// Revoke implements nodeservice.Session. When it is repeated, the token may be revoked
// already, by a try whose answer was lost: that is success.
func (s *session) Revoke(ctx context.Context) error {
	ended := repeat{safe: true, settled: nodeservice.CodeUnauthenticated}
	return s.do(ctx, request{method: http.MethodDelete, path: "/v1/auth/token", repeat: ended}, nil)
}

// Close implements nodeservice.Session.
func (s *session) Close() error {
	s.mu.Lock()
	s.closed = true
	open := slices.Collect(maps.Keys(s.streams))
	s.mu.Unlock()
	var closing sync.WaitGroup
	for _, st := range open {
		closing.Go(func() { _ = st.Close() }) // each waits for its gateway's close frame
	}
	closing.Wait()
	return nil
}

// CreateChannel implements nodeservice.Session. Repeated after a lost answer, it
// finds the channel there, and created is false.
func (s *session) CreateChannel(ctx context.Context, peer nodeservice.Identity) (nodeservice.ChannelView, bool, error) {
	var answer channel
	call := request{method: http.MethodPost, path: "/v1/channels", repeat: repeat{safe: true}}
	err := s.do(ctx, call.json(map[string]any{"peer": peer.String()}), &answer)
	return answer.view(), answer.Created, err
}

// Channels implements nodeservice.Session.
func (s *session) Channels(ctx context.Context, req nodeservice.ChannelsRequest) (page nodeservice.ChannelList, err error) {
	query := url.Values{}
	if !req.Peer.IsZero() {
		query.Set("peer", req.Peer.String())
	}
	if len(req.Cursor) > 0 {
		query.Set("cursor", rawURL.EncodeToString(req.Cursor))
	}
	if req.Limit != 0 {
		query.Set("limit", strconv.Itoa(req.Limit))
	}
	var answer struct {
		Channels   list[channel] `json:"channels"`
		NextCursor *octets       `json:"next_cursor"`
	}
	if err := s.do(ctx, get("/v1/channels", query), &answer); err != nil {
		return page, err
	}
	channels, err := answer.Channels.items()
	for _, c := range channels {
		page.Channels = append(page.Channels, c.view())
	}
	if answer.NextCursor != nil {
		page.Next = *answer.NextCursor
	}
	return page, err
}

// Channel implements nodeservice.Session.
func (s *session) Channel(ctx context.Context, id nodeservice.ChannelID) (nodeservice.ChannelView, error) {
	var answer channel
	err := s.do(ctx, get(channelPath(id, ""), nil), &answer)
	return answer.view(), err
}

// UploadKeyPackages implements nodeservice.Session.
func (s *session) UploadKeyPackages(ctx context.Context, req nodeservice.UploadRequest) ([]nodeservice.Fingerprint, error) {
	if req.AnyLength {
		return nil, invalidf("over HTTP no key package may be valid for more than 90 days")
	}
	packages := make([]octets, len(req.Packages))
	for i, p := range req.Packages {
		packages[i] = p
	}
	var answer struct {
		Fingerprints list[octets] `json:"fingerprints"`
	}
	call := request{method: http.MethodPost, path: "/v1/keypackages", repeat: repeat{safe: true}}
	if err := s.do(ctx, call.json(map[string]any{"key_packages": packages, "last_resort": req.LastResort}), &answer); err != nil {
		return nil, err
	}
	given, err := answer.Fingerprints.items()
	if err == nil && len(given) != len(packages) {
		err = nodeservice.Errorf(nodeservice.CodeInternal, "the gateway answered with %d fingerprints of %d key packages", len(given), len(packages))
	}
	prints := make([]nodeservice.Fingerprint, len(given))
	for i := range given {
		if err == nil {
			prints[i], err = fingerprint(given[i])
		}
	}
	if err != nil {
		return nil, err
	}
	return prints, nil
}

// ClaimKeyPackage implements nodeservice.Session. It is repeated only with a
// ClaimID: without one, every try takes a key package from its owner.
func (s *session) ClaimKeyPackage(ctx context.Context, req nodeservice.ClaimRequest) (nodeservice.KeyPackage, error) {
	wishes := map[string]any{}
	if req.ClaimID != nil {
		wishes["claim_id"] = octets(req.ClaimID)
	}
	if len(req.Suites) > 0 {
		wishes["suites"] = req.Suites
	}
	var answer struct {
		KeyPackage  octets                  `json:"key_package"`
		Fingerprint octets                  `json:"fingerprint"`
		Suite       nodeservice.CipherSuite `json:"suite"`
		LastResort  bool                    `json:"last_resort"`
	}
	call := request{
		method: http.MethodPost, path: "/v1/identities/" + req.Owner.String() + "/keypackages/claim",
		repeat: repeat{safe: req.ClaimID != nil},
	}
	if req.Owner.IsZero() {
		return nodeservice.KeyPackage{}, invalidf("owner is missing")
	}
	if err := s.do(ctx, call.json(wishes), &answer); err != nil {
		return nodeservice.KeyPackage{}, err
	}
	print, err := fingerprint(answer.Fingerprint)
	if err != nil {
		return nodeservice.KeyPackage{}, err
	}
	return nodeservice.KeyPackage{
		Data: answer.KeyPackage, Fingerprint: print, CipherSuite: answer.Suite, LastResort: answer.LastResort,
	}, nil
}

// KeyPackageStatus implements nodeservice.Session.
func (s *session) KeyPackageStatus(ctx context.Context) (stocks []nodeservice.KeyPackageStock, err error) {
	var answer struct {
		Suites list[struct {
			Suite          nodeservice.CipherSuite `json:"suite"`
			OneTime        uint32                  `json:"one_time"`
			SoonestExpiry  instant                 `json:"soonest_expiry"`
			LastResort     bool                    `json:"last_resort"`
			LastResortUses uint32                  `json:"last_resort_uses"`
		}] `json:"suites"`
	}
	if err := s.do(ctx, get("/v1/keypackages", nil), &answer); err != nil {
		return nil, err
	}
	suites, err := answer.Suites.items()
	for _, k := range suites {
		stocks = append(stocks, nodeservice.KeyPackageStock{
			CipherSuite: k.Suite, OneTime: k.OneTime, SoonestExpiry: k.SoonestExpiry.milli(),
			LastResort: k.LastResort, LastResortUses: k.LastResortUses,
		})
	}
	return stocks, err
}

func channelPath(id nodeservice.ChannelID, below string) string {
	return "/v1/channels/" + id.String() + below
}

// waitParam spells a time in whole milliseconds, rounded up.
func waitParam(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Millisecond-1)/time.Millisecond), 10) + "ms"
}
