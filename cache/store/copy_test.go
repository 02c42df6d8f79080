package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"milepost/internal/checkpoint"
)

var copyTime = time.UnixMilli(1_800_000_000_000)

// copyOf makes a checkpoint as an upstream would give it.
func copyOf(t testing.TB, id string, sequence uint64, status checkpoint.Status, parts ...string) Copy {
	t.Helper()
	at := ""
	if sequence > 0 {
		at = fmt.Sprintf(`,"sequence":%d`, sequence)
	}
	json := fmt.Sprintf(`{"id":"%s"%s,"status":"%s","expert":{"key":"expert"},"x":[1.10],"messages":[%s]}`, id, at, status, strings.Join(parts, ","))
	l, err := checkpoint.Locate([]byte(json))
	if err != nil {
		t.Fatal(err)
	}
	return Copy{JSON: []byte(json), Located: l, At: copyTime}
}

// copyID is the id of a copy, which must be a real one.
func copyID(n int) string { return fmt.Sprintf("c%023d", n) }

func mustPut(t testing.TB, s *Store, job string, c Copy) (replaced bool) {
	t.Helper()
	replaced, err := s.PutCopy(job, c)
	if err != nil {
		t.Fatal(err)
	}
	return replaced
}

func wantTail(t testing.TB, s *Store, job, id string, sequence uint64) {
	t.Helper()
	if gotID, got, err := s.CopyTail(job); err != nil || gotID != id || got != sequence {
		t.Errorf("tail %d %q, %v; want %d %q", got, gotID, err, sequence, id)
	}
}

func wantCopy(t testing.TB, s *Store, job string, c Copy) {
	t.Helper()
	got, err := s.ReadCopy(job, c.Located.ID, nil)
	if err != nil || string(got.JSON) != string(c.JSON) || got.ID != c.Located.ID || got.Sequence != c.Located.Sequence {
		t.Errorf("copy %s reads back as %d %s, %v", c.Located.ID, got.Sequence, got.ID, err)
	}
}

// A copied job is read like any other.
func TestCopiesAreReadAsAppended(t *testing.T) {
	fs := vfs.NewMem()
	s := openStore(t, fs)
	job := testID("job")
	var copies []Copy
	var parts []string
	for n := 1; n <= 5; n++ {
		parts = append(parts, message(n, 400))
		c := copyOf(t, copyID(n), uint64(n), checkpoint.StatusProceeding, parts...)
		copies = append(copies, c)
		mustPut(t, s, job, c)
		wantTail(t, s, job, copyID(n), uint64(n))
	}
	check := func(s *Store) {
		t.Helper()
		next := uint64(2)
		err := s.ReadFrom(job, 2, func(c Checkpoint) bool {
			if c.Sequence != next || string(c.JSON) != string(copies[next-1].JSON) {
				t.Errorf("checkpoint %d is %d %s", next, c.Sequence, c.ID)
			}
			next++
			return true
		})
		if err != nil || next != 6 {
			t.Errorf("stopped before %d: %v", next, err)
		}
		for _, c := range copies {
			wantCopy(t, s, job, c)
			wantRead(t, s, job, c.Located.Sequence, c.JSON)
			if sequence, err := s.Sequence(job, c.Located.ID); err != nil || sequence != c.Located.Sequence {
				t.Errorf("sequence %d, %v", sequence, err)
			}
		}
		if tail, err := s.Tail(job); err != nil || tail != (Tail{Sequence: 5, ID: copyID(5), Status: checkpoint.JobProcessing}) {
			t.Errorf("tail %+v, %v", tail, err)
		}
		record, err := s.Job(job)
		if err != nil || !record.Complete() || record.Count != 5 || record.Parts != 5 || record.LastAt != copyTime.UnixMilli() {
			t.Errorf("record %+v, %v", record, err)
		}
		_ = s.Scan(job, 5, 5, func(e Entry) (bool, error) {
			if e.Summary.Status != "proceeding" || e.Summary.ExpertKey != "expert" || e.Size != len(copies[4].JSON) {
				t.Errorf("entry %+v", e)
			}
			return true, nil
		})
	}
	check(s)
	backup := "/backup"
	if err := s.Backup(backup); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, fs)
	check(s)
	o := testOptions(fs)
	o.Dir = backup
	b, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	check(b)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}

	// After a restart the line is found again, and after a deletion nothing.
	c := copyOf(t, copyID(6), 6, checkpoint.StatusCompleted, append(parts, message(6, 400))...)
	mustPut(t, s, job, c)
	if record, _ := s.Job(job); record.Parts != 6 || record.Status != checkpoint.JobCompleted || record.EndedAt != copyTime.UnixMilli() {
		t.Errorf("record %+v; want 6 parts and the end", record)
	}
	if err := s.Delete(job); err != nil {
		t.Fatal(err)
	}
	wantTail(t, s, job, "", 0)
	if _, err := s.ReadCopy(job, copyID(6), nil); !errors.Is(err, ErrNotFound) {
		t.Errorf("read after the deletion: %v", err)
	}
	mustPut(t, s, job, copies[0])
	wantTail(t, s, job, copyID(1), 1)
	wantCopy(t, s, job, copies[0])
}

