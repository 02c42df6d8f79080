package store

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"milepost/internal/checkpoint"
)

// A checkpoint reads back as the same bytes, whatever became of the parts of
// the one before it.
func TestCheckpointsReadBackAsWritten(t *testing.T) {
	var m []string
	for n := range 12 {
		m = append(m, message(n, 64+n*37))
	}
	reversed := slices.Clone(m)
	slices.Reverse(reversed)
	docs := []checkpoint.Document{
		document("no parts"),
		document("first", m[0]),
		document("grows", m[:4]...),
		document("grows on", m[:8]...),
		document("repeats within itself", m[0], m[0], m[1], m[0], m[8], m[8]),
		document("drops some", m[0], m[3], m[7]),
		document("moves some", m[7], m[0], m[1], m[2], m[3]),
		document("reversed", reversed...),
		document("tiny", "1", `"x"`, "{}", m[9], "2", m[10], message(99, minPart-1)),
		document(strings.Repeat("long literal ", maxLiteralInParts/4), m[11], message(100, 500)),
		document(strings.Repeat("long literal ", maxLiteralInParts/4)),
		document("after the long ones", m...),
		document("huge part", message(101, 1<<20), m[0]),
		document("no parts again"),
	}
	fs := vfs.NewMem()
	s := openStore(t, fs)
	job := testID("job")
	check := func(s *Store) {
		t.Helper()
		for i, d := range docs {
			wantRead(t, s, job, uint64(i+1), d.JSON)
		}
	}
	for i, d := range docs {
		mustAdd(t, s, job, testID(fmt.Sprint("c", i)), d, nil)
		wantRead(t, s, job, uint64(i+1), d.JSON)
	}
	check(s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, fs)
	check(s)
	// The line's memory is gone: the parts are found by their hashes.
	last := document("after the restart", m...)
	before, err := s.Job(job)
	if err != nil {
		t.Fatal(err)
	}
	mustAdd(t, s, job, testID("last"), last, nil)
	wantRead(t, s, job, uint64(len(docs)+1), last.JSON)
	if after, _ := s.Job(job); after.Parts != before.Parts {
		t.Errorf("a repeated message was stored again: %d parts before, %d after", before.Parts, after.Parts)
	}
}

// A job of n steps, each repeating all messages before it, takes space for n
// messages and not for n².
func TestSpaceGrowsLinearly(t *testing.T) {
	s := openStore(t, vfs.NewMem())
	job := testID("job")
	var parts []string
	posted := 0
	for n := range 100 {
		parts = append(parts, message(n, 2000))
		d := document("step", parts...)
		posted += len(d.JSON)
		mustAdd(t, s, job, testID(fmt.Sprint("c", n)), d, nil)
	}
	record, err := s.Job(job)
	if err != nil {
		t.Fatal(err)
	}
	if record.Bytes*20 >= uint64(posted) {
		t.Errorf("%d bytes stored for %d posted, want less than a twentieth", record.Bytes, posted)
	}
}
