package app

import (
	"log/slog"
	"os"
	"syscall"
	"testing"
)

// Also a server that is still starting, and looks at no signal yet, ends at the
// second one.
func TestSecondSignalEndsAtOnce(t *testing.T) {
	for _, second := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		ended := make(chan int, 1)
		s := watchSignals(slog.New(slog.DiscardHandler), func(code int) { ended <- code })
		send := func(sig syscall.Signal) {
			if err := syscall.Kill(os.Getpid(), sig); err != nil {
				t.Fatal(err)
			}
		}
		send(syscall.SIGTERM)
		if sig := <-s.drain; sig != syscall.SIGTERM {
			t.Errorf("drain on %v", sig)
		}
		select {
		case code := <-ended:
			t.Errorf("the first signal ended the process with %d", code)
		default:
		}
		send(second)
		if code := <-ended; code != 1 {
			t.Errorf("exit status %d, want 1", code)
		}
		s.stop()
	}
	watchSignals(slog.New(slog.DiscardHandler), os.Exit).stop() // without any signal
}
