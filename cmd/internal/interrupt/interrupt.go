// Package interrupt is how our commands are asked to stop.
package interrupt

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// Context ends with the first SIGTERM or SIGINT. By then the next one has its usual
// effect again, which is to end the process: signal.NotifyContext, stopped when its
// context ends, swallows one that comes soon after. It is for main, to call once.
func Context() context.Context {
	ctx, end := context.WithCancel(context.Background())
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGTERM, syscall.SIGINT)
	go func() { // for as long as the process lives
		<-asked
		signal.Stop(asked)
		end()
	}()
	return ctx
}
