// Command bench is Milepost's bundled load: a simulated agent runtime, and the
// scenarios that measure a server beside its peers on this machine.
//
//	go run ./bench                lists the subcommands
//	go run ./bench runtime        posts realistic jobs; the demo and the source of load
//	go run ./bench write --smoke  a few seconds of one scenario
//
// It promises that a figure it prints comes from answers it has checked: a run
// with a wrong, missing or refused answer says so beside the figure and ends
// with exit status 1.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// command is one subcommand of the program.
type command struct {
	name    string
	summary string
	run     func(ctx context.Context, args []string, out, progress io.Writer) error
}

// commands returns the subcommands that people use, in the order of the listing.
func commands() []command {
	return []command{
		{"runtime", "post realistic jobs, or replay a trace, and check every answer", runRuntime},
		{"report", "all scenarios in half an hour, as Markdown with charts (--short: a few minutes)", runReport},
		{"verify", "check that a server's answers are those of the API", runVerify},
		{"write", "durable POST of 8 KB and of recorded jobs against PostgreSQL and raw Pebble", runWrite},
		{"read", "GET of 4 KB and 64 KB, 304, and from the store, against bare fasthttp, nginx and Varnish", runRead},
		{"list", "the first page of a long job against the page at skip=100000", runList},
		{"growth", "bytes written and kept for a 200-step growing job", runGrowth},
		{"store", "CPU of a store write and time of a cold read against bodies stored whole with zstd", runStore},
		{"start", "time to ready with a million checkpoints; memory of an idle process", runStart},
		{"fanout", "one job's events to 1 to 10,000 subscribers against nchan, a net/http hub and centrifuge", runFanout},
		{"slow", "latency of the others when 300 of 10,000 subscribers stall, or read drop by drop", runSlow},
		{"resume", "10,000 subscribers that come back at once, each 50 checkpoints behind", runResume},
		{"mixed-get", "p99 of a hot GET while 10,000 subscribers get events", runMixedGet},
		{"sidecar", "in front of an upstream: cached and passed GETs against nginx, fan-out, added latency, and what reached it", runSidecar},
		{"mixed", "the day of a busy sidecar: writes, reads, lists and streams at once", runMixed},
		{"soak", "that day for an hour: memory, descriptors and latency over time", runSoak},
		{"generator", "this program's request rate against wrk's on a static file", runGenerator},
		{"compare", "two builds of milepost in turn (bench/compare.sh REF builds them)", runCompare},
		{"smoke", "every scenario for a moment, to see that it works", runSmoke},
	}
}

// peerCommands returns the subcommands that the scenarios start as child
// processes, so that a peer's CPU time and memory are its own.
func peerCommands() []command {
	return []command{
		{"peer-pebble", "raw Pebble batches, synced (started by write)", runPebblePeer},
		{"peer-fasthttp", "a bare fasthttp handler (started by read)", runFasthttpPeer},
	}
}

// errReported is the failure of a run that has already said what was wrong.
var errReported = errors.New("the run had errors")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := dispatch(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// dispatch runs the subcommand that args name and returns the exit status: 0
// for a run without errors, 1 for a failure, 2 for wrong usage.
func dispatch(ctx context.Context, args []string, out, progress io.Writer) int {
	if len(args) == 0 || args[0] == "-h" || args[0] == "--help" || args[0] == "help" {
		list(out)
		return 0
	}
	for _, c := range append(commands(), peerCommands()...) {
		if c.name != args[0] {
			continue
		}
		err := c.run(ctx, args[1:], out, progress)
		var usage usageError
		switch {
		case err == nil, errors.Is(err, flag.ErrHelp):
			return 0
		case errors.Is(err, errReported):
			return 1
		case errors.As(err, &usage):
			fmt.Fprintf(progress, "bench %s: %v\n", c.name, err)
			return 2
		}
		fmt.Fprintf(progress, "bench %s: %v\n", c.name, err)
		return 1
	}
	fmt.Fprintf(progress, "bench: no subcommand %q\n", args[0])
	list(progress)
	return 2
}

// list prints the subcommands, one a line.
func list(w io.Writer) {
	fmt.Fprintln(w, "usage: go run ./bench SUBCOMMAND [flags]   (--help lists the flags of one)")
	for _, c := range commands() {
		fmt.Fprintf(w, "  %-9s  %s\n", c.name, c.summary)
	}
}

// usageError is a fault in how the program was called.
type usageError struct{ error }

// parseFlags parses args; it refuses operands, since no subcommand takes any.
func parseFlags(flags *flag.FlagSet, args []string) error {
	flags.Usage = func() {
		name := strings.TrimPrefix(flags.Name(), "bench ")
		if c, ok := commandNamed(name); ok {
			fmt.Fprintf(flags.Output(), "%s: %s\n\nusage: go run ./bench %s [flags]\n", name, c.summary, name)
		}
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return usageError{err}
	}
	if flags.NArg() > 0 {
		return usageError{fmt.Errorf("unexpected argument %q", flags.Arg(0))}
	}
	return nil
}
