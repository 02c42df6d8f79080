package store

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"milepost/internal/checkpoint"
)

func runsOf(t rapid.TB, s *Store, job string) []RunRecord {
	t.Helper()
	var runs []RunRecord
	if err := s.Runs(job, func(r RunRecord) bool { runs = append(runs, r); return true }); err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(runs, func(a, b RunRecord) int { return int(a.First) - int(b.First) })
	return runs
}

// TestRunsAgreeWithAModel appends checkpoints of random lines, whose runs begin
// anew at random, and holds runs, experts and totals against lists in memory.
func TestRunsAgreeWithAModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fs := vfs.NewMem()
		s, err := Open(testOptions(fs))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		job := testID("job")
		var (
			want    []RunRecord
			current = map[checkpoint.Line]int{} // in want
			runAt   []int                       // of each checkpoint, in want
			experts []ExpertTotals
			total   Totals
		)
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				sequence := uint64(len(runAt) + 1)
				usage := checkpoint.Usage{Input: float64(rapid.IntRange(0, 9).Draw(t, "input")), CachedInput: 0.5}
				status := rapid.SampledFrom([]checkpoint.Status{checkpoint.StatusInit, checkpoint.StatusProceeding}).Draw(t, "status")
				expert := fmt.Sprint("expert", rapid.IntRange(0, 20).Draw(t, "expert"))
				var line checkpoint.Line
				var parent uint64
				if n := rapid.IntRange(0, len(runAt)).Draw(t, "parent"); n > 0 {
					line = checkpoint.Line{CheckpointID: testID(fmt.Sprint("c", n)), ExpertKey: expert}
					parent = want[runAt[n-1]].First
				}
				at, known := current[line]
				if !known || rapid.Bool().Draw(t, "anew") {
					at = len(want)
					want = append(want, RunRecord{
						Run: checkpoint.Run{ID: testID(fmt.Sprint("r", sequence))}, Expert: expert, First: sequence,
						FirstAt: int64(sequence) * 10, ParentCheckpoint: line.CheckpointID, Parent: parent,
					})
					current[line] = at
				}
				run := &want[at]
				run.Last, run.LastAt, run.Status = sequence, int64(sequence)*10, status
				run.add(status, usage)
				total.add(status, usage)
				runAt = append(runAt, at)
				i := slices.IndexFunc(experts, func(e ExpertTotals) bool { return e.Key == expert })
				if i < 0 && len(experts) < maxExperts {
					i = len(experts)
					experts = append(experts, ExpertTotals{Key: expert})
				}
				if i >= 0 {
					experts[i].add(status, usage)
				}

				j := s.Hold(job)
				defer j.Release()
				if err := j.Lock(); err != nil {
					t.Fatal(err)
				}
				record, _ := j.Record()
				a := Append{ID: testID(fmt.Sprint("c", sequence)), Doc: document("x"), Line: line, Run: run.Run, Usage: usage,
					Summary: checkpoint.Summary{Status: string(status), ExpertKey: expert}, Previous: record.Coordinator}
				if line != (checkpoint.Line{}) {
					if a.Previous, err = j.Run(line); err != nil {
						t.Fatal(err)
					}
				}
				record.Count, record.LastAt = sequence, int64(sequence)*10
				a.Record = record
				c, err := j.Append(&a)
				j.Unlock()
				if err == nil {
					err = c.Wait()
				}
				if err != nil {
					t.Fatal(err)
				}
			},
			"reopen": func(t *rapid.T) {
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				if s, err = Open(testOptions(fs)); err != nil {
					t.Fatal(err)
				}
			},
			"": func(t *rapid.T) {
				if len(runAt) == 0 {
					return
				}
				if got := runsOf(t, s, job); !slices.Equal(got, want) {
					t.Fatalf("runs %+v\nwant %+v", got, want)
				}
				record, err := s.Job(job)
				if err != nil || record.Steps != total.Steps || record.Tokens != total.Tokens || !slices.Equal(record.Experts, experts) {
					t.Fatalf("record %+v, %v; want %+v, %+v", record, err, total, experts)
				}
			},
		})
	})
}

// A run that an earlier version of the program began is known from the next
// checkpoint on.
func TestRunsOfAnEarlierVersion(t *testing.T) {
	s := openStore(t, vfs.NewMem())
	job := testID("job")
	old := RunRecord{Run: checkpoint.Run{ID: testID("run")}}
	for n := range uint64(2) {
		mustAdd(t, s, job, testID(fmt.Sprint(n)), document("x"), func(a *Append) {
			a.Run = old.Run
			if n == 0 {
				// What format 1 wrote had no more than that.
				return
			}
			a.Previous = old
		})
	}
	if runs := runsOf(t, s, job); len(runs) != 1 || runs[0].First != 2 || runs[0].Checkpoints != 1 {
		t.Errorf("got %+v", runs)
	}
	v := newWriter(64)
	v.string(old.ID)
	v.bool(true)
	v.uint(7)
	r := newReader(v)
	if run, at := r.run(checkpoint.Line{}); r.err != nil || at != 7 || run != (RunRecord{Run: checkpoint.Run{ID: old.ID, Ended: true}}) {
		t.Errorf("got %+v, %d, %v", run, at, r.err)
	}
}

func TestAmountsReadBack(t *testing.T) {
	for _, f := range []float64{0, 1, 2, 1<<52 - 1, 1 << 52, 1 << 60, 0.5, -1, -0.5, math.MaxFloat64, math.SmallestNonzeroFloat64} {
		w := newWriter(16)
		w.amount(f)
		if r := newReader(w); r.amount() != f || r.err != nil || len(r.b) > 0 {
			t.Errorf("%v does not read back from % x", f, []byte(w))
		}
	}
}

// What every write adds to the job's record is small.
func TestTheRecordStaysSmall(t *testing.T) {
	j := JobRecord{
		Organization: testID("org"), Application: testID("app"), Count: 10_000, Parts: 20_000, Bytes: 1 << 30, Runs: 4,
		Status: checkpoint.JobProcessing, FirstAt: 1 << 40, LastAt: 1 << 40,
		Coordinator: RunRecord{Run: checkpoint.Run{ID: testID("run")}, Expert: "@acme/project-lead@1.0.0", First: 1, Last: 10_000,
			Status: checkpoint.StatusProceeding, FirstAt: 1 << 40, LastAt: 1 << 40},
		Steps:   9_999,
		Experts: []ExpertTotals{{Key: "@acme/project-lead@1.0.0"}, {Key: "@acme/researcher@0.4.0"}},
	}
	usage := checkpoint.Usage{Input: 1e6, Output: 1e5, Reasoning: 1e4, Total: 11e5, CachedInput: 9e5}
	j.Coordinator.Tokens, j.Experts[0].Tokens, j.Experts[1].Tokens, j.Tokens = usage, usage, usage, usage
	b := j.encode(nil)
	if len(b) > 400 {
		t.Errorf("%d bytes", len(b))
	}
	again, err := decodeJobRecord(b)
	if err != nil || !bytes.Equal(again.encode(nil), b) {
		t.Errorf("it does not read back: %v", err)
	}
	t.Logf("%d bytes", len(b))
}
