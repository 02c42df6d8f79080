package stream

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// compositeOf returns the id of positions.
func compositeOf(jobs []Position) string {
	s := &Subscriber{}
	for _, p := range jobs {
		s.legs = append(s.legs, leg{b: &broadcaster{key: jobKey{p.Organization, p.Job}}, next: p.After + 1, done: p.Completed})
	}
	return string(s.compositeID(nil))
}

func TestCompositeIDOfAHundredJobsFitsAHeader(t *testing.T) {
	var jobs, back []Position
	for i := range 100 {
		p := Position{Job: fmt.Sprintf("job%021d", i), After: uint64(i * 1000), Completed: i%3 == 1}
		jobs = append(jobs, p)
		back = append(back, Position{Job: p.Job})
	}
	id := compositeOf(jobs)
	if len(id) > 1500 {
		t.Errorf("the id has %d characters", len(id))
	}
	slices.Reverse(back) // the jobs may come back in another order
	if !ParseComposite(id, back) {
		t.Fatalf("%q is no id", id)
	}
	slices.Reverse(back)
	if !slices.Equal(jobs, back) {
		t.Errorf("%v came back as %v", jobs, back)
	}
}

func TestParseCompositeRefuses(t *testing.T) {
	ours := map[string]bool{"a checkpoint's id": true, "one of complete": true} // may look like one
	for name, id := range map[string]string{
		"one of complete":   "complete-c0000000000000000000000",
		"no base64":         "ä",
		"padding":           "AAAAAA==",
		"a tag alone":       "AAAA",
		"half a tag":        "AA",
		"an endless varint": "AAAA" + strings.Repeat("_", 40),
		"more than any":     strings.Repeat("AAAAAA", 10000),
		"a checkpoint's id": "c00000000000000000000001",
	} {
		jobs := []Position{{Job: "a", After: 7}}
		if ParseComposite(id, jobs) && !ours[name] {
			t.Errorf("%s: %q is taken for an id", name, id)
		}
		if jobs[0] != (Position{Job: "a", After: 7}) {
			t.Errorf("%s changed the position to %+v", name, jobs[0])
		}
	}
}

func FuzzParseComposite(f *testing.F) {
	f.Add(compositeOf([]Position{{Job: "a", After: 3}, {Job: "b", After: 1 << 40, Completed: true}}))
	f.Add("complete-c00000000000000000000001")
	f.Add("")
	f.Fuzz(func(t *testing.T, id string) {
		jobs := []Position{{Job: "a", After: 1}, {Job: "b", After: 2}, {Job: "c"}}
		before := slices.Clone(jobs)
		if !ParseComposite(id, jobs) {
			if !slices.Equal(jobs, before) {
				t.Fatalf("%q is none and changed the positions", id)
			}
			return
		}
		for _, p := range jobs {
			if p.After > 1<<63-1 {
				t.Fatalf("%q gives a position without a next: %+v", id, p)
			}
		}
		again := []Position{{Job: "a"}, {Job: "b"}, {Job: "c"}}
		if !ParseComposite(compositeOf(jobs), again) || !slices.Equal(jobs, again) {
			t.Fatalf("%q is %v and comes back as %v", id, jobs, again)
		}
	})
}

func FuzzCompletedAfter(f *testing.F) {
	f.Add("complete-c00000000000000000000001")
	f.Add("complete-")
	f.Fuzz(func(t *testing.T, id string) {
		if after, ok := CompletedAfter(id); ok != (after != "") || ok && completePrefix+after != id {
			t.Fatalf("%q: %q, %v", id, after, ok)
		}
	})
}
