package checkpoint

import "testing"

func TestStatusTable(t *testing.T) {
	for _, test := range []struct {
		status    Status
		delegated bool
		job       JobStatus
		endsJob   bool
		endsRun   bool
	}{
		{StatusInit, false, JobProcessing, false, false},
		{StatusInit, true, JobProcessing, false, false},
		{StatusProceeding, false, JobProcessing, false, false},
		{StatusCompleted, false, JobCompleted, true, true},
		{StatusCompleted, true, JobProcessing, false, true},
		{StatusStoppedByDelegate, false, JobRequestDelegateResult, false, false},
		{StatusStoppedByDelegate, true, JobRequestDelegateResult, false, false},
		{StatusStoppedByInteractiveTool, false, JobRequestInteractiveToolResult, false, true},
		{StatusStoppedByInteractiveTool, true, JobRequestInteractiveToolResult, false, true},
		{StatusStoppedByExceededMaxSteps, false, JobExceededMaxSteps, true, true},
		{StatusStoppedByExceededMaxSteps, true, JobExceededMaxSteps, true, true},
		{StatusStoppedByError, false, JobFailed, true, true},
		{StatusStoppedByError, true, JobFailed, true, true},
	} {
		if got := JobStatusOf(test.status, test.delegated); got != test.job || got.Ended() != test.endsJob {
			t.Errorf("%s, delegated %v: job %s, ended %v", test.status, test.delegated, got, got.Ended())
		}
		if got := test.status.EndsRun(); got != test.endsRun {
			t.Errorf("%s ends its run: %v", test.status, got)
		}
	}
}
