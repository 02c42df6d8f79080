package app

import (
	"context"
	"runtime/debug"
	"time"
)

const (
	// giveBackAfter is how many streams must have come for their arrival to have
	// left memory worth giving back: a request takes about ten times what its
	// stream keeps.
	giveBackAfter = 1000
	// giveBackLook is how often it is looked whether the arrivals are over.
	giveBackLook = time.Second
)

// giveBack returns to the system what a burst of arriving streams has left,
// once, when the burst is over: otherwise it stays until the garbage collector's
// own time comes, which without other work is minutes away.
func giveBack(ctx context.Context, streams func() int, free func()) {
	tick := time.NewTicker(giveBackLook)
	defer tick.Stop()
	least, last := streams(), 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		n := streams()
		least = min(least, n)
		if n-least >= giveBackAfter && n <= last+last/100 {
			free()
			least = n
		}
		last = n
	}
}

func startGiveBack(streams func() int) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		giveBack(ctx, streams, debug.FreeOSMemory)
	}()
	return func() {
		cancel()
		<-done
	}
}
