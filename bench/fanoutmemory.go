package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// idleMemory is what one idle subscriber of a system takes in bytes, a value a run.
type idleMemory struct {
	System      string    `json:"system"`
	Subscribers int       `json:"subscribers"`
	Process     []float64 `json:"process_bytes"`
	Kernel      []float64 `json:"kernel_bytes"`
}

// measureIdleMemory starts each system afresh, opens subscribers that get
// nothing, and divides what the process tree has grown by.
func measureIdleMemory(s *fanoutScenario, subscribers int) error {
	starters, err := s.starters()
	if err != nil {
		return err
	}
	type found struct{ process, kernel []float64 }
	all := make([]found, len(starters))
	for round := range s.rounds {
		for i, st := range starters {
			process, kernel, err := s.idleMemory(st, subscribers)
			if errors.Is(err, errNoPeer) {
				if round == 0 {
					s.report.note("left out: %v", err)
				}
				continue
			}
			if err != nil {
				return fmt.Errorf("%s: %w", st.name, err)
			}
			s.say("memory, run %d of %d, %s: %.0f B a subscriber, and %.0f B in the kernel's sockets", round+1, s.rounds, st.name, process, kernel)
			all[i].process, all[i].kernel = append(all[i].process, process), append(all[i].kernel, kernel)
		}
	}
	for i, st := range starters {
		if len(all[i].process) == 0 {
			continue
		}
		atMost := 0.0
		if st.name == "milepost" && subscribers == mostSubscribers {
			atMost = 1024
		}
		low, high := bounds(all[i].process)
		s.report.Memory = append(s.report.Memory, idleMemory{st.name, subscribers, all[i].process, all[i].kernel})
		s.report.Figures = append(s.report.Figures,
			figure{Name: fmt.Sprintf("%s: memory of one of %d idle subscribers (PSS, median of %d, %.0f–%.0f)", st.name, subscribers, s.rounds, low, high),
				Value: median(all[i].process), Unit: "B", AtMost: atMost},
			figure{Name: st.name + ": socket buffers of one, both ends (/proc/net/sockstat)", Value: median(all[i].kernel), Unit: "B"})
	}
	return nil
}

// idleMemory returns what one idle subscriber takes in bytes: in the process,
// and in the kernel's socket buffers.
func (s *fanoutScenario) idleMemory(st starter, subscribers int) (process, kernel float64, err error) {
	x, err := st.start()
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, x.end()) }()
	// What the first use brings is not the subscribers'.
	warm := fanoutLoad{
		fanoutCase: fanoutCase{Jobs: 1, Subscribers: 10, Size: 2 << 10, Backlog: 1}, system: x,
		span: span{0, 200 * time.Millisecond},
	}
	r, err := warm.run(s.ctx)
	if err == nil && r.errors() > 0 {
		err = fmt.Errorf("%s %s", r.Faults, r.Error)
	}
	if err != nil {
		return 0, 0, err
	}
	idle := fanoutLoad{fanoutCase: fanoutCase{Jobs: 1, Subscribers: subscribers, Size: 2 << 10, Backlog: 1}, system: x}
	publishers, err := idle.open()
	for _, p := range publishers {
		defer p.conn.close()
	}
	if err != nil {
		return 0, 0, err
	}
	after, err := idle.prepare(s.ctx, publishers)
	if err != nil {
		return 0, 0, err
	}
	if err := pause(s.ctx, s.idlePause()); err != nil {
		return 0, 0, err
	}
	processBefore, kernelBefore := treePSS(x.pid), socketBytes()
	sw, err := newSwarm(swarmConfig{
		addr:        x.addr,
		request:     func(job int) []byte { return x.subscribe(idle.topics[job], after[job]) },
		subscribers: subscribers, jobs: 1, first: firstEvent, atOnce: usualAtOnce,
	})
	if err != nil {
		return 0, 0, err
	}
	sw.start()
	if err = sw.connected(s.ctx); err == nil {
		err = pause(s.ctx, s.idlePause())
	}
	n := float64(subscribers)
	process, kernel = float64(treePSS(x.pid)-processBefore)/n, float64(socketBytes()-kernelBefore)/n
	f, _, streamErr := sw.finish(func(int) uint32 { return firstEvent - 1 })
	if err == nil && f.sum() > 0 {
		err = fmt.Errorf("%s: %w", f, streamErr)
	}
	return process, kernel, err
}

// idlePause is how long a server may settle before its memory is read.
func (s *fanoutScenario) idlePause() time.Duration {
	if s.smoke {
		return 10 * time.Millisecond
	}
	return idlePause
}

// socketBytes returns the memory that TCP's socket buffers take in the whole
// system, in bytes.
func socketBytes() int64 {
	f, err := os.Open("/proc/net/sockstat")
	if err != nil {
		return 0
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var inuse, orphan, tw, alloc, mem int64
		if !strings.HasPrefix(lines.Text(), "TCP:") {
			continue
		}
		if n, _ := fmt.Sscanf(lines.Text(), "TCP: inuse %d orphan %d tw %d alloc %d mem %d", &inuse, &orphan, &tw, &alloc, &mem); n == 5 {
			return mem * int64(os.Getpagesize())
		}
	}
	return 0
}
