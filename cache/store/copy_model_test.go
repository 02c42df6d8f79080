package store

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"milepost/internal/checkpoint"
)

// copyModel is a copied job in memory.
type copyModel struct {
	byID map[string]Copy // with their sequences, 0 if loose
}

// put does what PutCopy should.
func (m *copyModel) put(c Copy) (replaced bool) {
	id, sequence := c.Located.ID, c.Located.Sequence
	held, known := m.byID[id]
	switch {
	case known && (sequence == 0 || held.Located.Sequence == sequence):
		return false
	case known && held.Located.Sequence > 0:
		replaced = true
	case sequence > 0 && m.at(sequence) != nil:
		replaced = true
	}
	if replaced {
		clear(m.byID)
	}
	m.byID[id] = c
	return replaced
}

func (m *copyModel) at(sequence uint64) *Copy {
	for _, c := range m.byID {
		if c.Located.Sequence == sequence {
			return &c
		}
	}
	return nil
}

// tail returns the last copy before a hole, nil if the first is not there.
func (m *copyModel) tail() (last *Copy) {
	for sequence := uint64(1); m.at(sequence) != nil; sequence++ {
		last = m.at(sequence)
	}
	return last
}

// Random histories of copies, with the store closed and opened again in the
// middle, beside a job of the store's own.
func TestCopiesAgreeWithAModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		fs := vfs.NewMem()
		options := testOptions(fs)
		options.AppendMemory = rapid.SampledFrom([]int64{-1, 4 << 10, 1 << 20}).Draw(rt, "memory")
		s, err := Open(options)
		if err != nil {
			rt.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		model := map[string]*copyModel{}
		jobs := []string{testID("a"), testID("b")}
		own := testID("own")
		appended := 0

		rt.Repeat(map[string]func(*rapid.T){
			"put": func(rt *rapid.T) {
				job := rapid.SampledFrom(jobs).Draw(rt, "job")
				n := rapid.IntRange(1, 6).Draw(rt, "n")
				// Mostly the sequence that belongs to the id, or none.
				sequence := uint64(rapid.SampledFrom([]int{n, n, n, n, n, n, 0, 0, n % 3}).Draw(rt, "sequence"))
				status := rapid.SampledFrom([]checkpoint.Status{"proceeding", "completed", "stoppedByError", "later"}).Draw(rt, "status")
				var parts []string
				for _, p := range rapid.SliceOfN(rapid.IntRange(0, 9), 0, 6).Draw(rt, "parts") {
					parts = append(parts, message(p, 8+p*p*20))
				}
				c := copyOf(t, copyID(n), sequence, status, parts...)
				if model[job] == nil {
					model[job] = &copyModel{map[string]Copy{}}
				}
				want := model[job].put(c)
				if replaced, err := s.PutCopy(job, c); err != nil || replaced != want {
					rt.Fatalf("replaced %t, %v; want %t", replaced, err, want)
				}
			},
			"append": func(rt *rapid.T) {
				appended++
				if _, err := add(s, own, testID(fmt.Sprint("c", appended)), document("own", message(appended, 100)), nil); err != nil {
					rt.Fatal(err)
				}
			},
			"delete": func(rt *rapid.T) {
				job := rapid.SampledFrom(jobs).Draw(rt, "job")
				if err := s.Delete(job); (err == nil) != (model[job] != nil) || err != nil && !errors.Is(err, ErrNotFound) {
					rt.Fatal(err)
				}
				delete(model, job)
			},
			"reopen": func(rt *rapid.T) {
				if err := s.Close(); err != nil {
					rt.Fatal(err)
				}
				if s, err = Open(options); err != nil {
					rt.Fatal(err)
				}
			},
			"": func(rt *rapid.T) {
				for _, job := range jobs {
					checkCopies(rt, s, job, model[job])
				}
				if record, err := s.Job(own); appended > 0 && (err != nil || record.Count != uint64(appended)) {
					rt.Fatalf("the own job has %d of %d, %v", record.Count, appended, err)
				}
			},
		})
	})
}

