package ingest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// settled is the age from which on the time of a directory's last change tells
// it from a later change; file systems keep it coarsely.
const settled = 2 * time.Second

// eventFile is a file with an event that carries a checkpoint.
type eventFile struct {
	path string
	job  string
	at   int64 // when the event was made, in milliseconds since 1970
	step int64
	kind string // the type of the event
}

// scanner finds event files that it has not found before.
type scanner struct {
	root string
	runs map[string]*runDir
}

// runDir is what is known of a run's directory.
type runDir struct {
	changed time.Time // the directory's time when it was listed last
	listed  time.Time
	seen    map[string]bool // names of event files
}

func newScanner(root string) scanner {
	return scanner{root: root, runs: make(map[string]*runDir)}
}

// find returns the files that have come since the last call, in no order.
func (s *scanner) find() ([]eventFile, error) {
	jobs, err := subdirectories(filepath.Join(s.root, "jobs"))
	if err != nil {
		return nil, fmt.Errorf("cannot look through %s: %w", s.root, err)
	}
	var found []eventFile
	for _, job := range jobs {
		runs := filepath.Join(s.root, "jobs", job, "runs")
		names, err := subdirectories(runs)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if found, err = s.findInRun(found, job, filepath.Join(runs, name)); err != nil {
				return nil, err
			}
		}
	}
	return found, nil
}

// subdirectories returns the names of the directories in a directory, none if
// it does not exist (yet, or any more).
func subdirectories(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, err
}

// findInRun lists a run's directory unless it surely has not changed.
func (s *scanner) findInRun(found []eventFile, job, dir string) ([]eventFile, error) {
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return found, nil
	}
	if err != nil {
		return found, err
	}
	r := s.runs[dir]
	if r == nil {
		r = &runDir{seen: make(map[string]bool)}
		s.runs[dir] = r
	} else if r.changed.Equal(info.ModTime()) && r.listed.Sub(r.changed) > settled {
		return found, nil
	}
	r.changed, r.listed = info.ModTime(), time.Now()
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return found, err
	}
	for _, e := range entries {
		f, ok := parseName(e.Name())
		if !ok || r.seen[e.Name()] {
			continue
		}
		r.seen[e.Name()] = true
		f.job, f.path = job, filepath.Join(dir, e.Name())
		found = append(found, f)
	}
	return found, nil
}

// parseName reads event-{timestamp}-{stepNumber}-{type}.json; ok is false if
// it is another name, or the event is of a type without a checkpoint.
func parseName(name string) (f eventFile, ok bool) {
	rest, isEvent := strings.CutPrefix(name, "event-")
	rest, isJSON := strings.CutSuffix(rest, ".json")
	at, rest, hasAt := strings.Cut(rest, "-")
	step, kind, hasStep := strings.Cut(rest, "-")
	_, carrying := carries[kind]
	if !isEvent || !isJSON || !hasAt || !hasStep || !carrying {
		return f, false
	}
	var errAt, errStep error
	f.at, errAt = strconv.ParseInt(at, 10, 64)
	f.step, errStep = strconv.ParseInt(step, 10, 64)
	f.kind = kind
	return f, errAt == nil && errStep == nil
}
