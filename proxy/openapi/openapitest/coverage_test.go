package openapitest

import (
	"slices"
	"strings"
	"testing"
)

func TestMissingListsWhatWasNeverSeen(t *testing.T) {
	v := New(t)
	all := v.Missing()
	const read = "getApiStudioV1Expert_jobsByExpertJobIdCheckpointsByCheckpointId 200 is documented but was never seen"
	if !slices.Contains(all, read) {
		t.Fatalf("%q is not listed in %q", read, all)
	}
	v.With(t).faults(goodRead(t))
	seen := v.Missing()
	if slices.Contains(seen, read) || len(seen) != len(all)-1 {
		t.Errorf("after a read %d of %d are listed: %q", len(seen), len(all), seen)
	}
}

func TestMissingLeavesOutWhatIsAllowed(t *testing.T) {
	v := New(t)
	for _, line := range v.Missing("head* *", "* 504") {
		if strings.HasPrefix(line, "head") || strings.Contains(line, " 504 ") {
			t.Errorf("%q is allowed", line)
		}
	}
	if got := v.Missing("*"); len(got) != 0 {
		t.Errorf("all are allowed, but %q are listed", got)
	}
}

func TestMissingListsPatternsThatExcuseNothing(t *testing.T) {
	v := New(t)
	v.faults(goodRead(t))
	const stale = "getApiStudioV1Expert_jobsByExpertJobIdCheckpointsByCheckpointId 200"
	got := v.Missing("*[0-1]", "*[2-9]", stale, "nothing")
	for _, pattern := range []string{stale, "nothing"} {
		if !slices.ContainsFunc(got, func(line string) bool { return strings.Contains(line, `"`+pattern+`"`) }) {
			t.Errorf("%q excuses nothing and is not listed in %q", pattern, got)
		}
	}
}

// An undocumented status must not hide in the record.
func TestUnusedFailsTheTest(t *testing.T) {
	watched := &spy{TB: t}
	v := New(t)
	v.Unused(watched, "*")
	if len(watched.failures) != 0 {
		t.Errorf("%d failures, want none", len(watched.failures))
	}
	v.Unused(watched)
	if len(watched.failures) < 50 {
		t.Errorf("%d failures, want one for each pair", len(watched.failures))
	}
}
