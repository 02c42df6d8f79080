package app

import (
	"log/slog"
	"os"
	"os/signal"
	"syscall"
)

// signals hears SIGTERM and SIGINT as long as the program runs. The first asks
// for a drain; a second one, whenever it comes, ends the process at once.
type signals struct {
	drain chan os.Signal // takes the first

	heard chan os.Signal
	quit  chan struct{}
	done  chan struct{}
}

// watchSignals begins to listen. exit ends the process.
func watchSignals(log *slog.Logger, exit func(code int)) *signals {
	s := &signals{
		drain: make(chan os.Signal, 1), heard: make(chan os.Signal, 2),
		quit: make(chan struct{}), done: make(chan struct{}),
	}
	signal.Notify(s.heard, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		defer close(s.done)
		select {
		case sig := <-s.heard:
			s.drain <- sig
		case <-s.quit:
			return
		}
		select {
		case <-s.heard:
			log.Warn("second signal: ending at once")
			exit(1)
		case <-s.quit:
		}
	}()
	return s
}

func (s *signals) stop() {
	signal.Stop(s.heard)
	close(s.quit)
	<-s.done
}
