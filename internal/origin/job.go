package origin

import (
	"time"

	"milepost/cache/store"
	"milepost/internal/checkpoint"
)

// nextRun finds the run that the checkpoint belongs to (semantics.md, "runId")
// and puts it into the append and, for the coordinator, into the record.
func nextRun(job *store.Job, record *store.JobRecord, a *store.Append, status checkpoint.Status) error {
	current := record.Coordinator
	delegated := a.Line != (checkpoint.Line{})
	if delegated {
		var err error
		if current, err = job.Run(a.Line); err != nil {
			return err
		}
	}
	next, started := current.Next(status, checkpoint.NewID)
	if started {
		record.Runs++
	}
	if !delegated {
		record.Coordinator = next
	}
	a.Run = next
	return nil
}

// advance brings a job's record from one checkpoint to the next.
func advance(record *store.JobRecord, r *checkpoint.Request, now time.Time) {
	record.Count++
	record.Status = checkpoint.JobStatusOf(r.Status, r.DelegatedBy != nil)
	record.LastAt = now.UnixMilli()
	record.EndedAt = 0
	if record.Status.Ended() {
		record.EndedAt = record.LastAt
	}
	// The usage of a step is that step's alone; a checkpoint's adds up over the
	// whole job already, delegates included.
	t, u := &record.Tokens, r.StepUsage
	t.Input += u.Input
	t.Output += u.Output
	t.Reasoning += u.Reasoning
	t.Total += u.Total
	t.CachedInput += u.CachedInput
}
