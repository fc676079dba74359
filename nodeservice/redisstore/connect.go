package redisstore

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Client is a connection pool to a Redis: one server, what Sentinel says is the
// master, or a cluster. All parts of this package may share one; its owner
// closes it after them.
type Client struct {
	redis.UniversalClient
	cluster *redis.ClusterClient // the same, if it is a cluster; else nil
}

// Connect reads a URL and makes a Client for it; it opens no connection yet. The
// forms are
//
//	redis://user:password@host:6379/0      one server; rediss:// with TLS, unix:///path
//	redis+sentinel://host:26379/0?master_name=qpq&addr=host2:26379
//	redis+cluster://host:6379?addr=host2:6379
//
// where user and password of the second are Sentinel's, and the master's are the
// parameters username and password. Without the word after the plus, a URL with a
// master_name is for Sentinel, and one with an addr for a cluster. Settings of the connection pool may follow as
// parameters, as go-redis spells them: pool_size=64, dial_timeout=2s.
func Connect(address string) (*Client, error) {
	silence()
	scheme, rest, _ := strings.Cut(address, "://")
	secure, kind, _ := strings.Cut(scheme, "+")
	switch {
	case kind != "":
	case strings.Contains(rest, "master_name="):
		kind = "sentinel"
	case strings.Contains(rest, "addr="):
		kind = "cluster"
	}
	switch kind {
	case "":
		options, err := redis.ParseURL(address)
		if err != nil {
			return nil, badURL(err)
		}
		manners{&options.MaxRetries, &options.DialerRetries, &options.PipelinePoolSize, &options.DialTimeout,
			&options.ContextTimeoutEnabled, &options.DisableIdentity}.set()
		options.MaintNotificationsConfig = quiet()
		return &Client{UniversalClient: redis.NewClient(options)}, nil
	case "sentinel":
		options, err := redis.ParseFailoverURL(secure + "://" + rest)
		if err != nil {
			return nil, badURL(err)
		}
		if options.MasterName == "" {
			return nil, errors.New("a Redis URL for Sentinel names the master, as master_name=NAME")
		}
		manners{&options.MaxRetries, &options.DialerRetries, &options.PipelinePoolSize, &options.DialTimeout,
			&options.ContextTimeoutEnabled, &options.DisableIdentity}.set()
		return &Client{UniversalClient: redis.NewFailoverClient(options)}, nil
	case "cluster":
		options, err := redis.ParseClusterURL(secure + "://" + rest)
		if err != nil {
			return nil, badURL(err)
		}
		manners{&options.MaxRetries, &options.DialerRetries, &options.PipelinePoolSize, &options.DialTimeout,
			&options.ContextTimeoutEnabled, &options.DisableIdentity}.set()
		options.MaintNotificationsConfig = quiet()
		client := redis.NewClusterClient(options)
		return &Client{UniversalClient: client, cluster: client}, nil
	}
	return nil, fmt.Errorf("a Redis URL begins with redis, rediss, redis+sentinel or redis+cluster, not with %q", scheme)
}

// silence keeps go-redis from writing to standard error, which is not its own:
// whatever it has to say comes as an error as well.
var silence = sync.OnceFunc(func() { redis.SetLogger(&logging.VoidLogger{}) })

// badURL does not repeat what it could not read: the URL may hold a password.
func badURL(err error) error {
	var unreadable *url.Error
	if errors.As(err, &unreadable) {
		return errors.New("not a usable Redis URL: a password with special characters must be percent-encoded")
	}
	return fmt.Errorf("not a usable Redis URL: %w", err)
}

// manners are the settings that the three kinds of client have in common.
type manners struct {
	retries, dialRetries, pipelines *int
	dial                            *time.Duration
	contexts, anonymous             *bool
}

// set fills in what the URL left open. No command is sent twice: a write that
// timed out may have been applied, and only its caller knows whether it may be
// repeated. (go-redis's cluster client repeats one all the same when the
// connection ends, unless the command's NoRetry says not to.) Nothing here sends
// pipelines that are worth connections of their own. A context's end ends a
// command, which go-redis does not do by itself.
func (m manners) set() {
	*m.retries, *m.contexts, *m.anonymous = -1, true, true
	for setting, value := range map[*int]int{m.dialRetries: 1, m.pipelines: -1} {
		if *setting == 0 {
			*setting = value
		}
	}
	if *m.dial == 0 {
		*m.dial = time.Second
	}
}

// quiet keeps a client from asking for notices that Redis 7.0 does not know.
func quiet() *maintnotifications.Config {
	return &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
}
