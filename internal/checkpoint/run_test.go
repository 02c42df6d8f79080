package checkpoint

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestRunNext(t *testing.T) {
	for _, test := range []struct{ name, statuses, runs string }{
		{"one run", "init proceeding completed", "1 1 1"},
		{"a line may start without init", "proceeding proceeding", "1 1"},
		{"init starts a run though the last has not ended", "init proceeding init", "1 1 2"},
		{"every end starts a run", "completed proceeding stoppedByError init stoppedByExceededMaxSteps proceeding", "1 2 2 3 3 4"},
		{"an interactive stop ends the run", "init stoppedByInteractiveTool proceeding completed", "1 1 2 2"},
		{"a delegating coordinator resumes its run", "init stoppedByDelegate proceeding completed", "1 1 1 1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			n := 0
			newID := func() string { n++; return fmt.Sprint(n) }
			var run Run
			var got []string
			for _, s := range strings.Fields(test.statuses) {
				before := run.ID
				var started bool
				run, started = run.Next(Status(s), newID)
				if started != (run.ID != before) {
					t.Errorf("started %v, from run %q to %q", started, before, run.ID)
				}
				got = append(got, run.ID)
			}
			if want := strings.Fields(test.runs); !slices.Equal(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

// The coordinator and its two delegates have a run each, to which the
// coordinator's checkpoints after a delegate return.
func TestRunsOfTheDelegationTrace(t *testing.T) {
	lines := map[Line]Run{}
	n := 0
	newID := func() string { n++; return fmt.Sprint(n) }
	var got strings.Builder
	for _, body := range traceLines(t, "delegation") {
		r := mustParse(t, body)
		run, _ := lines[r.Line()].Next(r.Status, newID)
		lines[r.Line()] = run
		got.WriteString(run.ID)
	}
	if want := "111222211133111"; got.String() != want {
		t.Errorf("got %s, want %s", got.String(), want)
	}
}