func checkCopies(t *rapid.T, s *Store, job string, m *copyModel) {
	record, err := s.Job(job)
	if m == nil {
		if !errors.Is(err, ErrNotFound) {
			t.Fatalf("record of no job: %v", err)
		}
		return
	}
	var want JobRecord
	loose, highest := uint64(0), uint64(0)
	for _, c := range m.byID {
		if highest = max(highest, c.Located.Sequence); c.Located.Sequence == 0 {
			loose++
		}
		got, err := s.ReadCopy(job, c.Located.ID, nil)
		if err != nil || string(got.JSON) != string(c.JSON) || got.Sequence != c.Located.Sequence {
			t.Fatalf("copy %s: sequence %d, %v", c.Located.ID, got.Sequence, err)
		}
	}
	if last := m.tail(); last != nil {
		want.Count, want.Copy.LastID, want.Status = last.Located.Sequence, last.Located.ID, last.Located.JobStatus()
	}
	if err != nil || record.Count != want.Count || record.Copy.LastID != want.Copy.LastID || record.Status != want.Status ||
		record.Copy.Loose != loose || record.Copy.Highest != highest || record.Complete() != (want.Count > 0 && want.Count == highest && loose == 0) {
		t.Fatalf("record %+v, %v; want %+v, highest %d, loose %d", record, err, want, highest, loose)
	}
	left := maps.Clone(m.byID)
	err = s.ReadFrom(job, 0, func(c Checkpoint) bool {
		if w := m.at(c.Sequence); w == nil || w.Located.ID != c.ID || string(w.JSON) != string(c.JSON) {
			t.Fatalf("sequence %d is %s", c.Sequence, c.ID)
		}
		delete(left, c.ID)
		return true
	})
	if err != nil || len(left) != int(loose) {
		t.Fatalf("%d not among those with a sequence, want %d: %v", len(left), loose, err)
	}
}

// After a crash at any moment the end of a copy is not beyond what is there, in
// jobs that were put in order, in another, and that began anew; and the copy goes
// on from there.
func TestCrashLeavesNoHoleInACopy(t *testing.T) {
	lost := 0
	for seed := range uint64(8) {
		rng := rand.New(rand.NewPCG(seed, 2))
		fs := vfs.NewCrashableMem()
		o := testOptions(fs)
		o.MemTable = 256 << 10 // so that some of it is flushed
		s, err := Open(o)
		if err != nil {
			t.Fatal(err)
		}
		const count = 40
		jobs := []string{testID("inorder"), testID("shuffled"), testID("anew")}
		put := func(s *Store, job string, n, generation int) {
			c := copyOf(t, copyID(n+1000*generation), uint64(n), checkpoint.StatusProceeding, message(n, 2000), message(n+1, 2000))
			if _, err := s.PutCopy(job, c); err != nil {
				t.Error(err)
			}
		}
		var crash, all sync.WaitGroup
		crash.Add(1)
		crashAt := 1 + rng.IntN(count)
		order := rng.Perm(count)
		all.Go(func() {
			for n := 1; n <= count; n++ {
				put(s, jobs[0], n, 0)
				put(s, jobs[1], order[n-1]+1, 0)
				put(s, jobs[2], 1+(n-1)%20, (n-1)/20)
				if n%16 == 0 { // a sync in between
					if _, err := add(s, testID("own"), testID(fmt.Sprint("c", n)), document("own"), nil); err != nil {
						t.Error(err)
					}
				}
				if n == crashAt {
					crash.Done()
				}
			}
		})
		crash.Wait()
		clone := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng})
		all.Wait()

		r := openStore(t, clone)
		for _, job := range jobs {
			id, end, err := r.CopyTail(job)
			if err != nil {
				t.Fatal(err)
			}
			if job == jobs[0] && end < uint64(crashAt) {
				lost++
			}
			lastID := ""
			for n := uint64(1); n <= end; n++ {
				c, err := r.Read(job, n, nil)
				if err != nil {
					t.Errorf("seed %d: the end is %d, but checkpoint %d: %v", seed, end, n, err)
					continue
				}
				if sequence, err := r.Sequence(job, c.ID); err != nil || sequence != n {
					t.Errorf("seed %d: %s has sequence %d, %v", seed, c.ID, sequence, err)
				}
				lastID = c.ID
			}
			if id != lastID {
				t.Errorf("seed %d: the last is %s, said to be %s", seed, lastID, id)
			}
			generation := 0
			if job == jobs[2] {
				generation = 7
			}
			for n := 1; n <= count; n++ {
				put(r, job, n, generation)
			}
			wantTail(t, r, job, copyID(count+1000*generation), count)
		}
		for _, s := range []*Store{r, s} {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	if lost == 0 {
		t.Error("no crash took anything, so that nothing was tested")
	}
}