// The parts of copies that come from the last to the first, or of a delegation, are
// shared as well.
func TestCopiesShareTheirParts(t *testing.T) {
	fs := vfs.NewMem()
	s := openStore(t, fs)
	job := testID("job")
	var parts []string
	for n := range 12 {
		parts = append(parts, message(n, 300))
	}
	delegated := func(n int, parts ...string) Copy {
		c := copyOf(t, copyID(n), uint64(n), checkpoint.StatusProceeding, parts...)
		json := strings.Replace(string(c.JSON), `"x":`, `"delegatedBy":{"checkpointId":"c","toolCallId":"t"},"x":`, 1)
		l, err := checkpoint.Locate([]byte(json))
		if err != nil || l.Line == (checkpoint.Line{}) {
			t.Fatalf("line %v, %v", l.Line, err)
		}
		return Copy{JSON: []byte(json), Located: l, At: copyTime}
	}
	for n := 10; n > 0; n-- {
		mustPut(t, s, job, copyOf(t, copyID(n), uint64(n), checkpoint.StatusProceeding, parts[:n]...))
	}
	wantTail(t, s, job, copyID(10), 10)
	mustPut(t, s, job, delegated(11, parts[0], parts[10]))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, fs)
	c := delegated(12, parts[10], parts[11])
	mustPut(t, s, job, c)
	if record, err := s.Job(job); err != nil || record.Parts != 12 {
		t.Errorf("%d parts, %v; want each of 12 once", record.Parts, err)
	}
	wantCopy(t, s, job, c)
}

// Copies come in any order; what is behind a hole can be read, but is not part of
// the log.
func TestCopiesWithHoles(t *testing.T) {
	s := openStore(t, vfs.NewMem())
	job := testID("job")
	put := func(n int, status checkpoint.Status) {
		t.Helper()
		c := copyOf(t, copyID(n), uint64(n), status, message(n, 200))
		mustPut(t, s, job, c)
		mustPut(t, s, job, c)
		wantCopy(t, s, job, c)
	}
	put(3, checkpoint.StatusProceeding)
	wantTail(t, s, job, "", 0)
	if _, err := s.Tail(job); !errors.Is(err, ErrNotFound) {
		t.Errorf("the tail of a job without its first checkpoint: %v", err)
	}
	if record, err := s.Job(job); err != nil || record.Count != 0 || record.Complete() {
		t.Errorf("record %+v, %v", record, err)
	}
	put(1, checkpoint.StatusCompleted)
	wantTail(t, s, job, copyID(1), 1)
	if tail, err := s.Tail(job); err != nil || tail.Sequence != 1 || tail.Status != "" {
		t.Errorf("before a hole: %+v, %v; want no status, as the job went on", tail, err)
	}
	put(6, checkpoint.StatusInit)
	put(4, checkpoint.StatusStoppedByError)
	put(2, checkpoint.StatusProceeding)
	wantTail(t, s, job, copyID(4), 4)
	if record, _ := s.Job(job); record.Status != checkpoint.JobFailed || record.EndedAt == 0 || record.Complete() {
		t.Errorf("record %+v; want the status after checkpoint 4", record)
	}
	put(5, checkpoint.StatusProceeding)
	wantTail(t, s, job, copyID(6), 6)
	if record, _ := s.Job(job); record.Status != checkpoint.JobProcessing || record.EndedAt != 0 || !record.Complete() {
		t.Errorf("record %+v; want an open job without holes", record)
	}
}

