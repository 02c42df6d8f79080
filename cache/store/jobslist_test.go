package store

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"milepost/internal/checkpoint"
)

func listOf(t rapid.TB, s *Store, organization string, descending bool) []string {
	t.Helper()
	var jobs []string
	err := s.JobsOf(organization, descending, func(job string) bool { jobs = append(jobs, job); return true })
	if err != nil {
		t.Fatal(err)
	}
	return jobs
}

// of gives a checkpoint to an organization at a time.
func of(organization string, at int64) func(*Append) {
	return func(a *Append) {
		if a.Record.Count == 1 {
			a.Record.Organization, a.Record.FirstAt = organization, at
		}
		a.Record.LastAt = at
	}
}

// TestJobsOfAgreesWithAModel runs random histories of appends, deletions, copies
// and restarts against a map in memory.
func TestJobsOfAgreesWithAModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type job struct {
			id, organization string
			firstAt          int64
		}
		fs := vfs.NewMem()
		s, err := Open(testOptions(fs))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		organizations := []string{testID("orga"), testID("orgb"), testID("org")}
		model := map[string]job{}
		copies := map[string]bool{}
		draw := func() string { return testID(rapid.StringMatching(`[ab]{1,2}`).Draw(t, "job")) }
		ids := 0
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				j := job{draw(), rapid.SampledFrom(organizations).Draw(t, "organization"), rapid.Int64Range(-3, 3).Draw(t, "at")}
				ids++
				_, err := add(s, j.id, testID(fmt.Sprint(ids)), document("x"), of(j.organization, j.firstAt))
				if copies[j.id] != errors.Is(err, ErrCopiedJob) || err != nil && !copies[j.id] {
					t.Fatal(err)
				}
				if _, known := model[j.id]; !known && err == nil {
					model[j.id] = j
				}
			},
			"copy": func(t *rapid.T) {
				id := draw()
				ids++
				json := fmt.Appendf(nil, `{"id":%q,"sequence":1}`, testID(fmt.Sprint(ids)))
				located, err := checkpoint.Locate(json)
				if err != nil {
					t.Fatal(err)
				}
				_, own := model[id]
				if _, err := s.PutCopy(id, Copy{JSON: json, Located: located, At: time.UnixMilli(1)}); own != errors.Is(err, ErrOwnJob) {
					t.Fatal(err)
				}
				copies[id] = copies[id] || !own
			},
			"delete": func(t *rapid.T) {
				id := draw()
				if err := s.Delete(id); err != nil && !errors.Is(err, ErrNotFound) {
					t.Fatal(err)
				}
				delete(model, id)
				delete(copies, id)
			},
			"retain": func(t *rapid.T) {
				// No job ends, so each counts as ended when it is this old.
				now := time.UnixMilli(rapid.Int64Range(-3, 3).Draw(t, "now"))
				_, err := s.Retain(t.Context(), Retention{Age: time.Nanosecond, Abandon: time.Nanosecond}, now, func(id string) {
					delete(model, id)
					delete(copies, id)
				})
				if err != nil {
					t.Fatal(err)
				}
			},
			"reopen": func(t *rapid.T) {
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				if s, err = Open(testOptions(fs)); err != nil {
					t.Fatal(err)
				}
			},
			"": func(t *rapid.T) {
				for _, organization := range organizations {
					var want []string
					var jobs []job
					for _, j := range model {
						if j.organization == organization {
							jobs = append(jobs, j)
						}
					}
					slices.SortFunc(jobs, func(a, b job) int {
						return cmp.Or(cmp.Compare(a.firstAt, b.firstAt), cmp.Compare(a.id, b.id))
					})
					for _, j := range jobs {
						want = append(want, j.id)
					}
					got := listOf(t, s, organization, false)
					if !slices.Equal(got, want) {
						t.Fatalf("jobs of %s: %v, want %v", organization, got, want)
					}
					back := listOf(t, s, organization, true)
					slices.Reverse(back)
					if !slices.Equal(back, want) {
						t.Fatalf("jobs of %s backwards: %v, want %v", organization, back, want)
					}
				}
			},
		})
	})
}

// A store of format 1 listed no jobs; they are listed when it is opened.
func TestAnOlderStoreIsListed(t *testing.T) {
	fs := vfs.NewMem()
	s := openStore(t, fs)
	organization := testID("org")
	for n := range 3 {
		mustAdd(t, s, testID(fmt.Sprint(n)), testID(fmt.Sprint("c", n)), document("x"), of(organization, int64(n)))
	}
	want := listOf(t, s, organization, false)
	if err := s.db.DeleteRange([]byte{spaceListed}, []byte{spaceListed + 1}, pebble.Sync); err != nil {
		t.Fatal(err)
	}
	if err := s.SetMeta("format", binary.BigEndian.AppendUint32(nil, 1)); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time there is nothing to do
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = openStore(t, fs)
		if got := listOf(t, s, organization, false); len(got) != 3 || !slices.Equal(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
	}
}

// The list shows a job once its first checkpoint is on disk.
func TestJobsOfShowsWhatIsOnDisk(t *testing.T) {
	s := openStore(t, vfs.NewMem())
	job, organization := testID("job"), testID("org")
	c, _, err := begin(s, job, testID("c"), document("x"), of(organization, 1))
	if err != nil {
		t.Fatal(err)
	}
	if got := listOf(t, s, organization, false); len(got) != 0 {
		t.Errorf("before its sync: %v", got)
	}
	if err := c.Wait(); err != nil {
		t.Fatal(err)
	}
	if got := listOf(t, s, organization, false); !slices.Equal(got, []string{job}) {
		t.Errorf("after its sync: %v", got)
	}
}

func TestEntry(t *testing.T) {
	s := openStore(t, vfs.NewMem())
	job := testID("job")
	mustAdd(t, s, job, testID("c"), document("x"), func(a *Append) { a.Summary.ActionType = "think" })
	e, err := s.Entry(job, 1)
	if err != nil || e.ID != testID("c") || e.Sequence != 1 || e.Summary.ActionType != "think" {
		t.Errorf("got %+v, %v", e, err)
	}
	if _, err := s.Entry(job, 2); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
}
