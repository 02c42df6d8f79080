package store

import (
	"fmt"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"milepost/internal/checkpoint"
)

// The memory of lines agrees with a plain list of them, most recently written
// first, cut where it gets too large.
func TestLinesAgreeWithAModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.SampledFrom([]int64{1000, -1}).Draw(t, "limit")
		l := newLines(limit)
		var model []lineEntry
		remove := func(of func(lineKey) bool) {
			model = slices.DeleteFunc(model, func(e lineEntry) bool { return of(e.key) })
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			key := lineKey{fmt.Sprint("job", rapid.IntRange(0, 2).Draw(t, "job")), checkpoint.Line{ToolCallID: fmt.Sprint(rapid.IntRange(0, 6).Draw(t, "line"))}}
			if rapid.IntRange(0, 9).Draw(t, "drop") == 0 {
				l.drop(key.job)
				remove(func(k lineKey) bool { return k.job == key.job })
			} else {
				v := &line{held: rapid.IntRange(0, 1100).Draw(t, "size")}
				l.put(key.job, key.line, v)
				remove(func(k lineKey) bool { return k == key })
				if v.cost() <= limit {
					model = slices.Insert(model, 0, lineEntry{key: key, line: v})
				}
				sum := int64(0)
				for i, e := range model {
					if sum += e.line.cost(); sum > limit {
						model = model[:i]
						break
					}
				}
			}
			sum, jobs := int64(0), map[string][]*line{}
			for _, e := range model {
				sum += e.line.cost()
				jobs[e.key.job] = append(jobs[e.key.job], e.line)
				if l.get(e.key.job, e.key.line) != e.line {
					t.Fatalf("%v is not what was put last", e.key)
				}
			}
			if l.size != sum || len(l.byKey) != len(model) || len(l.byJob) != len(jobs) || l.order.Len() != len(model) {
				t.Fatalf("%d bytes of %d lines of %d jobs, want %d of %d of %d", l.size, len(l.byKey), len(l.byJob), sum, len(model), len(jobs))
			}
			for job, want := range jobs {
				if got := l.recent(job, 3); !slices.Equal(got, want[:min(3, len(want))]) {
					t.Fatalf("%s: other lines than those written last", job)
				}
			}
		}
	})
}

// Messages gives what the last checkpoints of a job had, and only to the
// organization that the job belongs to.
func TestMessagesOfAJob(t *testing.T) {
	s := openStore(t, vfs.NewMem())
	job, first, second := testID("job"), document("a", message(1, 100)), document("b", message(1, 100), message(2, 100))
	owned := func(a *Append) { a.Record.Organization = "ours" }
	first.Messages, second.Messages = first.Parts, second.Parts
	mustAdd(t, s, job, testID("1"), first, owned)
	mustAdd(t, s, job, testID("2"), second, owned)
	mustAdd(t, s, job, testID("3"), first, func(a *Append) {
		owned(a)
		a.Line = checkpoint.Line{ToolCallID: "call"}
	})
	var got []string
	for _, m := range s.Messages("ours", job) {
		got = append(got, string(m.JSON[m.Elements[0].Start:m.Elements[len(m.Elements)-1].End]))
	}
	if want := []string{message(1, 100), message(1, 100) + "," + message(2, 100)}; !slices.Equal(got, want) {
		t.Errorf("messages %q, want %q", got, want)
	}
	if got := s.Messages("another", job); got != nil {
		t.Errorf("another organization gets %v", got)
	}
	if err := s.Delete(job); err != nil {
		t.Fatal(err)
	}
	if got := s.Messages("ours", job); got != nil {
		t.Errorf("messages of a deleted job: %v", got)
	}
}

// A line counts all memory that it keeps alive, and keeps none of what a
// checkpoint has beside it.
func TestLineCountsWhatItHolds(t *testing.T) {
	doc := document("", message(1, 100), message(2, 100))
	doc.Messages = doc.Parts[:1]
	for range 10_000 { // too small to be kept as parts
		doc.Parts = append(doc.Parts, checkpoint.Span{Start: 1, End: 2})
	}
	doc.Enveloped = make([]byte, len(doc.JSON), 1<<20)
	w := new(scratch)
	l := makePlan(w, doc, nil, 0).next
	if got := l.cost(); got < 1<<20 || got > 1<<20+1024 {
		t.Errorf("it costs %d bytes", got)
	}
	if len(l.parts) != 2 || cap(l.parts) > 8 || len(l.messages) != 1 || &l.messages[0] == &doc.Parts[0] {
		t.Errorf("%d parts in %d, %d messages", len(l.parts), cap(l.parts), len(l.messages))
	}
}