// A copy without a sequence is found by its id, until its sequence is known.
func TestCopiesWithoutSequence(t *testing.T) {
	s := openStore(t, vfs.NewMem())
	job := testID("job")
	loose := copyOf(t, copyID(1), 0, checkpoint.StatusInit, message(1, 300))
	mustPut(t, s, job, loose)
	mustPut(t, s, job, loose)
	wantCopy(t, s, job, loose)
	wantTail(t, s, job, "", 0)
	if record, err := s.Job(job); err != nil || record.Copy.Loose != 1 || record.Complete() {
		t.Errorf("record %+v, %v", record, err)
	}
	if _, err := s.Sequence(job, copyID(1)); !errors.Is(err, ErrNotFound) {
		t.Errorf("its sequence: %v", err)
	}
	known := copyOf(t, copyID(1), 1, checkpoint.StatusInit, message(1, 300))
	mustPut(t, s, job, known)
	mustPut(t, s, job, loose)
	wantCopy(t, s, job, known)
	wantTail(t, s, job, copyID(1), 1)
	if record, err := s.Job(job); err != nil || record.Copy.Loose != 0 || !record.Complete() || record.Parts != 1 {
		t.Errorf("record %+v, %v", record, err)
	}
	if v, err := s.get(bytesKey(job, kindLoose, copyID(1))); v != nil || err != nil {
		t.Errorf("it is still there without its sequence, too: %v", err)
	}
}

// An upstream's job that began anew takes the place of the old as a whole.
func TestCopyOfAJobThatBeganAnew(t *testing.T) {
	for name, tt := range map[string]struct {
		id       int
		sequence uint64
	}{
		"a sequence of another id":      {9, 2},
		"an id of another sequence":     {2, 5},
		"both":                          {2, 3},
		"a sequence behind a hole":      {9, 7},
		"the first":                     {9, 1},
		"an id that was behind a hole":  {7, 1},
		"an id that comes to the front": {3, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := openStore(t, vfs.NewMem())
			job, other := testID("job"), testID("jobb")
			var old []Copy
			for _, n := range []int{1, 2, 3, 7} {
				c := copyOf(t, copyID(n), uint64(n), checkpoint.StatusCompleted, message(1, 300), message(n, 300))
				old = append(old, c)
				mustPut(t, s, job, c)
				mustPut(t, s, other, c)
			}
			mustPut(t, s, job, copyOf(t, copyID(8), 0, checkpoint.StatusInit))
			anew := copyOf(t, copyID(tt.id), tt.sequence, checkpoint.StatusInit, message(1, 300), message(20, 300))
			if !mustPut(t, s, job, anew) {
				t.Error("not reported as replaced")
			}
			if mustPut(t, s, job, anew) {
				t.Error("replaced again by the same")
			}
			wantCopy(t, s, job, anew)
			for _, id := range []int{1, 2, 3, 7, 8} {
				if id == tt.id {
					continue
				}
				if _, err := s.ReadCopy(job, copyID(id), nil); !errors.Is(err, ErrNotFound) {
					t.Errorf("checkpoint %d is still there: %v", id, err)
				}
			}
			if tt.sequence == 1 {
				wantTail(t, s, job, copyID(tt.id), 1)
			} else {
				wantTail(t, s, job, "", 0)
			}
			if record, _ := s.Job(job); record.Parts != 2 || record.Copy.Highest != tt.sequence || record.Copy.Loose != 0 {
				t.Errorf("record %+v", record)
			}
			for _, c := range old {
				wantCopy(t, s, other, c)
			}
		})
	}
}

// What is remembered of the old job is not referred to by the new one.
func TestCopiesAfterAJobBeganAnew(t *testing.T) {
	s := openStore(t, vfs.NewMem())
	job := testID("job")
	mustPut(t, s, job, copyOf(t, copyID(1), 1, checkpoint.StatusInit, message(1, 300)))
	if !mustPut(t, s, job, copyOf(t, copyID(2), 1, checkpoint.StatusInit)) {
		t.Fatal("not replaced")
	}
	c := copyOf(t, copyID(3), 2, checkpoint.StatusInit, message(2, 300), message(1, 300))
	mustPut(t, s, job, c)
	wantCopy(t, s, job, c)
}

// A copy that is replaced between the look for its place and the reading of it is
// not there, rather than another.
func TestReadCopyDoesNotMistakeOneForAnother(t *testing.T) {
	s := openStore(t, vfs.NewMem())
	job := testID("job")
	mustPut(t, s, job, copyOf(t, copyID(1), 1, checkpoint.StatusInit))
	v := newWriter(2)
	v.uint(1)
	if err := s.db.Set(bytesKey(job, kindID, copyID(2)), v, pebble.NoSync); err != nil {
		t.Fatal(err)
	}
	if got, err := s.ReadCopy(job, copyID(2), nil); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %s, %v", got.ID, err)
	}
}

