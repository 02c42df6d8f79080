package store

import (
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"milepost/internal/checkpoint"
)

// countedCopy is a copy that says what the job has used by then.
func countedCopy(t *testing.T, n int, expert string, status checkpoint.Status, total int) Copy {
	t.Helper()
	json := fmt.Sprintf(`{"id":"%s","sequence":%d,"status":"%s","expert":{"key":"%s"},"messages":[],`+
		`"usage":{"inputTokens":%d,"outputTokens":0,"reasoningTokens":0,"totalTokens":%d,"cachedInputTokens":0}}`,
		copyID(n), n, status, expert, total, total)
	l, err := checkpoint.Locate([]byte(json))
	if err != nil {
		t.Fatal(err)
	}
	return Copy{JSON: []byte(json), Located: l, At: copyTime}
}

// Whatever the order in which copies come, each is counted once and with what its
// own step took.
func TestCopiesAreCounted(t *testing.T) {
	copies := []Copy{
		countedCopy(t, 1, "lead", checkpoint.StatusInit, 0),
		countedCopy(t, 2, "lead", checkpoint.StatusProceeding, 10),
		countedCopy(t, 3, "writer", checkpoint.StatusInit, 10),
		countedCopy(t, 4, "writer", checkpoint.StatusProceeding, 15),
		countedCopy(t, 5, "lead", checkpoint.StatusProceeding, 22),
	}
	for _, order := range [][]int{{0, 1, 2, 3, 4}, {4, 3, 2, 1, 0}, {1, 2, 0, 4, 3}, {0, 1, 1, 4, 3, 2, 2}} {
		fs := vfs.NewMem()
		s := openStore(t, fs)
		job := testID("counted")
		for _, i := range order {
			mustPut(t, s, job, copies[i])
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = openStore(t, fs)
		r, err := s.Job(job)
		if err != nil {
			t.Fatal(err)
		}
		if !r.HasTotals() || r.Steps != 3 || r.Tokens.Total != 22 || r.Tokens.Input != 22 || len(r.Experts) != 2 {
			t.Fatalf("order %v: %d steps, %v, %d experts, all counted: %v", order, r.Steps, r.Tokens, len(r.Experts), r.HasTotals())
		}
		for i, want := range []ExpertTotals{
			{Key: "lead", Totals: Totals{Checkpoints: 3, Steps: 2, Tokens: checkpoint.Usage{Input: 17, Total: 17}}},
			{Key: "writer", Totals: Totals{Checkpoints: 2, Steps: 1, Tokens: checkpoint.Usage{Input: 5, Total: 5}}},
		} {
			if r.Experts[i] != want {
				t.Errorf("order %v: %+v, want %+v", order, r.Experts[i], want)
			}
		}
	}
}

// A copy with a hole counts up to it, and one that tells no usage ends the
// counting.
func TestCopiesThatAreNotCounted(t *testing.T) {
	s := openStore(t, vfs.NewMem())
	job := testID("holes")
	mustPut(t, s, job, countedCopy(t, 2, "lead", checkpoint.StatusProceeding, 9))
	if r, err := s.Job(job); err != nil || r.HasTotals() {
		t.Errorf("the middle of a job has totals (%v)", err)
	}
	mustPut(t, s, job, countedCopy(t, 1, "lead", checkpoint.StatusProceeding, 4))
	mustPut(t, s, job, countedCopy(t, 4, "lead", checkpoint.StatusProceeding, 20))
	if r, err := s.Job(job); err != nil || !r.HasTotals() || r.Tokens.Total != 9 {
		t.Errorf("up to the hole: %v, %v", r.Tokens, err)
	}
	mustPut(t, s, job, copyOf(t, copyID(3), 3, checkpoint.StatusProceeding))
	mustPut(t, s, job, countedCopy(t, 5, "lead", checkpoint.StatusProceeding, 30))
	if r, err := s.Job(job); err != nil || r.HasTotals() || r.Count != 5 {
		t.Errorf("%d checkpoints, one of which tells nothing, have totals %v (%v)", r.Count, r.HasTotals(), err)
	}
}
