package store

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// After a crash at any moment everything is there that was acknowledged or
// shown before it, sequences are dense, and idempotency keys are known.
func TestCrashLosesNothingAcknowledged(t *testing.T) {
	const jobs, writers, each = 3, 2, 12
	for seed := range uint64(8) {
		rng := rand.New(rand.NewPCG(seed, 1))
		fs := vfs.NewCrashableMem()
		s := openStore(t, fs)

		var mu sync.Mutex
		acknowledged := make(map[string]map[uint64]string) // JSON by job and sequence
		keys := make(map[string]map[string]uint64)
		total := 0
		crashAt := 1 + rng.IntN(jobs*writers*each-1)
		reached := make(chan struct{})

		var all sync.WaitGroup
		for w := range jobs * writers {
			job := testID(fmt.Sprint("job", w%jobs))
			all.Go(func() {
				var parts []string
				for n := range each {
					parts = append(parts, message(w*1000+n, 300))
					key := fmt.Sprintf("key-%d-%d", w, n)
					d := document(key, parts...)
					sequence, err := add(s, job, testID(key), d, func(a *Append) {
						a.Idempotency = &Idempotency{Key: key}
					})
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					if acknowledged[job] == nil {
						acknowledged[job] = make(map[uint64]string)
						keys[job] = make(map[string]uint64)
					}
					acknowledged[job][sequence] = string(d.JSON)
					keys[job][key] = sequence
					if total++; total == crashAt {
						close(reached)
					}
					mu.Unlock()
				}
			})
		}
		<-reached
		// What a reader saw and a client was told before the crash.
		shown := make(map[string]uint64)
		for n := range jobs {
			job := testID(fmt.Sprint("job", n))
			if record, err := s.Job(job); err == nil {
				shown[job] = record.Count
			}
		}
		mu.Lock()
		want, wantKeys := make(map[string]map[uint64]string), make(map[string]map[string]uint64)
		for job := range acknowledged {
			want[job], wantKeys[job] = make(map[uint64]string), make(map[string]uint64)
			for q, v := range acknowledged[job] {
				want[job][q] = v
			}
			for k, q := range keys[job] {
				wantKeys[job][k] = q
			}
		}
		mu.Unlock()
		clone := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng})
		all.Wait()

		r := openStore(t, clone)
		for job, checkpoints := range want {
			record, err := r.Job(job)
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			if record.Count < shown[job] {
				t.Errorf("seed %d: %d checkpoints shown before the crash, %d after", seed, shown[job], record.Count)
			}
			for q := uint64(1); q <= record.Count; q++ {
				if _, err := r.Read(job, q, nil); err != nil {
					t.Errorf("seed %d: not dense: %v", seed, err)
				}
			}
			for q, json := range checkpoints {
				wantRead(t, r, job, q, []byte(json))
			}
			j := r.Hold(job)
			if err := j.Lock(); err != nil {
				t.Fatal(err)
			}
			for key, q := range wantKeys[job] {
				if got, _, found, err := j.Answered(key); err != nil || !found || got != q {
					t.Errorf("seed %d: key %s answered with %d, %t, %v; want %d", seed, key, got, found, err, q)
				}
			}
			j.Unlock()
			j.Release()
		}
		_ = r.Close()
		_ = s.Close()
	}
}

// Concurrent writers of one job get 1 to n, each once.
func TestConcurrentWritersShareOneSequence(t *testing.T) {
	s := openStore(t, vfs.NewMem())
	job := testID("job")
	var (
		mu   sync.Mutex
		got  []uint64
		want []uint64
		all  sync.WaitGroup
	)
	for w := range 8 {
		all.Go(func() {
			for n := range 10 {
				sequence, err := add(s, job, testID(fmt.Sprintf("c%d-%d", w, n)), document("x", message(n, 200)), nil)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				got = append(got, sequence)
				mu.Unlock()
			}
		})
	}
	all.Wait()
	slices.Sort(got)
	for n := range uint64(80) {
		want = append(want, n+1)
	}
	if !slices.Equal(got, want) {
		t.Errorf("sequences %v, want 1 to 80", got)
	}
}
