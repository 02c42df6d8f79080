package main

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

// fanoutCase is one load of a fan-out server.
type fanoutCase struct {
	// Jobs have Subscribers each.
	Jobs        int `json:"jobs"`
	Subscribers int `json:"subscribers"`
	// Size of a frame in bytes, 0 for those of a trace.
	Size int `json:"size"`
	// Trace names the recorded job whose checkpoints are the events, empty for
	// events of one size.
	Trace string `json:"trace,omitempty"`
	// Rate is how many times a second something is published, 0 for as soon as
	// all subscribers have what was published before.
	Rate float64 `json:"rate,omitempty"`
	// Backlog is how many events are published at a time.
	Backlog int `json:"backlog"`
	// Stalled of the subscribers never read, Dripping read a little at a time.
	Stalled  int `json:"stalled,omitempty"`
	Dripping int `json:"dripping,omitempty"`
}

// String names the case.
func (c fanoutCase) String() string {
	event := sizeText(c.Size)
	if c.Trace != "" {
		event = "trace " + strings.TrimSuffix(filepath.Base(c.Trace), ".jsonl")
	}
	s := fmt.Sprintf("%d × %s", c.Subscribers, event)
	if c.Jobs > 1 {
		s = fmt.Sprintf("%d jobs of %s", c.Jobs, s)
	}
	if c.Rate > 0 {
		s += fmt.Sprintf(", %g/s", c.Rate)
	}
	if c.Backlog > 1 {
		s += fmt.Sprintf(", %d at once", c.Backlog)
	}
	if c.Stalled > 0 {
		s += fmt.Sprintf(", %d stalled", c.Stalled)
	}
	if c.Dripping > 0 {
		s += fmt.Sprintf(", %d dripping", c.Dripping)
	}
	return s
}

// sizeText writes a size in bytes as parseSize reads it.
func sizeText(n int) string {
	if n%1024 == 0 {
		return fmt.Sprintf("%dKB", n/1024)
	}
	return fmt.Sprintf("%dB", n)
}

// parseSize reads a size such as 1KB (1024 bytes) or 700B.
func parseSize(s string) (int, error) {
	digits, unit := strings.TrimSuffix(s, "KB"), 1024
	if digits == s {
		digits, unit = strings.TrimSuffix(s, "B"), 1
	}
	n, err := strconv.Atoi(digits)
	if err != nil || n < 1 || n*unit > maxPadding {
		return 0, fmt.Errorf("a size reads like 1KB or 700B and is at most %s, not %q", sizeText(maxPadding), s)
	}
	return n * unit, nil
}

// parseSubscribers reads a number of subscribers.
func parseSubscribers(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > maxSubscribers {
		return 0, fmt.Errorf("subscribers are a number from 1 to %d, not %q", maxSubscribers, s)
	}
	return n, nil
}

// maxSubscribers stays below the source ports that one address has.
const maxSubscribers = 19_000

// parseList reads values with commas between.
func parseList[T any](s string, parse func(string) (T, error)) ([]T, error) {
	var all []T
	for item := range strings.SplitSeq(s, ",") {
		v, err := parse(strings.TrimSpace(item))
		if err != nil {
			return nil, usageError{err}
		}
		all = append(all, v)
	}
	return all, nil
}
