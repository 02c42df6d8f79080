package origin

import (
	"time"

	"milepost/cache/store"
	"milepost/internal/checkpoint"
)

// nextRun finds the run that the checkpoint belongs to (semantics.md, "runId")
// and puts it into the append.
func nextRun(job *store.Job, record *store.JobRecord, a *store.Append, status checkpoint.Status) error {
	current := record.Coordinator
	if a.Line != (checkpoint.Line{}) {
		var err error
		if current, err = job.Run(a.Line); err != nil {
			return err
		}
	}
	next, started := current.Next(status, checkpoint.NewID)
	if started {
		record.Runs++
	}
	a.Previous, a.Run = current, next
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
}
