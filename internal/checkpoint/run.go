package checkpoint

// Line names the line of runs that a checkpoint belongs to within its job:
// the delegation it works on, or, as the zero Line, the coordinator.
type Line struct {
	CheckpointID string // delegatedBy.checkpointId
	ToolCallID   string // delegatedBy.toolCallId
	ExpertKey    string // key of the delegate
}

// Line returns the line that the requested checkpoint belongs to.
func (r *Request) Line() Line {
	if r.DelegatedBy == nil {
		return Line{}
	}
	return Line{
		CheckpointID: r.DelegatedBy.CheckpointID,
		ToolCallID:   r.DelegatedBy.ToolCallID,
		ExpertKey:    r.Expert.Key,
	}
}

// Run is the current run of a line. The zero Run stands for a line that has
// none yet.
type Run struct {
	ID    string
	Ended bool // its last checkpoint ended it (Status.EndsRun)
}

// Next returns the run that a checkpoint of status s belongs to, when it is
// the next of the line whose current run is r, and whether that run starts
// with it. A new run starts when the line has none, when its run has ended,
// and with a status init, which only the first checkpoint of a run has.
func (r Run) Next(s Status, newID func() string) (next Run, started bool) {
	next = r
	if r.ID == "" || r.Ended || s == StatusInit {
		next.ID, started = newID(), true
	}
	next.Ended = s.EndsRun()
	return next, started
}
