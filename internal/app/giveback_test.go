package app

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestMemoryIsGivenBackOnceAfterABurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		counts := []int{0, 400, 900, 5000, 9000, 9950, 10000, 10000, 10000, 200, 200, 1100, 1300, 1300, 1300}
		look, freed := -1, []int(nil)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			giveBack(ctx, func() int {
				look = min(look+1, len(counts)-1)
				return counts[look]
			}, func() { freed = append(freed, look) })
		}()
		time.Sleep(30 * giveBackLook)
		cancel()
		<-done
		if len(freed) != 2 || freed[0] != 6 || freed[1] != 13 {
			t.Errorf("memory was given back after the looks %v, not once after each burst", freed)
		}
	})
}
