package redisstore

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// Persistence is what a Redis keeps through a crash of its machine.
type Persistence uint8

// From the least to the most.
const (
	KeepsUnknown   Persistence = iota // it does not tell: a managed one
	KeepsNothing                      // all is lost
	KeepsSnapshots                    // what is younger than the last snapshot is lost
	KeepsSomeTime                     // as much as the kernel had not yet written is lost
	KeepsSecond                       // up to a second, or two, is lost
	KeepsAll                          // what was answered is there
)

// String says it for operators.
func (p Persistence) String() string {
	return [...]string{
		"keeps what its operator says, and does not tell",
		"keeps NOTHING through a crash or a restart",
		"keeps snapshots: a crash loses whatever came after the last",
		"appends to a file and leaves it to the kernel when: a power cut loses half a minute or so",
		"appends to a file that is synced each second: a power cut loses up to two seconds",
		"has each write on disk before it answers",
	}[p]
}

// Report is what a look at a Redis found.
type Report struct {
	Version     string
	Persistence Persistence // of the master that keeps the least
	Replicas    int         // of the master that has the fewest
	Warnings    []string    // for operators, a sentence each
}

// Check looks whether a Redis is fit to keep messages. An error that is a
// *RefusedError says that it is not, and will not be until its configuration
// changes; any other, that it could not be asked.
func (c *Client) Check(ctx context.Context) (Report, error) {
	report := Report{Persistence: KeepsAll, Replicas: 1 << 10}
	if c.cluster != nil {
		if err := c.checkCluster(ctx); err != nil {
			return report, err
		}
	}
	err := c.masters(ctx, func(ctx context.Context, master redis.Cmdable) error {
		facts, err := factsOf(ctx, master)
		if err == nil {
			err = report.add(facts, c.cluster != nil)
		}
		return err
	})
	if err == nil {
		report.warn()
	}
	return report, err
}

// RefusedError is a Redis that must not be used as it is.
type RefusedError struct{ Reason string }

// Error is the reason, with what to mend.
func (e *RefusedError) Error() string { return "this Redis cannot be used: " + e.Reason }

func refused(format string, args ...any) error { return &RefusedError{fmt.Sprintf(format, args...)} }

// masters calls do for each server that writes go to, one after the other.
func (c *Client) masters(ctx context.Context, do func(context.Context, redis.Cmdable) error) error {
	if c.cluster == nil {
		return do(ctx, c.UniversalClient)
	}
	var one sync.Mutex
	return c.cluster.ForEachMaster(ctx, func(ctx context.Context, master *redis.Client) error {
		one.Lock()
		defer one.Unlock()
		return do(ctx, master)
	})
}

func (c *Client) checkCluster(ctx context.Context) error {
	text, err := c.ClusterInfo(ctx).Result()
	if err != nil {
		if strings.Contains(err.Error(), "cluster support disabled") {
			return refused("it is no cluster; its URL must be redis://, without addr")
		}
		return err
	}
	if state := parseInfo(text)["cluster_state"]; state != "ok" {
		return fmt.Errorf("the cluster's state is %q: not all slots are served", state)
	}
	return nil
}

// facts are what a server says of itself, by the names of INFO and CONFIG.
type facts map[string]string

func factsOf(ctx context.Context, server redis.Cmdable) (facts, error) {
	text, err := server.Info(ctx, "server", "memory", "persistence", "replication", "cluster").Result()
	if err != nil {
		return nil, err
	}
	f := parseInfo(text)
	for _, name := range []string{"appendfsync", "save"} {
		settings, err := server.ConfigGet(ctx, name).Result()
		if err != nil {
			f["config"] = "refused" // managed: it is theirs to decide
			break
		}
		f[name] = settings[name]
	}
	return f, nil
}

func parseInfo(text string) facts {
	f := facts{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			f[name] = value
		}
	}
	return f
}

// add takes a server's facts into the report, or refuses the server.
func (r *Report) add(f facts, cluster bool) error {
	if r.Version = f["redis_version"]; !atLeast(r.Version, 7, 0) {
		return refused("it is version %q, and 7.0 is needed", r.Version)
	}
	switch policy := f["maxmemory_policy"]; {
	case policy == "":
		r.Warnings = append(r.Warnings, "it does not tell its maxmemory-policy: see to it that it is noeviction, or messages vanish")
	case policy != "noeviction":
		return refused("its maxmemory-policy is %s, which drops messages when memory runs short: set it to noeviction", policy)
	}
	if f["maxmemory"] == "0" {
		r.Warnings = append(r.Warnings, "its maxmemory is not set: it will be ended by the system when memory runs out, and --min-free has nothing to go by")
	}
	switch {
	case f["cluster_enabled"] == "1" && !cluster:
		return refused("it belongs to a cluster; its URL must be redis+cluster://")
	case f["role"] == "slave":
		return refused("it is a replica: name the master, or let Sentinel (redis+sentinel://) find it")
	}
	replicas, _ := strconv.Atoi(f["connected_slaves"])
	r.Replicas = min(r.Replicas, replicas)
	r.Persistence = min(r.Persistence, f.persistence())
	return nil
}

// persistence is read from INFO where CONFIG is refused, as far as it says.
func (f facts) persistence() Persistence {
	switch {
	case f["aof_enabled"] == "1" && f["appendfsync"] == "always":
		return KeepsAll
	case f["aof_enabled"] == "1" && f["appendfsync"] == "no":
		return KeepsSomeTime
	case f["aof_enabled"] == "1": // each second, unless it does not tell
		return KeepsSecond
	case f["config"] != "":
		return KeepsUnknown
	case f["save"] != "":
		return KeepsSnapshots
	}
	return KeepsNothing
}

// warn says what an operator must know once.
func (r *Report) warn() {
	if r.Persistence < KeepsAll {
		r.Warnings = append(r.Warnings, "it "+r.Persistence.String())
	}
}

// atLeast compares versions such as 7.0.15; one that cannot be read is too old.
func atLeast(version string, major, minor int) bool {
	var got [2]int
	for i, part := range strings.SplitN(version, ".", 3)[:min(2, 1+strings.Count(version, "."))] {
		n, err := strconv.Atoi(part)
		if err != nil {
			return false
		}
		got[i] = n
	}
	return got[0] > major || got[0] == major && got[1] >= minor
}
