package gateway

import (
	"context"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"

	"github.com/coder/websocket"
)

// tokenPrefix begins the subprotocol that carries a browser's token: browsers
// can set no header on an upgrade. It is never echoed, and never logged.
const tokenPrefix = "base64url.bearer.authorization.qpq."

// maxFrame bounds a frame of a client: a token (8 KiB) and what surrounds it.
const maxFrame = 16 << 10

// handshake is a request that really is a WebSocket upgrade to one of our codecs.
type handshake struct {
	codec codec
	token string
	// browser: the token came as a subprotocol. Whoever sends it so cannot read an
	// HTTP error, and is told by the close code of an upgraded connection.
	browser bool
}

// upgrade answers with a WebSocket, and hands the connection over to goroutines of the
// stream set: net/http's goroutine of this request ends, and frees what it holds.
func (g *Gateway) upgrade(w http.ResponseWriter, r *http.Request, request requestReader) error {
	h, err := readHandshake(w, r)
	if err != nil {
		return err
	}
	// Not the request's context: it ends with this handler, and the stream goes on.
	s := newSocket(g.newStream(context.Background(), w, r), h.codec)
	if err = g.checkOrigin(r); err == nil {
		err = g.openStream(s.stream, r, h.token, request)
	}
	if err != nil && !h.browser {
		s.release()
		return err
	}
	conn, failed := websocket.Accept(leanHijacker{w}, r, s.acceptOptions())
	if failed != nil {
		s.release()
		return nil // Accept has answered
	}
	s.attach(conn)
	g.streams.start(s, err)
	return nil
}

// readHandshake refuses what is not an upgrade, or is one to none of our subprotocols.
func readHandshake(w http.ResponseWriter, r *http.Request) (h handshake, err error) {
	if err := checkUpgrade(w, r); err != nil {
		return h, err
	}
	offered := headerTokens(r.Header, "Sec-WebSocket-Protocol")
	var known bool
	if h.codec, known = chooseCodec(offered); !known {
		return h, invalidf("offer the WebSocket subprotocol %s or %s", codecs[0].subprotocol, codecs[1].subprotocol)
	}
	if h.token, err = accessToken(r); err != nil {
		return h, err
	}
	for _, offer := range offered {
		text, carries := strings.CutPrefix(offer, tokenPrefix)
		if !carries {
			continue
		}
		if h.browser || r.Header.Get("Authorization") != "" {
			return h, invalidf("the access token comes twice: send it either in the Authorization header or as one subprotocol")
		}
		h.browser = true
		token, _ := base64.RawURLEncoding.DecodeString(text) // the core refuses what is not a token
		h.token = string(token)
	}
	return h, nil
}

// chooseCodec takes the first that the client offers: it names them in the order in
// which it likes them (RFC 6455 section 4.1).
func chooseCodec(offered []string) (chosen codec, known bool) {
	for _, offer := range offered {
		if i := slices.IndexFunc(codecs, func(c codec) bool { return c.subprotocol == offer }); i >= 0 {
			return codecs[i], true
		}
	}
	return codec{}, false
}

// checkUpgrade answers 426 to everything but a WebSocket handshake (RFC 6455
// section 4.2.1), so that the library below finds nothing to object to.
func checkUpgrade(w http.ResponseWriter, r *http.Request) error {
	h := w.Header()
	if r.ProtoMajor != 1 || r.ProtoMinor < 1 || r.Method != http.MethodGet ||
		!hasToken(r.Header, "Connection", "upgrade") || !hasToken(r.Header, "Upgrade", "websocket") {
		offerUpgrade(h)
		return unmatchedf(http.StatusUpgradeRequired, "this path is a WebSocket, over HTTP/1.1, or with Accept: text/event-stream a stream of events")
	}
	if r.Header.Get("Sec-WebSocket-Version") != "13" {
		offerUpgrade(h)
		h.Set("Sec-WebSocket-Version", "13")
		return unmatchedf(http.StatusUpgradeRequired, "the WebSocket version must be 13")
	}
	keys := r.Header.Values("Sec-WebSocket-Key")
	if len(keys) != 1 {
		return invalidf("the Sec-WebSocket-Key header must come once")
	}
	if raw, err := base64.StdEncoding.DecodeString(keys[0]); err != nil || len(raw) != 16 {
		return invalidf("the Sec-WebSocket-Key must be 16 bytes in base64")
	}
	return nil
}

// offerUpgrade is what a 426 must say (RFC 9110 section 15.5.22).
func offerUpgrade(h http.Header) {
	h.Set("Upgrade", "websocket")
	h.Set("Connection", "Upgrade")
}

func hasToken(h http.Header, name, token string) bool {
	return slices.ContainsFunc(headerTokens(h, name), func(t string) bool { return strings.EqualFold(t, token) })
}

// headerTokens splits a header that is a list of tokens.
func headerTokens(h http.Header, name string) []string {
	var tokens []string
	for part := range strings.SplitSeq(strings.Join(h.Values(name), ","), ",") {
		tokens = append(tokens, strings.TrimSpace(part))
	}
	return tokens
}
