package store

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"milepost/internal/checkpoint"
)

// exported is a checkpoint as a server gives it; change edits its text.
func exported(t *testing.T, job string, sequence int, change ...string) *Import {
	t.Helper()
	doc := fmt.Sprintf(`{"type":"checkpoint","id":%q,"runId":%q,"expertJobId":%q,"sequence":%d,"status":"proceeding",`+
		`"expert":{"key":"helper"},"messages":[%s],"usage":{"inputTokens":%d},"createdAt":"2026-01-02T03:04:%02d.000Z"}`,
		testID(fmt.Sprint("c", sequence)), testID("run"), job, sequence, message(sequence, 200), sequence*10, sequence)
	doc = strings.NewReplacer(change...).Replace(doc)
	p, err := checkpoint.ParseImported([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	return &Import{Organization: testID("org"), JSON: []byte(doc), Parsed: p}
}

func importInto(s *Store, c *Import) (held bool, err error) {
	j := s.Hold(c.Parsed.JobID)
	defer j.Release()
	if err := j.Lock(); err != nil {
		return false, err
	}
	commit, err := j.Import(c)
	j.Unlock()
	if err != nil || commit == nil {
		return err == nil, err
	}
	return false, commit.Wait()
}

func TestImportKeepsWhatItGets(t *testing.T) {
	s := openStore(t, vfs.NewMem())
	job := testID("job")
	for round := range 2 {
		for n := 1; n <= 3; n++ {
			c := exported(t, job, n)
			if n == 3 {
				c = exported(t, job, n, "proceeding", "completed")
			}
			held, err := importInto(s, c)
			if err != nil || held != (round == 1) {
				t.Fatalf("checkpoint %d, round %d: held %t, %v", n, round, held, err)
			}
			wantRead(t, s, job, uint64(n), c.JSON)
			if sequence, err := s.Sequence(job, c.Parsed.ID); err != nil || sequence != uint64(n) {
				t.Fatalf("checkpoint %d is at %d: %v", n, sequence, err)
			}
		}
	}
	record, err := s.Job(job)
	if err != nil || record.Count != 3 || record.Runs != 1 || record.Steps != 3 || record.Tokens.Input != 30 ||
		record.Status != checkpoint.JobCompleted || record.FirstAt != 1767323041000 || record.EndedAt != 1767323043000 {
		t.Errorf("record %+v, %v", record, err)
	}
	runs := runsOf(t, s, job)
	if len(runs) != 1 || runs[0].ID != testID("run") || !runs[0].Ended || runs[0].Last != 3 || runs[0].Tokens.Input != 30 {
		t.Errorf("runs %+v", runs)
	}
}

func TestImportRefuses(t *testing.T) {
	s := openStore(t, vfs.NewMem())
	job, copied := testID("job"), testID("copy")
	for n := 1; n <= 2; n++ {
		if _, err := importInto(s, exported(t, job, n)); err != nil {
			t.Fatal(err)
		}
	}
	c := exported(t, copied, 1)
	if _, err := s.PutCopy(copied, Copy{JSON: c.JSON, Located: c.Parsed.Located}); err != nil {
		t.Fatal(err)
	}
	stranger := exported(t, job, 3)
	stranger.Organization = testID("other")
	for name, q := range map[string]struct {
		c    *Import
		want error
	}{
		"another organization's job":   {stranger, ErrImportConflict},
		"a gap":                        {exported(t, job, 4), ErrImportOrder},
		"other bytes at a known place": {exported(t, job, 2, "proceeding", "completed"), ErrImportConflict},
		"an id that is there":          {exported(t, job, 3, testID("c3"), testID("c1")), ErrImportConflict},
		"time that goes back":          {exported(t, job, 3, "03:04:03", "03:04:01"), ErrImportOrder},
		"the middle of a new job":      {exported(t, testID("new"), 2), ErrImportOrder},
		"a copy of an upstream's":      {exported(t, copied, 2), ErrCopiedJob},
	} {
		if _, err := importInto(s, q.c); !errors.Is(err, q.want) {
			t.Errorf("%s: %v, want %v", name, err, q.want)
		}
	}
	if record, err := s.Job(job); err != nil || record.Count != 2 {
		t.Errorf("after refusals: %+v, %v", record, err)
	}
}
