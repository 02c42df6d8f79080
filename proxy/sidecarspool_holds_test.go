package proxy

import "testing"

// A job that has nothing pending leaves nothing behind: every job that is ever
// followed is asked about.
func TestHoldsForgetJobs(t *testing.T) {
	var h holds
	ctx := t.Context()
	none := func(string) bool { return false }
	end := h.begin("written")
	end()
	for _, job := range []string{"written", "followed"} {
		if waited, err := h.wait(ctx, job, none); waited || err != nil {
			t.Errorf("waited for %s: %t, %v", job, waited, err)
		}
	}
	// One that has, waits for its release.
	left := 1
	waited, err := h.wait(ctx, "spooled", func(job string) bool {
		if left == 0 {
			return false
		}
		left--
		go h.release(job)
		return true
	})
	if !waited || err != nil {
		t.Errorf("the job with something pending: %t, %v", waited, err)
	}
	if len(h.writes)+len(h.drained) > 0 {
		t.Errorf("%d writes and %d releases are kept", len(h.writes), len(h.drained))
	}
}
