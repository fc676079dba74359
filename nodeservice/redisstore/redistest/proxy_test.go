package redistest

import (
	"context"
	"testing"

	"github.com/redis/go-redis/v9"
)

func TestProxyCutsAnswersAndNotQuestions(t *testing.T) {
	server := Start(t)
	proxy := StartProxy(t, server)
	through := redis.NewClient(&redis.Options{Addr: proxy.listener.Addr().String(), MaxRetries: -1})
	defer through.Close()
	straight := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer straight.Close()
	if err := through.Incr(t.Context(), "k").Err(); err != nil {
		t.Fatal(err)
	}
	proxy.CutAnswers(0)
	if err := through.Incr(t.Context(), "k").Err(); err == nil {
		t.Error("an answer came through")
	}
	if n, err := straight.Get(context.Background(), "k").Int(); err != nil || n != 2 {
		t.Errorf("the server counted %d, %v", n, err)
	}
	proxy.Mend()
	if n, err := through.Incr(t.Context(), "k").Result(); err != nil || n != 3 {
		t.Errorf("and then %d, %v", n, err)
	}
}