func TestOwnAndCopiedJobsDoNotMix(t *testing.T) {
	fs := vfs.NewMem()
	s := openStore(t, fs)
	own, copied := testID("own"), testID("copied")
	mustAdd(t, s, own, testID("c1"), document("own"), nil)
	c := copyOf(t, copyID(1), 1, checkpoint.StatusInit)
	mustPut(t, s, copied, c)
	for range 2 {
		if _, err := s.PutCopy(own, copyOf(t, copyID(2), 2, checkpoint.StatusInit)); !errors.Is(err, ErrOwnJob) {
			t.Errorf("a copy of an own job: %v", err)
		}
		if _, _, err := s.CopyTail(own); !errors.Is(err, ErrOwnJob) {
			t.Errorf("the tail of an own job: %v", err)
		}
		if _, err := add(s, copied, testID("c2"), document("appended"), nil); !errors.Is(err, ErrCopiedJob) {
			t.Errorf("an append to a copied job: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = openStore(t, fs)
	}
	wantRead(t, s, own, 1, document("own").JSON)
	wantCopy(t, s, copied, c)
	// Once deleted, the id is free for either.
	for _, job := range []string{own, copied} {
		if err := s.Delete(job); err != nil {
			t.Fatal(err)
		}
	}
	mustPut(t, s, own, c)
	wantTail(t, s, own, copyID(1), 1)
	mustAdd(t, s, copied, testID("c1"), document("appended"), nil)
	if record, err := s.Job(copied); err != nil || record.Copied || record.Count != 1 {
		t.Errorf("record %+v, %v", record, err)
	}
}

func TestCopyMustBeOneLine(t *testing.T) {
	s := openStore(t, vfs.NewMem())
	for _, end := range []string{"\n", "\r"} {
		c := copyOf(t, copyID(1), 1, checkpoint.StatusInit)
		c.JSON = append(c.JSON, end...)
		if _, err := s.PutCopy(testID("job"), c); !errors.Is(err, ErrCopyLines) {
			t.Errorf("%q: %v", end, err)
		}
	}
}

// The store keeps nothing of the memory that a copy came in.
func TestCopyMayBeChangedAfterwards(t *testing.T) {
	s := openStore(t, vfs.NewMem())
	job := testID("job")
	first := copyOf(t, copyID(1), 1, checkpoint.StatusInit, message(1, 300))
	want := string(first.JSON)
	mustPut(t, s, job, first)
	for i := range first.JSON {
		first.JSON[i] = 'x'
	}
	second := copyOf(t, copyID(2), 2, checkpoint.StatusInit, message(1, 300), message(2, 300))
	mustPut(t, s, job, second)
	wantCopy(t, s, job, second)
	if got, err := s.ReadCopy(job, copyID(1), nil); err != nil || string(got.JSON) != want {
		t.Errorf("the first reads back changed: %v", err)
	}
	if record, _ := s.Job(job); record.Parts != 2 {
		t.Errorf("%d parts, want 2", record.Parts)
	}
}

// The same checkpoint from many at once, and others beside it.
func TestConcurrentCopies(t *testing.T) {
	s := openStore(t, vfs.NewMem())
	job := testID("job")
	const count = 40
	var copies []Copy
	var parts []string
	for n := 1; n <= count; n++ {
		parts = append(parts, message(n, 200))
		copies = append(copies, copyOf(t, copyID(n), uint64(n), checkpoint.StatusProceeding, parts...))
	}
	var all sync.WaitGroup
	for w := range 8 {
		all.Go(func() {
			for n := range count {
				// Each in an order of its own.
				c := copies[(n*(2*w+1)+w)%count]
				if replaced, err := s.PutCopy(job, c); err != nil || replaced {
					t.Errorf("replaced %t, %v", replaced, err)
				}
				if got, err := s.ReadCopy(job, c.Located.ID, nil); err != nil || string(got.JSON) != string(c.JSON) {
					t.Errorf("not there after it was put: %v", err)
				}
				_, end, err := s.CopyTail(job)
				if err != nil {
					t.Error(err)
				}
				if end > 0 {
					if _, err := s.Read(job, end, nil); err != nil {
						t.Errorf("the tail %d: %v", end, err)
					}
				}
			}
		})
	}
	all.Wait()
	wantTail(t, s, job, copyID(count), count)
	for _, c := range copies {
		wantCopy(t, s, job, c)
	}
}

// By size copies go as a whole, those first that were written to longest ago, also
// of live jobs, but none that is in use. By age only ended ones go.
func TestRetentionOfCopies(t *testing.T) {
	now := copyTime.Add(time.Hour)
	fill := func(t *testing.T) (*Store, uint64) {
		s := openStore(t, vfs.NewMem())
		for minute, name := range []string{"d", "b", "c", "a"} {
			status := checkpoint.StatusProceeding
			if name == "c" {
				status = checkpoint.StatusCompleted
			}
			c := copyOf(t, copyID(1), 1, status, message(minute, 1000))
			c.At = copyTime.Add(time.Duration(minute) * time.Minute)
			mustPut(t, s, testID(name), c)
		}
		mustAdd(t, s, testID("own"), testID("c"), document("own", message(1, 1000)), nil)
		record, err := s.Job(testID("a"))
		if err != nil {
			t.Fatal(err)
		}
		return s, record.Bytes
	}
	for name, tt := range map[string]struct {
		rule func(each uint64) Retention
		gone string
	}{
		"all fits":        {func(each uint64) Retention { return Retention{Size: 6 * each} }, ""},
		"one too many":    {func(each uint64) Retention { return Retention{Size: 4*each + each/2} }, "d"},
		"room for one":    {func(each uint64) Retention { return Retention{Size: each / 2} }, "dbca"},
		"the oldest used": {func(each uint64) Retention { return Retention{Size: 4*each + each/2, InUse: isJob("d")} }, "b"},
		"old":             {func(uint64) Retention { return Retention{Age: time.Minute} }, "c"},
		"not old enough":  {func(uint64) Retention { return Retention{Age: time.Hour} }, ""},
		"old but used":    {func(uint64) Retention { return Retention{Age: time.Minute, InUse: isJob("c")} }, ""},
		"old after a live one, and too much": {func(each uint64) Retention {
			return Retention{Age: 56 * time.Minute, Size: 4*each + each/2}
		}, "dc"},
	} {
		t.Run(name, func(t *testing.T) {
			s, each := fill(t)
			gone := ""
			_, err := s.Retain(context.Background(), tt.rule(each), now, func(job string) { gone += strings.TrimLeft(job, "0 ") })
			if err != nil || gone != tt.gone {
				t.Errorf("gone %q, %v; want %q", gone, err, tt.gone)
			}
			for _, name := range tt.gone {
				wantTail(t, s, testID(string(name)), "", 0)
			}
		})
	}
}

func isJob(name string) func(string) bool {
	return func(job string) bool { return job == testID(name) }
}

// Damage to what is there fails a put that needs it, and nothing has changed.
func TestPutCopyOverDamage(t *testing.T) {
	s := openStore(t, vfs.NewMem())
	job := testID("job")
	mustPut(t, s, job, copyOf(t, copyID(2), 2, checkpoint.StatusInit))
	if err := s.db.Set(bytesKey(job, kindID, copyID(2)), []byte{formatVersion}, pebble.NoSync); err != nil {
		t.Fatal(err)
	}
	if _, err := s.PutCopy(job, copyOf(t, copyID(1), 1, checkpoint.StatusInit)); !errors.Is(err, ErrCorrupt) {
		t.Errorf("put that fills the hole before it: %v", err)
	}
	wantTail(t, s, job, "", 0)
	if _, err := s.Read(job, 1, nil); !errors.Is(err, ErrNotFound) {
		t.Errorf("it was stored all the same: %v", err)
	}
}

func TestPutCopyIsRefusedWithLittleSpace(t *testing.T) {
	s := openStore(t, vfs.NewMem())
	s.disk.low.Store(true)
	if _, err := s.PutCopy(testID("job"), copyOf(t, copyID(1), 1, checkpoint.StatusInit)); !errors.Is(err, ErrLowSpace) {
		t.Errorf("got %v", err)
	}
	s.disk.low.Store(false)
}

// BenchmarkPutCopy stores checkpoints of 8 KB that repeat the one before, without a
// disk.
func BenchmarkPutCopy(b *testing.B) {
	o := testOptions(vfs.NewMem())
	o.MemTable, o.AppendMemory, o.BlockCache = 0, 0, 0
	s, err := Open(o)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	var parts []string
	for n := range 8 {
		parts = append(parts, message(n, 1000))
	}
	b.ReportAllocs()
	sequences := make([]uint64, benchJobs)
	jobs := make([]string, benchJobs)
	for i := range jobs {
		jobs[i] = checkpoint.NewID()
	}
	c := copyOf(b, copyID(1), 1, checkpoint.StatusProceeding, parts...)
	for i := 0; b.Loop(); i++ {
		sequences[i%benchJobs]++
		c.Located.ID, c.Located.Sequence = checkpoint.NewID(), sequences[i%benchJobs]
		if _, err := s.PutCopy(jobs[i%benchJobs], c); err != nil {
			b.Fatal(err)
		}
	}
}
