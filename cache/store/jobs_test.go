package store

import (
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Jobs that nobody writes to stay in memory up to a bound; those that are held
// stay whatever their number.
func TestIdleJobsAreBounded(t *testing.T) {
	s := openStore(t, vfs.NewMem())
	var held []*Job
	for i := range maxIdleJobs + 100 {
		held = append(held, s.Hold(testID(fmt.Sprint(i))))
	}
	if n := len(s.registry.jobs); n != len(held) {
		t.Fatalf("%d jobs in the registry, %d are held", n, len(held))
	}
	for _, j := range held {
		j.Release()
	}
	if n, idle := len(s.registry.jobs), s.registry.idle; n != maxIdleJobs || idle != n {
		t.Errorf("%d jobs in the registry, %d of them idle, want %d", n, idle, maxIdleJobs)
	}
	for _, j := range held {
		if again := s.Hold(j.id); again.holders != 1 {
			t.Fatalf("job %s has %d holders", j.id, again.holders)
		} else {
			again.Release()
		}
	}
	if n, idle := len(s.registry.jobs), s.registry.idle; n != maxIdleJobs || idle != n {
		t.Errorf("%d jobs in the registry, %d of them idle, want %d", n, idle, maxIdleJobs)
	}
}

// The record of an idle job is the one of its last append, also after it was
// deleted and begun again.
func TestAnIdleJobKeepsItsRecord(t *testing.T) {
	s := openStore(t, vfs.NewMem())
	job := testID("job")
	for n := range 3 {
		mustAdd(t, s, job, testID(fmt.Sprint("c", n)), document("step", message(n, 300)), nil)
	}
	if err := s.Delete(job); err != nil {
		t.Fatal(err)
	}
	again := document("again", message(1, 300))
	sequence, err := add(s, job, testID("d1"), again, nil)
	if err != nil || sequence != 1 {
		t.Fatalf("sequence %d, %v", sequence, err)
	}
	wantRead(t, s, job, 1, again.JSON)
	if record, err := s.Job(job); err != nil || record.Count != 1 || record.Parts != 1 {
		t.Errorf("record %+v, %v", record, err)
	}
}
