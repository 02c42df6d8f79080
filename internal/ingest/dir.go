package ingest

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
)

// patience is how long a file may stay half-written, and a delegator unknown,
// before what comes after it in the job is posted without it.
const patience = 10 * time.Second

// pollEvery is how often the directory is looked through.
const pollEvery = 500 * time.Millisecond

// Dir posts the events that the runtime leaves in files: those of
// jobs/{jobId}/runs/{runId}/event-{timestamp}-{stepNumber}-{type}.json. It is
// for one goroutine.
type Dir struct {
	Poster *Poster
	// Progress is called after each event with how many have been dealt with and
	// how many are known of; it must not be nil.
	Progress func(done, known int)

	scan    scanner
	pending []*pendingFile // in order of time
	done    int
	now     func() time.Time
}

// pendingFile is an event that is not posted yet.
type pendingFile struct {
	eventFile
	// tried is when the file was found to be not ready for the first time, with
	// size bytes in it.
	tried time.Time
	size  int
}

// NewDir returns a Dir of the runtime's directory, which has jobs in it.
func NewDir(path string, p *Poster, progress func(done, known int)) (*Dir, error) {
	info, err := os.Stat(path)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is no directory", path)
	}
	if err != nil {
		return nil, err
	}
	return &Dir{Poster: p, Progress: progress, scan: newScanner(path), now: time.Now}, nil
}

// Once posts what is there. A half-written file is waited for.
func (d *Dir) Once(ctx context.Context) error { return d.run(ctx, false) }

// Follow posts what is there and what comes, until ctx ends; that is no error.
func (d *Dir) Follow(ctx context.Context) error {
	err := d.run(ctx, true)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (d *Dir) run(ctx context.Context, follow bool) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		if err := d.pass(ctx); err != nil {
			return err
		}
		if !follow && len(d.pending) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// pass looks the directory through and posts what is ready, in the order of
// time. Where a file is not ready, the rest of its job waits for the next pass.
func (d *Dir) pass(ctx context.Context) error {
	found, err := d.scan.find()
	if err != nil {
		return err
	}
	for _, f := range found {
		d.pending = append(d.pending, &pendingFile{eventFile: f})
	}
	slices.SortFunc(d.pending, func(a, b *pendingFile) int { return a.compare(b.eventFile) })
	waiting := make(map[string]bool) // jobs
	var left []*pendingFile
	for i, f := range d.pending {
		if waiting[f.job] {
			left = append(left, f)
			continue
		}
		ready, err := d.post(ctx, f)
		if err != nil {
			d.pending = append(left, d.pending[i:]...)
			return err
		}
		if !ready {
			waiting[f.job] = true
			left = append(left, f)
			continue
		}
		d.done++
		d.Progress(d.done, d.done+len(d.pending)-i-1+len(left))
	}
	d.pending = left
	return nil
}

// post deals with a file; ready is false if it is to be looked at again.
func (d *Dir) post(ctx context.Context, f *pendingFile) (ready bool, err error) {
	data, err := os.ReadFile(f.path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return true, nil // somebody has deleted the job
	case err != nil:
		return d.skip(f, err), nil
	case !json.Valid(data):
		if d.waitFor(f, len(data)) {
			return false, nil
		}
		return d.skip(f, errors.New("the file is half-written")), nil
	}
	e, err := Parse(bytes.TrimSpace(data))
	if err != nil {
		return d.skip(f, err), nil
	}
	if e == nil {
		return true, nil
	}
	delegator, err := d.Poster.Delegator(ctx, e)
	switch {
	case errors.Is(err, errNoDelegator):
		// A directory is not read at one moment: what delegated may only be seen
		// at the next pass.
		if d.waitFor(f, len(data)) {
			return false, nil
		}
		return true, d.Poster.postAnyway(ctx, e)
	case err != nil:
		return false, err
	}
	return true, d.Poster.Post(ctx, e, delegator)
}

// waitFor reports whether a file that is not ready may still become so: its
// size has changed lately.
func (d *Dir) waitFor(f *pendingFile, size int) bool {
	if f.tried.IsZero() || size != f.size {
		f.tried, f.size = d.now(), size
	}
	return d.now().Sub(f.tried) < patience
}

// skip gives a file up.
func (d *Dir) skip(f *pendingFile, err error) bool {
	d.Poster.Refused++
	d.Poster.Note(fmt.Sprintf("not stored: %s: %v", f.path, err))
	return true
}

// compare orders by time, then step; of one step its start comes first.
func (f eventFile) compare(g eventFile) int {
	rank := func(f eventFile) int {
		if f.kind == startRun {
			return 0
		}
		return 1
	}
	return cmp.Or(cmp.Compare(f.at, g.at), cmp.Compare(f.step, g.step), cmp.Compare(rank(f), rank(g)), cmp.Compare(f.path, g.path))
}
