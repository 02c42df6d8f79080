package store

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"

	"milepost/internal/checkpoint"
)

// What a job's runs and experts have used is counted as checkpoints come, so
// that nobody has to read bodies for it. The current run of a line stands where
// the line's state is written anyway: in the job record for the coordinator, else
// under kindRun. When the line's next run begins, the one before goes, once,
// under a key of its own in the range of its job:
//
//	d  <job> n <sequence of its first checkpoint>   run record
const kindPastRun = 'n'

// Totals add up some of a job's checkpoints.
type Totals struct {
	Checkpoints uint64
	// Steps counts the checkpoints that are not the init of a run: each of them
	// ended a step.
	Steps uint64
	// Tokens adds up the usage of the steps, by kind.
	Tokens checkpoint.Usage
}

func (t *Totals) add(status checkpoint.Status, usage checkpoint.Usage) {
	t.Checkpoints++
	if status != checkpoint.StatusInit {
		t.Steps++
	}
	addUsage(&t.Tokens, usage)
}

func addUsage(to *checkpoint.Usage, u checkpoint.Usage) {
	to.Input += u.Input
	to.Output += u.Output
	to.Reasoning += u.Reasoning
	to.Total += u.Total
	to.CachedInput += u.CachedInput
}

// RunRecord is what the store keeps of a run.
type RunRecord struct {
	checkpoint.Run
	Totals

	Expert string // key of the expert of its first checkpoint
	// First and Last are sequences of the job; between them other runs may have
	// checkpoints, too. First is 0 if nothing but the Run is known, as of runs
	// that an earlier version of the program began.
	First, Last uint64
	Status      checkpoint.Status // of its last checkpoint
	// ParentCheckpoint is the id of the checkpoint that delegated to the run, ""
	// for a run of the coordinator. Parent is the First of the run that this
	// checkpoint belongs to, 0 if it is not known here.
	ParentCheckpoint string
	Parent           uint64
	// FirstAt and LastAt are milliseconds since the epoch.
	FirstAt, LastAt int64
}

// ExpertTotals are those of one expert's checkpoints in a job.
type ExpertTotals struct {
	Key string
	Totals
}

// maxExperts bounds the experts that a job record names. Jobs have a handful;
// without a bound one could make every write of its job dear.
const maxExperts = 16

// next returns the run of a line after a checkpoint of a sequence and time.
func (a *Append) next(sequence uint64, parent uint64) RunRecord {
	run := a.Previous
	if a.begins() {
		run = RunRecord{
			Expert: a.Summary.ExpertKey, First: sequence, FirstAt: a.Record.LastAt,
			ParentCheckpoint: a.Line.CheckpointID, Parent: parent,
		}
	}
	run.Run, run.Last, run.LastAt = a.Run, sequence, a.Record.LastAt
	run.Status = checkpoint.Status(a.Summary.Status)
	run.add(run.Status, a.Usage)
	return run
}

// begins reports whether the checkpoint is the first that is known of its run.
func (a *Append) begins() bool { return a.Previous.First == 0 || a.Previous.ID != a.Run.ID }

// count adds a checkpoint to the totals of the job and of its expert. The experts
// are changed in place, to spare every write a copy: whoever has the record holds
// the job's lock.
func (j *JobRecord) count(a *Append) {
	status := checkpoint.Status(a.Summary.Status)
	if status != checkpoint.StatusInit {
		j.Steps++
	}
	addUsage(&j.Tokens, a.Usage)
	i := 0
	for i < len(j.Experts) && j.Experts[i].Key != a.Summary.ExpertKey {
		i++
	}
	if i == len(j.Experts) {
		if i == maxExperts {
			return
		}
		// A new array, so that the record before keeps what it has.
		j.Experts = append(slices.Clip(j.Experts), ExpertTotals{Key: strings.Clone(a.Summary.ExpertKey)})
	}
	j.Experts[i].add(status, a.Usage)
}

// runOf returns the First of the run that a checkpoint belongs to, 0 if that is
// not known.
func (j *Job) runOf(id string) (uint64, error) {
	v, err := j.store.get(bytesKey(j.id, kindID, id))
	if v == nil || err != nil {
		return 0, err
	}
	r := newReader(v)
	if r.uint(); len(r.b) > 0 {
		return r.uint(), r.err
	}
	return 0, r.err
}

func (w *writer) totals(t *Totals) {
	w.uint(t.Checkpoints)
	w.uint(t.Steps)
	w.amount(t.Tokens.Input)
	w.amount(t.Tokens.Output)
	w.amount(t.Tokens.Reasoning)
	w.amount(t.Tokens.Total)
	w.amount(t.Tokens.CachedInput)
}

