package redisstore

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/redisstore/redistest"
)

func TestChecksSayWhatARedisKeeps(t *testing.T) {
	for name, c := range map[string]struct {
		flags []string
		want  Persistence
		says  string
	}{
		"nothing":            {nil, KeepsNothing, "NOTHING"},
		"snapshots":          {[]string{"--save", "3600 1"}, KeepsSnapshots, "snapshots"},
		"as the kernel will": {[]string{"--appendonly", "yes", "--appendfsync", "no"}, KeepsSomeTime, "half a minute"},
		"each second":        {[]string{"--appendonly", "yes"}, KeepsSecond, "two seconds"},
		"each write":         {redistest.Durable(), KeepsAll, ""},
		"it does not tell":   {[]string{"--rename-command", "CONFIG", "FORBIDDEN"}, KeepsUnknown, "does not tell"},
	} {
		t.Run(name, func(t *testing.T) {
			client := connected(t, redistest.Start(t, append([]string{"--maxmemory", "100mb"}, c.flags...)...).URL())
			report, err := client.Check(t.Context())
			if err != nil || report.Persistence != c.want {
				t.Errorf("it %v, %v", report.Persistence, err)
			}
			if warned := strings.Join(report.Warnings, "\n"); (c.says == "") != (warned == "") || !strings.Contains(warned, c.says) {
				t.Errorf("warned of %q", warned)
			}
		})
	}
}

func TestChecksRefuseWhatWouldLoseMessages(t *testing.T) {
	master := redistest.Start(t)
	cluster := redistest.StartCluster(t, 0)
	_, port, _ := strings.Cut(master.Addr(), ":")
	for name, c := range map[string]struct{ url, why string }{
		"eviction":                  {redistest.Start(t, "--maxmemory-policy", "allkeys-lru").URL(), "noeviction"},
		"a replica":                 {redistest.Start(t, "--replicaof", "127.0.0.1 "+port).URL(), "replica"},
		"a member of a cluster":     {"redis://" + cluster.Addrs()[0], "redis+cluster://"},
		"no cluster, though called": {"redis+cluster://" + master.Addr(), "redis://"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := connected(t, c.url).Check(t.Context())
			var refused *RefusedError
			if !errors.As(err, &refused) || !strings.Contains(refused.Reason, c.why) {
				t.Errorf("checked: %v", err)
			}
		})
	}
	if report, err := connected(t, cluster.URL()).Check(t.Context()); err != nil || report.Persistence != KeepsNothing {
		t.Errorf("the cluster as such: %+v, %v", report, err)
	}
}

func TestVersions(t *testing.T) {
	for version, want := range map[string]bool{
		"7.0.0": true, "7.0": true, "7.2.4": true, "8.0.1": true, "10.1.0": true,
		"6.2.14": false, "7": true, "": false, "six": false, "7.x": false,
	} {
		if got := atLeast(version, 7, 0); got != want {
			t.Errorf("%q: %v", version, got)
		}
	}
}

func TestReadinessLooksAtBothClocks(t *testing.T) {
	server := redistest.Start(t)
	client := connected(t, server.URL())
	for off, ready := range map[time.Duration]bool{
		0: true, 4 * time.Second: true, -4 * time.Second: true, 7 * time.Second: false, -7 * time.Second: false,
	} {
		err := client.Ready(t.Context(), func() time.Time { return time.Now().Add(off) })
		if (err == nil) != ready || err != nil && nodeservice.CodeOf(err) != nodeservice.CodeUnavailable {
			t.Errorf("%v apart: %v", off, err)
		}
	}
	server.Kill(t)
	if err := client.Ready(t.Context(), time.Now); nodeservice.CodeOf(err) != nodeservice.CodeUnavailable {
		t.Errorf("without Redis: %v", err)
	}
}

func TestAwaitingARedisThatStartsLater(t *testing.T) {
	server := redistest.Start(t)
	client := connected(t, server.URL())
	server.Kill(t)
	impatient, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := client.Await(impatient); err == nil {
		t.Error("it answered though it was killed")
	}
	var waiting sync.WaitGroup
	waiting.Go(func() {
		if err := client.Await(t.Context()); err != nil {
			t.Errorf("it did not answer: %v", err)
		}
	})
	server.Restart(t)
	waiting.Wait()
}

func TestURLs(t *testing.T) {
	for url, usable := range map[string]bool{
		"redis://127.0.0.1:6379/0": true, "rediss://u:p@h:1": true, "unix:///run/redis.sock": true,
		"redis+cluster://h:1?addr=h:2": true, "redis://h:1?addr=h:2&addr=h:3": true, "rediss+cluster://h:1": true,
		"redis+sentinel://h:1?master_name=m": true, "redis://h:1?master_name=m&addr=h:2": true,
		"redis+sentinel://h:1": false, "http://h": false, "": false, "redis://u:se%cret@h:1": false, "redis://h:1?nonsense=1": false,
	} {
		client, err := Connect(url)
		if (err == nil) != usable || err != nil && strings.Contains(err.Error(), "se%cret") {
			t.Errorf("%s: %v", url, err)
		}
		if err == nil {
			_ = client.Close()
		}
	}
}

// Nodes that start at once agree on a secret, and one that rotates it after
// another has is told so.
func TestSecretsAreMadeOnce(t *testing.T) {
	client := connected(t, redistest.Start(t).URL())
	secrets := NewSecrets(client)
	if _, err := secrets.Read(t.Context(), "s"); !errors.Is(err, ErrNoSecret) {
		t.Errorf("before any: %v", err)
	}
	var nodes sync.WaitGroup
	var got [8][]byte
	for n := range got {
		nodes.Go(func() {
			got[n], _ = secrets.ReadOrCreate(t.Context(), "s", func() ([]byte, error) { return []byte{'s', byte(n)}, nil })
		})
	}
	nodes.Wait()
	for _, s := range got {
		if len(s) != 2 || !bytes.Equal(s, got[0]) {
			t.Errorf("a node has %q, another %q", s, got[0])
		}
	}
	for _, want := range []bool{true, false} {
		if done, err := secrets.Replace(t.Context(), "s", got[0], []byte("next")); err != nil || done != want {
			t.Errorf("replaced: %v, %v", done, err)
		}
	}
	if s, err := secrets.Read(t.Context(), "s"); err != nil || string(s) != "next" {
		t.Errorf("and then %q, %v", s, err)
	}
}
