package store

import (
	"milepost/internal/checkpoint"
)

// JobRecord is what the store keeps of a job as a whole. It is written in the
// same batch as each checkpoint, so the two never disagree. Its size does not
// grow with the job, but for the first experts that work on it.
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
	Coordinator RunRecord
	// CoordinatorAt is the sequence of the coordinator's last checkpoint with
	// parts, which its next is compared with; 0 if it has none.
	CoordinatorAt uint64
	// Tokens adds up the usage of the steps, by kind.
	Tokens checkpoint.Usage
	// Steps counts the checkpoints that are not the init of a run, and Experts
	// adds up what the first 16 experts of the job used, in the order in which
	// they came. What the experts lack of Count is that of others, or older than
	// the store's format 2.
	Steps   uint64
	Experts []ExpertTotals

	// FirstAt, LastAt and EndedAt are milliseconds since the epoch; EndedAt is
	// 0 while the job has not ended.
	FirstAt, LastAt, EndedAt int64

	// Copied says that the job is a copy of an upstream's, see CopyRecord. A copy
	// has no Organization, Application, Runs and Coordinator; its Tokens, Steps and
	// Experts are of the first Copy.Counted checkpoints.
	Copied bool
	Copy   CopyRecord
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
	w.bool(j.Copied)
	if j.Copied {
		w.string(j.Copy.LastID)
		w.uint(j.Copy.Highest)
		w.uint(j.Copy.Loose)
		w.uint(j.Copy.Counted)
		return j.encodeTotals(w)
	}
	w.details(&j.Coordinator)
	return j.encodeTotals(w)
}

func (j *JobRecord) encodeTotals(w writer) writer {
	w.uint(j.Steps)
	w.uint(uint64(len(j.Experts)))
	for i := range j.Experts {
		w.string(j.Experts[i].Key)
		w.totals(&j.Experts[i].Totals)
	}
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
		Coordinator:  RunRecord{Run: checkpoint.Run{ID: r.string(), Ended: r.bool()}},

		CoordinatorAt: r.uint(),
		Tokens: checkpoint.Usage{
			Input: r.float(), Output: r.float(), Reasoning: r.float(),
			Total: r.float(), CachedInput: r.float(),
		},
		FirstAt: r.int(),
		LastAt:  r.int(),
		EndedAt: r.int(),
	}
	if len(r.b) == 0 {
		return j, r.err // of format 1
	}
	if j.Copied = r.bool(); j.Copied {
		j.Copy = CopyRecord{LastID: r.string(), Highest: r.uint(), Loose: r.uint()}
		if len(r.b) == 0 {
			return j, r.err // of a version that did not count copies
		}
		j.Copy.Counted = r.uint()
	} else {
		r.details(&j.Coordinator, checkpoint.Line{})
	}
	j.Steps = r.uint()
	if n := r.length(maxExperts); n > 0 {
		j.Experts = make([]ExpertTotals, n)
		for i := range j.Experts {
			j.Experts[i] = ExpertTotals{Key: r.string(), Totals: r.totals()}
		}
	}
	return j, r.err
}
