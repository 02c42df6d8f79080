package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// runtimeOptions are the flags of `bench runtime`.
type runtimeOptions struct {
	target, key, job, trace string
	jobs, steps             int
	pace                    time.Duration
	seed                    uint64
	quiet                   bool
}

// parseRuntimeOptions reads the flags.
func parseRuntimeOptions(args []string, help io.Writer) (runtimeOptions, error) {
	var o runtimeOptions
	flags := flag.NewFlagSet("bench runtime", flag.ContinueOnError)
	flags.SetOutput(help)
	flags.StringVar(&o.target, "target", "http://127.0.0.1:8080", "`URL` of the server")
	flags.StringVar(&o.key, "key", "", "API key (default $MILEPOST_API_KEY)")
	flags.StringVar(&o.job, "job", "", "`ID` of the job to post to (default a new one)")
	flags.IntVar(&o.jobs, "jobs", 1, "number of jobs, worked on at once; they take turns at the endings")
	flags.IntVar(&o.steps, "steps", 32, "checkpoints of each job")
	pace := flags.String("pace", "300ms", "`DURATION` from one checkpoint of a job to its next, or max")
	flags.Uint64Var(&o.seed, "seed", 0, "same seed, same bodies (default a random one)")
	flags.StringVar(&o.trace, "trace", "", "replay this `FILE` (.jsonl, with its .meta.json beside) instead")
	flags.BoolVar(&o.quiet, "quiet", false, "print faults and the summary only")
	if err := parseFlags(flags, args); err != nil {
		return o, err
	}
	if o.key == "" {
		// Not the flag's default: the help would print it.
		o.key = os.Getenv("MILEPOST_API_KEY")
	}
	if *pace != "max" {
		d, err := time.ParseDuration(*pace)
		if err != nil || d < 0 {
			return o, usageError{fmt.Errorf("--pace must be a duration or max, not %q", *pace)}
		}
		o.pace = d
	}
	switch {
	case o.key == "":
		return o, usageError{errors.New("no API key: set --key or MILEPOST_API_KEY")}
	case o.jobs < 1:
		return o, usageError{errors.New("--jobs must be at least 1")}
	case o.steps < minSteps:
		return o, usageError{fmt.Errorf("--steps must be at least %d", minSteps)}
	case o.job != "" && o.jobs > 1:
		return o, usageError{errors.New("--job names one job: leave out --jobs")}
	case o.job != "" && !isID(o.job):
		return o, usageError{fmt.Errorf("--job must be %d characters of a-z and 0-9", idLength)}
	}
	return o, nil
}

// sources returns what each job posts. Without a seed the bodies carry the
// time of day; with one, a fixed time, so that two runs post the same bytes.
func (o runtimeOptions) sources() ([]source, error) {
	seed, start := o.seed, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	if seed == 0 {
		seed, start = randomSeed(), time.Now()
	}
	sources := make([]source, o.jobs)
	for i := range sources {
		if o.trace == "" {
			sources[i] = newJob(jobOptions{
				seed: seed, stream: uint64(i), steps: o.steps, ending: ending(i) % endings, start: start,
			})
			continue
		}
		t, err := readTrace(o.trace)
		if err != nil {
			return nil, err
		}
		t.seed, t.stream = seed, uint64(i)
		sources[i] = t
	}
	return sources, nil
}

// runRuntime is `bench runtime`.
func runRuntime(ctx context.Context, args []string, out, progress io.Writer) error {
	o, err := parseRuntimeOptions(args, progress)
	if err != nil {
		return err
	}
	sources, err := o.sources()
	if err != nil {
		return err
	}
	c, err := newClient(o.target, o.key)
	if err != nil {
		return err
	}
	rng := newRand(randomSeed(), 0)
	jobs := make([]string, len(sources))
	for i := range jobs {
		jobs[i] = newID(rng)
	}
	if o.job != "" {
		jobs[0] = o.job
	}
	w := &worker{client: c, pace: o.pace, quiet: o.quiet, out: &syncWriter{w: out}}
	c.retried = func(reason string) {
		w.retries.Add(1)
		fmt.Fprintf(w.out, "  retry: %s\n", reason)
	}
	begin := time.Now()
	var wg sync.WaitGroup
	for i, s := range sources {
		wg.Go(func() { w.work(ctx, jobs[i], o.job == "", s) })
	}
	wg.Wait()
	w.summary(jobs, time.Since(begin))
	if w.faults.Load() > 0 {
		return errReported
	}
	return nil
}

// worker posts jobs and counts what became of their checkpoints.
type worker struct {
	client *client
	pace   time.Duration
	quiet  bool
	out    io.Writer

	posted, bytes, faults, retries atomic.Int64
}

// work posts one job and prints a line a checkpoint.
func (w *worker) work(ctx context.Context, job string, isNew bool, s source) {
	check := newChecker(job, isNew)
	var next time.Time
	err := s.play(func(r request) (answer, error) {
		if w.pace > 0 {
			if err := pause(ctx, time.Until(next)); err != nil {
				return answer{}, err
			}
			next = time.Now().Add(w.pace)
		}
		begin := time.Now()
		status, body, err := w.client.post(ctx, job, r)
		if err != nil {
			return answer{}, err
		}
		took := time.Since(begin)
		a, fault := check.check(r, status, body)
		w.posted.Add(1)
		w.bytes.Add(int64(len(r.body)))
		if !w.quiet {
			fmt.Fprintf(w.out, "%s  %5d  %-25s  %-17s  %9d B  %8.2f ms\n", job, a.sequence, r.status, r.action,
				len(r.body), float64(took.Microseconds())/1000)
		}
		if fault != nil {
			w.faults.Add(1)
			fmt.Fprintf(w.out, "%s  FAULT at step %d (%s): %v\n", job, r.stepNumber, r.status, fault)
			if a.id == "" {
				return a, errReported
			}
		}
		return a, nil
	})
	if err != nil && !errors.Is(err, errReported) {
		w.faults.Add(1)
		fmt.Fprintf(w.out, "%s  stopped: %v\n", job, err)
	}
}

// summary prints the totals and what to try next.
func (w *worker) summary(jobs []string, took time.Duration) {
	fmt.Fprintf(w.out, "\n%d checkpoints, %.1f MB, %d jobs in %.1f s; %d retries, %d faults\n", w.posted.Load(),
		float64(w.bytes.Load())/1e6, len(jobs), took.Seconds(), w.retries.Load(), w.faults.Load())
	for _, job := range jobs {
		fmt.Fprintf(w.out, "job %s\n", job)
	}
	fmt.Fprintf(w.out, "try: curl -H \"Authorization: Bearer $MILEPOST_API_KEY\" '%s?take=2&order=desc'\n",
		w.client.collectionURL(jobs[0]))
}

// syncWriter lets several jobs print whole lines.
type syncWriter struct {
	mu sync.Mutex
	w  io.Writer
}

// Write implements io.Writer.
func (s *syncWriter) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.w.Write(p)
}
