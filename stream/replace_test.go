package stream

import "testing"

// replaced puts another checkpoint at a place of the log, and tells the hub.
func (f *fixture) replaced(sequence uint64, id string) {
	f.log.mu.Lock()
	key := jobKey{testOrganization, testJob}
	all := append([]Checkpoint(nil), f.log.jobs[key]...)
	c := &all[sequence-1]
	c.ID, c.JSON = id, []byte(`{"replaced":true}`)
	f.log.jobs[key] = all
	f.log.mu.Unlock()
	f.hub.Replace(testOrganization, testJob, *c)
}

// Who was sent a checkpoint is not sent the one that took its place; who comes
// later gets that alone, whether from the recent frames or from history.
func TestReplacedCheckpoint(t *testing.T) {
	onEngines(t, Options{}, func(t *testing.T, f *fixture) {
		ids := func(r *reader, want ...string) {
			t.Helper()
			for i, id := range want {
				for {
					e, err := r.next()
					if err != nil {
						t.Fatalf("event %d: %v", i, err)
					}
					if e.comment {
						continue
					}
					if e.id != id || (e.data == `{"replaced":true}`) != (id == "two" || id == "three") {
						t.Fatalf("event %d is %+v, want %s", i, e, id)
					}
					break
				}
			}
		}
		first := f.publish(testJob, 10, "").ID
		old := f.subscribe(from(0, false))
		second, third := f.publish(testJob, 10, "").ID, f.publish(testJob, 10, "").ID
		ids(old, first, second, third)
		history := f.subscribe(from(0, false)) // reads the first from history
		ids(history, first, second, third)
		f.replaced(2, "two")
		f.replaced(3, "three")
		ids(f.subscribe(from(0, false)), first, "two", "three")
		ids(f.subscribe(from(1, false)), "two", "three")
		fourth := f.publish(testJob, 10, "completed").ID
		ids(old, fourth)
		ids(history, fourth)
		e, err := old.next()
		if err != nil || e.event != "complete" || e.id != completePrefix+fourth {
			t.Errorf("the end: %+v, %v", e, err)
		}
		f.hub.Replace(testOrganization, "another", Checkpoint{ID: "x", Sequence: 1})
	})
}

// The id of a job's end is that of what stands at its tail now.
func TestReplacedTail(t *testing.T) {
	onEngines(t, Options{}, func(t *testing.T, f *fixture) {
		f.publish(testJob, 10, "")
		r := f.subscribe(from(1, false))
		f.publish(testJob, 10, "")
		if e, err := r.next(); err != nil || e.comment && e.id != "" {
			t.Fatal(err)
		}
		f.replaced(2, "two")
		f.hub.Complete(testOrganization, testJob, "completed")
		for {
			e, err := r.next()
			if err != nil {
				t.Fatal(err)
			}
			if e.event == "complete" {
				if e.id != completePrefix+"two" {
					t.Errorf("the end is %s", e.id)
				}
				return
			}
		}
	})
}
