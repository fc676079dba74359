package redistest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// shards is how many masters a cluster has: the fewest that can agree on a
// failure.
const shards = 3

// slots is how many hash slots a cluster has.
const slots = 16384

// Cluster is a Redis Cluster of three masters, and of as many replicas each as
// were asked for.
type Cluster struct {
	Masters  []*Server
	Replicas []*Server // the first shard's, then the next one's
}

// member is a server with its place in the cluster.
type member struct {
	*Server
	id     string
	bus    int // port
	master *member
	shard  int
}

// StartCluster starts a cluster with flags as Start takes them, and returns when
// all of it agrees that all slots are served. It takes over two seconds, which
// Redis waits before a master serves.
func StartCluster(t TB, replicas int, flags ...string) *Cluster {
	t.Helper()
	members := enrol(t, replicas, flags)
	c := &Cluster{}
	for _, m := range members {
		m.configure(t, members)
		if err := m.run(); err != nil {
			t.Fatalf("%v", err)
		}
		t.Cleanup(m.end)
		if m.master == nil {
			c.Masters = append(c.Masters, m.Server)
		} else {
			c.Replicas = append(c.Replicas, m.Server)
		}
	}
	c.await(t)
	for _, replica := range c.Replicas {
		replica.Await(t, "sync: Finished with success")
	}
	return c
}

// URL names all members, as clients are configured with it.
func (c *Cluster) URL() string {
	all := c.all()
	url := all[0].URL()
	for i, s := range all[1:] {
		url += "?&"[min(i, 1):][:1] + "addr=" + s.Addr()
	}
	return url
}

// Addrs are the members' hosts and ports.
func (c *Cluster) Addrs() (addrs []string) {
	for _, s := range c.all() {
		addrs = append(addrs, s.Addr())
	}
	return addrs
}

// Kill ends all processes as a power cut would.
func (c *Cluster) Kill(t TB) {
	t.Helper()
	for _, s := range c.all() {
		s.Kill(t)
	}
}

// Restart starts a killed cluster on the same ports and files, and returns when
// it serves all slots again.
func (c *Cluster) Restart(t TB) {
	t.Helper()
	for _, s := range c.all() {
		s.Restart(t)
	}
	c.await(t)
}

// ShardOf is the place among the masters of the one that serves a slot at the
// start.
func (c *Cluster) ShardOf(t TB, slot int64) int {
	t.Helper()
	for shard := range shards {
		if slot < int64(slots*(shard+1)/shards) {
			return shard
		}
	}
	t.Fatalf("there is no slot %d", slot)
	return 0
}

// AwaitFailover waits until the one replica of a shard is its master.
func (c *Cluster) AwaitFailover(t TB, shard int) {
	t.Helper()
	if len(c.Replicas) != shards {
		t.Fatalf("a shard has %d replicas in three", len(c.Replicas))
	}
	c.Replicas[shard].Await(t, "Failover election won")
}

func (c *Cluster) all() []*Server { return append(append([]*Server(nil), c.Masters...), c.Replicas...) }

func (c *Cluster) await(t TB) {
	t.Helper()
	for _, s := range c.all() {
		s.Await(t, "Cluster state changed: ok")
	}
}

// enrol gives every member its place, masters first.
func enrol(t TB, replicas int, flags []string) (members []*member) {
	t.Helper()
	for n := range shards * (1 + replicas) {
		m := &member{
			Server: &Server{port: freePort(t), dir: directory(t)},
			id:     fmt.Sprintf("%040x", n+1),
			bus:    freePort(t),
			shard:  n,
		}
		if n >= shards {
			m.shard = (n - shards) / replicas
			m.master = members[m.shard]
		}
		m.flags = append([]string{
			"--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf",
			"--cluster-port", fmt.Sprint(m.bus), "--cluster-node-timeout", timeout(replicas), "--repl-diskless-sync-delay", "0",
		}, flags...)
		members = append(members, m)
	}
	return members
}

// timeout is after how many milliseconds of silence a member counts as lost: soon where
// a replica is to take over, and late where none could: a machine may stand still.
func timeout(replicas int) string {
	if replicas > 0 {
		return "2000"
	}
	return "60000"
}

// configure writes what the member would know had the cluster been joined before.
func (m *member) configure(t TB, members []*member) {
	t.Helper()
	var b strings.Builder
	for _, other := range members {
		role, master, served := "master", "-", fmt.Sprintf(" %d-%d", slots*other.shard/shards, slots*(other.shard+1)/shards-1)
		if other.master != nil {
			role, master, served = "slave", other.master.id, ""
		}
		if other == m {
			role = "myself," + role
		}
		fmt.Fprintf(&b, "%s %s@%d %s %s 0 0 %d connected%s\n", other.id, other.Addr(), other.bus, role, master, other.shard+1, served)
	}
	fmt.Fprintf(&b, "vars currentEpoch %d lastVoteEpoch 0\n", shards)
	if err := os.WriteFile(filepath.Join(m.dir, "nodes.conf"), []byte(b.String()), 0o600); err != nil {
		t.Fatalf("%v", err)
	}
}
