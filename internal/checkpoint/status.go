package checkpoint

// Status is the status of a checkpoint, as the document lists them.
type Status string

// The statuses of a checkpoint.
const (
	StatusInit                      Status = "init"
	StatusProceeding                Status = "proceeding"
	StatusCompleted                 Status = "completed"
	StatusStoppedByInteractiveTool  Status = "stoppedByInteractiveTool"
	StatusStoppedByDelegate         Status = "stoppedByDelegate"
	StatusStoppedByExceededMaxSteps Status = "stoppedByExceededMaxSteps"
	StatusStoppedByError            Status = "stoppedByError"
)

var statuses = [...]Status{
	StatusInit, StatusProceeding, StatusCompleted, StatusStoppedByInteractiveTool,
	StatusStoppedByDelegate, StatusStoppedByExceededMaxSteps, StatusStoppedByError,
}

// parseStatus returns the status named by b, without allocating.
func parseStatus(b []byte) (Status, bool) {
	for _, s := range statuses {
		if string(b) == string(s) {
			return s, true
		}
	}
	return "", false
}

// EndsRun reports whether a checkpoint of this status is the last of its run.
// One that stops for a delegate is not: the run goes on with its result.
func (s Status) EndsRun() bool {
	switch s {
	case StatusCompleted, StatusStoppedByError, StatusStoppedByExceededMaxSteps, StatusStoppedByInteractiveTool:
		return true
	}
	return false
}

// JobStatus is the status of a job, derived from its last checkpoint.
type JobStatus string

// The statuses of a job.
const (
	JobProcessing                   JobStatus = "processing"
	JobCompleted                    JobStatus = "completed"
	JobRequestDelegateResult        JobStatus = "requestDelegateResult"
	JobRequestInteractiveToolResult JobStatus = "requestInteractiveToolResult"
	JobExceededMaxSteps             JobStatus = "exceededMaxSteps"
	JobFailed                       JobStatus = "failed"
)

// JobStatusOf returns the status of a job whose last checkpoint has status s;
// delegated says whether that checkpoint has a delegatedBy. A delegate that
// completes gives the job back to its coordinator; one that fails or runs out
// of steps ends the job.
func JobStatusOf(s Status, delegated bool) JobStatus {
	switch s {
	case StatusCompleted:
		if delegated {
			return JobProcessing
		}
		return JobCompleted
	case StatusStoppedByDelegate:
		return JobRequestDelegateResult
	case StatusStoppedByInteractiveTool:
		return JobRequestInteractiveToolResult
	case StatusStoppedByExceededMaxSteps:
		return JobExceededMaxSteps
	case StatusStoppedByError:
		return JobFailed
	}
	return JobProcessing
}

// Ended reports whether a job of this status has ended. It opens again with
// its next checkpoint.
func (s JobStatus) Ended() bool {
	return s == JobCompleted || s == JobExceededMaxSteps || s == JobFailed
}
