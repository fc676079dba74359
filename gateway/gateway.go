package gateway

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"github.com/quicproquo/node/nodeservice"
)

// Config is what a Gateway is made of. Node is required; a zero value elsewhere
// is replaced as its comment says.
type Config struct {
	Node nodeservice.Node

	// PublicURL is where clients find the gateway: pages of its origin may use it,
	// and a DPoP proof that was sent to its host must name it. A path in it is cut
	// off by the proxy that it leads through, before requests get here.
	PublicURL string // "": only pages of the request's own host

	// AllowedOrigins are further origins whose pages may use the gateway, such as
	// "https://app.example.com".
	AllowedOrigins []string

	// TrustedProxies are the peers whose X-Forwarded-For and X-Forwarded-Proto are
	// believed.
	TrustedProxies []netip.Prefix

	// Ready says whether the node can serve; its error is logged, never shown.
	Ready func(ctx context.Context) error // nil: always

	MaxPayload int           // bytes of one message; 0: 5 MiB
	MaxHeld    int64         // bytes of all bodies, answers and frames that are under way together; 0: 512 MiB
	Patience   time.Duration // for a body to arrive, beside what its size takes on a slow line; 0: 10 s
	Log        *slog.Logger  // nil: discarded
}

// Gateway is the HTTP door. It is an http.Handler; Shutdown ends its streams.
type Gateway struct {
	node       nodeservice.Node
	origins    origins
	public     url.URL // of Config.PublicURL; zero: there is none
	below      string  // the path of public, without a slash at the end
	proxies    []netip.Prefix
	ready      func(ctx context.Context) error
	maxPayload int
	patience   time.Duration
	log        *slog.Logger
	router     *chi.Mux
	counters   *counters
	holdings   *holdings
	encoders   chan struct{} // one item for each stream that is encoding a large frame

	closing context.Context // ends when Shutdown begins, and with it fetches that wait
	drain   context.CancelFunc
	streams streamSet
	unready atomic.Bool // what the last probe said: changes are logged
}

// New makes a Gateway.
func New(c Config) (*Gateway, error) {
	if c.Node == nil {
		return nil, errors.New("gateway: Config lacks Node")
	}
	allowed, err := parseOrigins(c.PublicURL, c.AllowedOrigins)
	if err != nil {
		return nil, err
	}
	g := &Gateway{
		node: c.Node, origins: allowed, proxies: unmapped(c.TrustedProxies),
		ready: c.Ready, maxPayload: c.MaxPayload, patience: c.Patience, log: c.Log,
	}
	if own, err := url.Parse(c.PublicURL); err == nil {
		g.public, g.below = *own, strings.TrimRight(own.EscapedPath(), "/")
	}
	if g.ready == nil {
		g.ready = func(context.Context) error { return nil }
	}
	if g.maxPayload == 0 {
		g.maxPayload = 5 << 20
	}
	if g.patience == 0 {
		g.patience = patience
	}
	if g.log == nil {
		g.log = slog.New(slog.DiscardHandler)
	}
	g.holdings = newHoldings(cmp.Or(c.MaxHeld, heldTogether), g.log)
	g.encoders = make(chan struct{}, runtime.GOMAXPROCS(0))
	g.closing, g.drain = context.WithCancel(context.Background())
	g.router = g.routes()
	g.counters = newCounters(g.router)
	return g, nil
}

// ServeHTTP implements http.Handler.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) { g.router.ServeHTTP(w, r) }

// routes is the whole door on one screen: open routes need no token, the others
// are called with the session of the one that came.
func (g *Gateway) routes() *chi.Mux {
	r := chi.NewRouter()
	r.Use(g.record, g.recoverPanics, g.requestID, strictHeaders, g.limitBodies, g.crossOrigin, g.options, middleware.GetHead)
	r.NotFound(g.open(notFound))
	r.MethodNotAllowed(g.open(g.methodNotAllowed))

	r.Get("/livez", g.open(g.livez))
	r.Get("/readyz", g.open(g.readyz))
	r.Get("/.well-known/jwks.json", g.open(g.jwks))
	r.Get("/v1/info", g.open(g.info))
	for path, file := range contract() {
		r.Get(path, g.open(file.serve))
	}
	r.Get("/", g.open(page(demoPolicy)))
	r.Get("/demo/{file}", g.open(page(demoPolicy)))
	r.Get("/docs", g.open(docs))
	r.Get("/docs/", g.open(page(pagePolicy)))
	r.Get("/docs/{file}", g.open(page(pagePolicy)))

	r.Post("/v1/auth/challenge", g.open(g.challenge))
	r.Post("/v1/auth/token", g.open(g.login))
	r.Delete("/v1/auth/token", g.as(g.revoke))

	r.Post("/v1/channels", g.as(g.createChannel))
	r.Get("/v1/channels", g.as(g.listChannels))
	r.Get("/v1/channels/{channelId}", g.as(g.getChannel))
	r.Post("/v1/channels/{channelId}/messages", g.as(g.enqueue))
	r.Get("/v1/channels/{channelId}/messages", g.as(g.fetch))
	r.Delete("/v1/channels/{channelId}/messages", g.as(g.ack))
	r.Get("/v1/channels/{channelId}/stream", g.open(g.streamChannel))
	r.Get("/v1/stream", g.open(g.streamAll))

	r.Post("/v1/keypackages", g.as(g.uploadKeyPackages))
	r.Get("/v1/keypackages", g.as(g.keyPackageStatus))
	r.Post("/v1/identities/{identity}/keypackages/claim", g.as(g.claimKeyPackage))
	return r
}
