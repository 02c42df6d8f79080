package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"time"
)

// smokeSteps are what a smoke run runs, each with its flags.
var smokeSteps = []struct {
	name string
	args []string
}{
	{"verify", nil}, {"write", nil}, {"read", nil}, {"list", nil}, {"growth", nil}, {"store", nil}, {"start", nil}, {"fanout", nil},
	{"slow", nil}, {"resume", nil}, {"mixed-get", nil}, {"sidecar", nil}, {"mixed", nil}, {"soak", nil}, {"generator", nil}, {"compare", nil},
	// Its scenarios have run; what is seen here is that the report can be written.
	{"report", []string{"--only", "Reads,The day of a busy sidecar"}},
}

// runSmoke is `bench smoke`.
func runSmoke(ctx context.Context, args []string, out, progress io.Writer) error {
	s := &scenario{ctx: ctx, progress: progress, flags: flag.NewFlagSet("bench smoke", flag.ContinueOnError)}
	s.flags.SetOutput(progress)
	s.flags.StringVar(&s.binary, "milepost", "", "use this `FILE` instead of building milepost")
	s.flags.StringVar(&s.dir, "dir", "", "put all data under this `DIR` (default a temporary one)")
	if err := parseFlags(s.flags, args); err != nil {
		return err
	}
	failed := 0
	err := s.inWorkingDir(func() error {
		binary, err := s.milepostBinary()
		if err != nil {
			return err
		}
		for _, step := range smokeSteps {
			ok, err := s.smokeStep(step.name, append(step.args, "--milepost", binary), out)
			if err != nil {
				return err
			}
			if !ok {
				failed++
			}
		}
		return nil
	})
	if err == nil && failed > 0 {
		err = errReported
	}
	return err
}

// smokeStep runs one scenario and prints a line, and all that the scenario has
// printed if it failed.
func (s *scenario) smokeStep(name string, args []string, out io.Writer) (ok bool, err error) {
	c, found := commandNamed(name)
	if !found {
		return false, fmt.Errorf("no scenario is called %q", name)
	}
	switch name {
	case "verify":
	case "compare":
		// With itself: what is seen is that both are measured.
		args = append(args, "--smoke", "--dir", s.dir, "--old", s.binary, "--new", s.binary)
	case "report":
		args = append(args, "--smoke", "--dir", s.dir, "--out", s.path("report"))
	default:
		args = append(args, "--smoke", "--dir", s.dir)
	}
	var printed, shown bytes.Buffer
	begin := time.Now()
	failure := c.run(s.ctx, args, &printed, &shown)
	if s.ctx.Err() != nil {
		return false, context.Cause(s.ctx)
	}
	took := time.Since(begin).Seconds()
	if failure == nil {
		fmt.Fprintf(out, "ok    %-9s %5.1f s\n", name, took)
		return true, nil
	}
	fmt.Fprintf(out, "FAIL  %-9s %5.1f s: %v\n%s%s\n", name, took, failure, shown.String(), printed.String())
	return false, nil
}
