package origin

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"milepost/cache/store"
	"milepost/internal/checkpoint"
)

const (
	orgA = "orga00000000000000000000"
	orgB = "orgb00000000000000000000"
	job  = "job000000000000000000001"
)

func open(t *testing.T, catalog *checkpoint.Catalog) (*Origin, *store.Store) {
	t.Helper()
	s, err := store.Open(store.Options{Dir: "data", FS: vfs.NewMem(), MemTable: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return New(s, catalog), s
}

// request is a body of a status, with an expert's key, and delegated by the
// call of that name unless that is empty.
func request(t *testing.T, status, expert, call string) *checkpoint.Request {
	t.Helper()
	usage := `{"inputTokens":1,"outputTokens":2,"reasoningTokens":3,"totalTokens":6,"cachedInputTokens":0.5}`
	by := ""
	if call != "" {
		by = fmt.Sprintf(`"delegatedBy":{"expert":{"key":"lead@1.0.0","name":"lead","version":"1.0.0"},"toolCallId":%q,"toolName":"t","checkpointId":"cp0000000000000000000001"},`, call)
	}
	b := fmt.Sprintf(`{"checkpoint":{"status":%q,"stepNumber":1,"messages":[],"expert":{"key":%q,"name":"helper","version":"1.2.3"},%s"usage":%s},
		"step":{"stepNumber":1,"newMessages":[],"usage":%s,"startedAt":1}}`, status, expert, by, usage, usage)
	r, err := checkpoint.ParseRequest([]byte(b))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

type shown struct {
	RunID    string
	Sequence int
	Expert   checkpoint.Digest
}

func create(t *testing.T, o *Origin, org string, r *checkpoint.Request) shown {
	t.Helper()
	c, err := o.Create(Creation{Organization: org, Application: orgA, JobID: job, Request: r})
	if err != nil {
		t.Fatal(err)
	}
	var v struct {
		RunID    string
		Sequence int
		Expert   struct {
			checkpoint.Digest
			Type              string
			MinRuntimeVersion string
		}
	}
	if err := json.Unmarshal(c.JSON, &v); err != nil {
		t.Fatal(err)
	}
	return shown{v.RunID, v.Sequence, v.Expert.Digest}
}

func TestRunsOfAJob(t *testing.T) {
	o, s := open(t, nil)
	runs := map[string]string{}
	for i, step := range []struct{ status, call, run string }{
		{"init", "", "coordinator"},
		{"proceeding", "", "coordinator"},
		{"stoppedByDelegate", "", "coordinator"},
		{"init", "call-1", "first delegate"},
		{"completed", "call-1", "first delegate"},
		{"proceeding", "", "coordinator"},
		{"stoppedByDelegate", "", "coordinator"},
		{"init", "call-2", "second delegate"},
		{"stoppedByInteractiveTool", "call-2", "second delegate"},
		{"proceeding", "call-2", "second delegate, continued"},
		{"completed", "call-2", "second delegate, continued"},
		{"completed", "", "coordinator"},
		{"proceeding", "", "coordinator, continued"},
		{"init", "", "coordinator, begun anew"},
		{"stoppedByError", "", "coordinator, begun anew"},
	} {
		c := create(t, o, orgA, request(t, step.status, "helper@1.0.0", step.call))
		if known, ok := runs[step.run]; ok && known != c.RunID {
			t.Errorf("step %d (%s) is not of the run %s", i, step.status, step.run)
		}
		for name, id := range runs {
			if name != step.run && id == c.RunID {
				t.Errorf("step %d (%s) is of the run %s, want %s", i, step.status, name, step.run)
			}
		}
		runs[step.run] = c.RunID
		if c.Sequence != i+1 {
			t.Errorf("step %d has sequence %d", i, c.Sequence)
		}
	}
	record, err := s.Job(job)
	if err != nil {
		t.Fatal(err)
	}
	want := checkpoint.Usage{Input: 15, Output: 30, Reasoning: 45, Total: 90, CachedInput: 7.5}
	if record.Count != 15 || record.Runs != uint64(len(runs)) || record.Tokens != want ||
		record.Status != checkpoint.JobFailed || record.EndedAt == 0 || record.FirstAt > record.LastAt {
		t.Errorf("record: %+v", record)
	}
}

func TestExpertsAreRegisteredAtFirstSight(t *testing.T) {
	o, _ := open(t, nil)
	first := create(t, o, orgA, request(t, "init", "helper@1.0.0", "")).Expert
	if again := create(t, o, orgA, request(t, "proceeding", "helper@1.0.0", "")).Expert; again.ID != first.ID ||
		again.CreatedAt != first.CreatedAt || again.UpdatedAt != first.UpdatedAt {
		t.Errorf("the digest changed: %+v, then %+v", first, again)
	}
	if first.Owner.OrganizationID != orgA || first.Version != "1.2.3" || len(first.Tags) != 0 {
		t.Errorf("digest: %+v", first)
	}
	tagged := create(t, o, orgA, request(t, "proceeding", "helper@latest", "")).Expert
	if len(tagged.Tags) != 1 || tagged.Tags[0] != "latest" || tagged.ID == first.ID {
		t.Errorf("tagged digest: %+v", tagged)
	}
	// A new origin over the same store finds what is registered.
	if again := create(t, New(o.store, nil), orgA, request(t, "proceeding", "helper@1.0.0", "")).Expert; again.ID != first.ID {
		t.Error("the registration was forgotten")
	}
}

func TestTwoJobsRegisterAnExpertOnce(t *testing.T) {
	o, _ := open(t, nil)
	r := request(t, "init", "helper@1.0.0", "")
	ids := make([]string, 16)
	var wait sync.WaitGroup
	for i := range ids {
		wait.Add(1)
		go func() {
			defer wait.Done()
			c, err := o.Create(Creation{Organization: orgA, Application: orgA, JobID: fmt.Sprintf("job%021d", i), Request: r})
			var v struct{ Expert struct{ ID string } }
			if err != nil || json.Unmarshal(c.JSON, &v) != nil {
				t.Errorf("create: %v", err)
			}
			ids[i] = v.Expert.ID
		}()
	}
	wait.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Fatalf("one expert has the ids %v", ids)
		}
	}
}

func TestCatalogKnowsItsExpertsOnly(t *testing.T) {
	_, s := open(t, nil)
	catalog, err := checkpoint.ParseCatalog([]byte(`[]`))
	if err != nil {
		t.Fatal(err)
	}
	o := New(s, catalog)
	var unknown *ExpertError
	_, err = o.Create(Creation{Organization: orgA, JobID: job, Request: request(t, "init", "helper@1.0.0", "")})
	if !errors.As(err, &unknown) || unknown.Error() != "Expert not found: helper@1.0.0" {
		t.Errorf("got %v", err)
	}
	if _, err := s.Job(job); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a refused checkpoint made a job: %v", err)
	}
}

func TestJobOfAnotherOrganization(t *testing.T) {
	o, _ := open(t, nil)
	create(t, o, orgA, request(t, "init", "helper@1.0.0", ""))
	// Existence comes before the domain: the expert's key is malformed, too.
	_, err := o.Create(Creation{Organization: orgB, JobID: job, Request: request(t, "init", "Not A Key", "")})
	if !errors.Is(err, ErrJobNotFound) {
		t.Errorf("got %v", err)
	}
}
