package store

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
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
		document("huge part", message(101, 1<<20), m[0]),
		document("after the long ones", m...),
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
	// The line's memory is gone: it is read from the store again.
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

// What a line repeats is found again after a restart, and a new line is
// compared with the coordinator's.
func TestLinesAreComparedAfterARestart(t *testing.T) {
	var m []string
	for n := range 8 {
		m = append(m, message(n, 300))
	}
	delegated := func(a *Append) {
		a.Line = checkpoint.Line{CheckpointID: testID("c1"), ToolCallID: "call", ExpertKey: "expert"}
		a.Run = checkpoint.Run{ID: testID("run")}
	}
	fs := vfs.NewMem()
	s := openStore(t, fs)
	job := testID("job")
	parts := func() uint64 {
		record, err := s.Job(job)
		if err != nil {
			t.Fatal(err)
		}
		return record.Parts
	}
	mustAdd(t, s, job, testID("c1"), document("coordinator", m[:3]...), nil)
	mustAdd(t, s, job, testID("d1"), document("delegate", m[1], m[4], m[5]), delegated)
	if got := parts(); got != 5 {
		t.Errorf("%d parts after the delegate's first, want 5: one stands in the coordinator's", got)
	}
	mustAdd(t, s, job, testID("d2"), document("a delegate without parts"), delegated)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, fs)
	mustAdd(t, s, job, testID("d3"), document("delegate", m[4], m[5], m[1], m[6]), delegated)
	mustAdd(t, s, job, testID("c2"), document("coordinator", m[0], m[1], m[2], m[7]), nil)
	if got := parts(); got != 7 {
		t.Errorf("%d parts after the restart, want 7: two are new", got)
	}
}

// Damage to an old checkpoint does not keep the job from going on.
func TestAJobGoesOnAfterADamagedCheckpoint(t *testing.T) {
	fs := vfs.NewMem()
	s := openStore(t, fs)
	job := testID("job")
	mustAdd(t, s, job, testID("c1"), document("first", message(1, 300)), nil)
	if err := s.db.Set(numberKey(job, kindParts, 0), []byte{formatVersion, 9, 9}, pebble.Sync); err != nil {
		t.Fatal(err)
	}
	s.lines.drop(job)
	if _, err := s.Read(job, 1, nil); !errors.Is(err, ErrCorrupt) {
		t.Errorf("read of the damaged one: %v, want ErrCorrupt", err)
	}
	next := document("second", message(1, 300), message(2, 300))
	mustAdd(t, s, job, testID("c2"), next, nil)
	wantRead(t, s, job, 2, next.JSON)
}
