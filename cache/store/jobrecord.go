package store

import (
	"milepost/internal/checkpoint"
)

// JobRecord is what the store keeps of a job as a whole. It is written in the
// same batch as each checkpoint, so the two never disagree. Its size does not
// grow with the job.
type JobRecord struct {
	// Organization and Application are those of the key that posted the job's
	// first checkpoint; the job belongs to them.
	Organization string
	Application  string

	// Count is the number of checkpoints and the sequence of the last.
	Count uint64
	// Parts is the number of distinct parts (messages) stored, and the ordinal
	// of the next.
	Parts uint64
	// Runs is the number of runs begun.
	Runs uint64
	// Bytes is the sum of the sizes of the job's keys and values as written,
	// before the store's own block compression.
	Bytes uint64

	// Status is the status after the last checkpoint.
	Status checkpoint.JobStatus
	// Coordinator is the current run of the coordinator.
	Coordinator checkpoint.Run
	// CoordinatorAt is the sequence of the coordinator's last checkpoint with
	// parts, which its next is compared with; 0 if it has none.
	CoordinatorAt uint64
	// Tokens adds up the usage of the steps, by kind.
	Tokens checkpoint.Usage

	// FirstAt, LastAt and EndedAt are milliseconds since the epoch; EndedAt is
	// 0 while the job has not ended.
	FirstAt, LastAt, EndedAt int64
}

// encode writes the record into the memory of dst.
func (j *JobRecord) encode(dst writer) writer {
	w := startWriter(dst)
	w.string(j.Organization)
	w.string(j.Application)
	w.uint(j.Count)
	w.uint(j.Parts)
	w.uint(j.Runs)
	w.uint(j.Bytes)
	w.string(string(j.Status))
	w.string(j.Coordinator.ID)
	w.bool(j.Coordinator.Ended)
	w.uint(j.CoordinatorAt)
	w.float(j.Tokens.Input)
	w.float(j.Tokens.Output)
	w.float(j.Tokens.Reasoning)
	w.float(j.Tokens.Total)
	w.float(j.Tokens.CachedInput)
	w.int(j.FirstAt)
	w.int(j.LastAt)
	w.int(j.EndedAt)
	return w
}

func decodeJobRecord(b []byte) (JobRecord, error) {
	r := newReader(b)
	j := JobRecord{
		Organization: r.string(),
		Application:  r.string(),
		Count:        r.uint(),
		Parts:        r.uint(),
		Runs:         r.uint(),
		Bytes:        r.uint(),
		Status:       checkpoint.JobStatus(r.string()),
		Coordinator:  checkpoint.Run{ID: r.string(), Ended: r.bool()},

		CoordinatorAt: r.uint(),
		Tokens: checkpoint.Usage{
			Input: r.float(), Output: r.float(), Reasoning: r.float(),
			Total: r.float(), CachedInput: r.float(),
		},
		FirstAt: r.int(),
		LastAt:  r.int(),
		EndedAt: r.int(),
	}
	return j, r.err
}