func (r *reader) totals() Totals {
	return Totals{Checkpoints: r.uint(), Steps: r.uint(), Tokens: checkpoint.Usage{
		Input: r.amount(), Output: r.amount(), Reasoning: r.amount(), Total: r.amount(), CachedInput: r.amount(),
	}}
}

// amount writes a number that is mostly whole and not large.
func (w *writer) amount(f float64) {
	if f >= 0 && f < 1<<52 && f == float64(uint64(f)) {
		w.uint(uint64(f) << 1)
		return
	}
	w.uint(1)
	w.float(f)
}

func (r *reader) amount() float64 {
	n := r.uint()
	if n&1 == 1 {
		return r.float()
	}
	return float64(n >> 1)
}

// details writes what a run record has beside its Run.
func (w *writer) details(run *RunRecord) {
	w.totals(&run.Totals)
	w.string(run.Expert)
	w.uint(run.First)
	w.uint(run.Last)
	w.string(string(run.Status))
	w.string(run.ParentCheckpoint)
	w.uint(run.Parent)
	w.int(run.FirstAt)
	w.int(run.LastAt)
}

// details reads them. Whoever knows the line of the run spares the memory for what
// the line says, too.
func (r *reader) details(run *RunRecord, of checkpoint.Line) {
	run.Totals = r.totals()
	run.Expert = r.known(of.ExpertKey)
	run.First, run.Last = r.uint(), r.uint()
	run.Status = checkpoint.Status(r.known(string(checkpoint.StatusProceeding)))
	run.ParentCheckpoint, run.Parent = r.known(of.CheckpointID), r.uint()
	run.FirstAt, run.LastAt = r.int(), r.int()
}

// run writes a run record: of a line's current run with the sequence of the
// line's last checkpoint with parts.
func (w *writer) run(run *RunRecord, at uint64) {
	w.string(run.ID)
	w.bool(run.Ended)
	w.uint(at)
	w.details(run)
}

// run reads a run record. Those of an earlier version, and of copies, end before
// the details.
func (r *reader) run(of checkpoint.Line) (run RunRecord, at uint64) {
	run.Run = checkpoint.Run{ID: r.string(), Ended: r.bool()}
	if at = r.uint(); len(r.b) > 0 {
		r.details(&run, of)
	}
	return run, at
}

// known reads a string that is mostly this one.
func (r *reader) known(s string) string {
	b := r.take(r.length(uint64(len(r.b))))
	if string(b) == s {
		return s
	}
	return string(b)
}

// Runs calls visit for the runs of a job of the store's own that are known, in no
// order, until it returns false. Those that began with a checkpoint that is not
// on disk are left out; the totals of the others may run ahead by what is on its
// way. visit must not block: the read pins files of the database.
func (s *Store) Runs(job string, visit func(RunRecord) bool) error {
	snap := s.db.NewSnapshot()
	defer snap.Close()
	v, closer, err := snap.Get(jobKey(job))
	if err != nil {
		return notFound(err)
	}
	record, err := decodeJobRecord(v)
	_ = closer.Close()
	if err != nil {
		return fmt.Errorf("record of job %s: %w", job, err)
	}
	end := s.visible(job, record.Count)
	more := true
	show := func(run RunRecord) bool {
		if run.First > 0 && run.First <= end {
			more = visit(run)
		}
		return more
	}
	if !show(record.Coordinator) {
		return nil
	}
	for _, kind := range []byte{kindPastRun, kindRun} {
		if err := eachRun(snap, job, kind, show); err != nil || !more {
			return err
		}
	}
	return nil
}

// eachRun calls visit for the run records of one kind until it returns false.
func eachRun(from pebble.Reader, job string, kind byte, visit func(RunRecord) bool) (err error) {
	it, err := from.NewIter(&pebble.IterOptions{LowerBound: dataKey(job, kind), UpperBound: dataKeyAfter(job, kind)})
	if err != nil {
		return fmt.Errorf("cannot read from the store: %w", err)
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		v, err := it.ValueAndErr()
		if err != nil {
			return fmt.Errorf("cannot read from the store: %w", err)
		}
		r := newReader(v)
		run, _ := r.run(checkpoint.Line{})
		if r.err != nil {
			return fmt.Errorf("run of job %s: %w", job, r.err)
		}
		if !visit(run) {
			return nil
		}
	}
	return nil
}
