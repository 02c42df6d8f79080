package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
)

// runAgainst runs `bench runtime` against s and returns what it printed.
func runAgainst(t *testing.T, s *stub, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := runRuntime(t.Context(), append([]string{"--target", s.URL, "--key", stubKey, "--pace", "max"}, args...), &out, &out)
	return out.String(), err
}

func TestRuntimePostsJobsWithAllEndings(t *testing.T) {
	s := newStub(t)
	out, err := runAgainst(t, s, "--jobs", "4", "--steps", "20", "--seed", "9")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !strings.Contains(out, "80 checkpoints") || !strings.Contains(out, "0 faults") || !strings.Contains(out, "curl -H") {
		t.Errorf("the summary is wrong:\n%s", out)
	}
	if len(s.jobs) != 4 {
		t.Errorf("%d jobs, not 4", len(s.jobs))
	}
	for id := range s.jobs {
		if !strings.Contains(out, "job "+id) {
			t.Errorf("the summary does not name job %s", id)
		}
	}
}

func TestRuntimeReportsWhatIsWrong(t *testing.T) {
	cases := map[string]struct {
		alter func(n int, checkpoint map[string]any)
		want  string
	}{
		"a gap in the sequence":   {func(_ int, c map[string]any) { c["sequence"] = 9 }, "sequence is 9, not 5"},
		"another action":          {func(_ int, c map[string]any) { c["action"] = object{"type": "think2"} }, `action.type is "think2"`},
		"another job":             {func(_ int, c map[string]any) { c["expertJobId"] = "x" }, `expertJobId is "x"`},
		"a changed message":       {func(_ int, c map[string]any) { c["messages"] = []string{} }, "messages differ"},
		"another status":          {func(_ int, c map[string]any) { c["status"] = "init" }, `status is "init"`},
		"an id that is none":      {func(_ int, c map[string]any) { c["id"] = "ABC" }, `id is "ABC"`},
		"an id that was given":    {func(_ int, c map[string]any) { c["id"] = "c00000000000000000000001" }, "was given before"},
		"a time that is missing":  {func(_ int, c map[string]any) { delete(c, "createdAt") }, "createdAt is missing"},
		"a run id that is no id":  {func(_ int, c map[string]any) { c["runId"] = "" }, `runId is ""`},
		"another number of steps": {func(_ int, c map[string]any) { c["stepNumber"] = 77 }, "stepNumber is 77"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := newStub(t)
			s.alter = func(n int, checkpoint map[string]any) {
				if n == 5 {
					c.alter(n, checkpoint)
				}
			}
			out, err := runAgainst(t, s, "--steps", "8", "--quiet")
			if !errors.Is(err, errReported) || !strings.Contains(out, c.want) {
				t.Errorf("error %v, and no %q in:\n%s", err, c.want, out)
			}
		})
	}
}

func TestRuntimeStopsAJobThatIsRefused(t *testing.T) {
	s := newStub(t)
	s.before = func(n int, w http.ResponseWriter) bool {
		if n != 3 {
			return false
		}
		w.WriteHeader(http.StatusUnprocessableEntity)
		_, _ = w.Write([]byte(`{"code":422}`))
		return true
	}
	out, err := runAgainst(t, s, "--steps", "8")
	if !errors.Is(err, errReported) || !strings.Contains(out, `status 422: {"code":422}`) || !strings.Contains(out, "3 checkpoints") {
		t.Errorf("error %v\n%s", err, out)
	}
}

func TestClientRetriesWithTheSameKey(t *testing.T) {
	s := newStub(t)
	refusals := map[int]int{2: 503, 3: 429, 4: 507, 5: 409}
	s.before = func(n int, w http.ResponseWriter) bool {
		if n == 6 {
			panic(http.ErrAbortHandler)
		}
		if refusals[n] == 0 {
			return false
		}
		w.Header().Set("Retry-After", "2")
		w.WriteHeader(refusals[n])
		return true
	}
	c, err := newClient(s.URL, stubKey)
	if err != nil {
		t.Fatal(err)
	}
	var waits []time.Duration
	c.wait = func(_ context.Context, d time.Duration) error { waits = append(waits, d); return nil }
	check := newChecker("j00000000000000000000000", true)
	err = testJob(1, 6, endCompleted).play(func(r request) (answer, error) {
		status, body, err := c.post(t.Context(), check.job, r)
		if err != nil {
			return answer{}, err
		}
		return check.check(r, status, body)
	})
	if err != nil {
		t.Fatal(err)
	}
	// The lost connection is retried by net/http itself, because of the key.
	if len(waits) != 4 || s.posts != 11 {
		t.Fatalf("%d waits and %d requests, not 4 and 11: %v", len(waits), s.posts, waits)
	}
	for i, w := range waits {
		if w < 2*time.Second {
			t.Errorf("retry %d waited %s, Retry-After said 2 s", i+1, w)
		}
	}
	if got := len(s.jobs[check.job].checkpoints); got != 6 {
		t.Errorf("%d checkpoints, not 6", got)
	}
}

func TestTraceReplayMapsDelegatingCheckpoints(t *testing.T) {
	for _, name := range []string{"delegation", "interactive-resume", "max-steps"} {
		t.Run(name, func(t *testing.T) {
			s := newStub(t)
			out, err := runAgainst(t, s, "--trace", "testdata/"+name+".jsonl")
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
		})
	}
	s := newStub(t)
	if out, err := runAgainst(t, s, "--trace", "testdata/delegation.jsonl"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	original, err := readTrace("testdata/delegation.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	for _, j := range s.jobs {
		given := map[string]string{}
		for i, body := range j.bodies {
			var was, is struct {
				Checkpoint struct{ DelegatedBy *delegatedBy }
			}
			if err := errors.Join(json.Unmarshal(original.lines[i], &was), json.Unmarshal(body, &is)); err != nil {
				t.Fatal(err)
			}
			if by := was.Checkpoint.DelegatedBy; by != nil {
				if want := given[by.CheckpointID]; is.Checkpoint.DelegatedBy.CheckpointID != want {
					t.Errorf("line %d is delegated by %s, not %s", i+1, is.Checkpoint.DelegatedBy.CheckpointID, want)
				}
				if len(body) != len(original.lines[i]) {
					t.Errorf("line %d changed beyond the id", i+1)
				}
			} else if !bytes.Equal(body, original.lines[i]) {
				t.Errorf("line %d changed", i+1)
			}
			var checkpoint struct{ ID string }
			if err := json.Unmarshal(j.checkpoints[i], &checkpoint); err != nil {
				t.Fatal(err)
			}
			given[original.meta[i].RuntimeCheckpointID] = checkpoint.ID
		}
	}
}

func TestRuntimeRefusesWrongFlags(t *testing.T) {
	t.Setenv("MILEPOST_API_KEY", "")
	s := newStub(t)
	for _, args := range [][]string{
		{"--pace", "fast"}, {"--jobs", "0"}, {"--steps", "1"}, {"--job", "x"}, {"extra"},
		{"--job", "j00000000000000000000000", "--jobs", "2"}, {"--key", ""}, {"--target", "nonsense"},
	} {
		_, err := runAgainst(t, s, args...)
		var usage usageError
		if !errors.As(err, &usage) {
			t.Errorf("%v gives %v, not a usage error", args, err)
		}
	}
}
