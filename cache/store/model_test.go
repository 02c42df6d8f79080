package store

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"milepost/internal/checkpoint"
)

// TestStoreAgreesWithAModel runs random histories, with the store closed and
// opened again in the middle, against lists in memory.
func TestStoreAgreesWithAModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type entry struct {
			id   string
			json []byte
		}
		fs := vfs.NewMem()
		options := testOptions(fs)
		// Sometimes nothing is remembered, so that parts are found by hash.
		options.AppendMemory = rapid.SampledFrom([]int64{-1, 4 << 10, 1 << 20}).Draw(t, "memory")
		s, err := Open(options)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		model := map[string][]entry{}
		ids := 0
		job := func() string { return testID(rapid.SampledFrom([]string{"a", "b", "ab"}).Draw(t, "job")) }

		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				id := job()
				var parts []string
				for _, n := range rapid.SliceOfN(rapid.IntRange(0, 12), 0, 20).Draw(t, "parts") {
					parts = append(parts, message(n, 8+n*n*20))
				}
				doc := document(rapid.StringMatching(`[a-z]{0,200}`).Draw(t, "head"), parts...)
				line := checkpoint.Line{ToolCallID: rapid.SampledFrom([]string{"", "x"}).Draw(t, "line")}
				ids++
				name := testID(fmt.Sprintf("c%d", ids))
				sequence, err := add(s, id, name, doc, func(a *Append) { a.Line = line })
				if err != nil {
					t.Fatal(err)
				}
				model[id] = append(model[id], entry{name, doc.JSON})
				if sequence != uint64(len(model[id])) {
					t.Fatalf("sequence %d, want %d", sequence, len(model[id]))
				}
			},
			"delete": func(t *rapid.T) {
				id := job()
				err := s.Delete(id)
				if want := len(model[id]) > 0; want != (err == nil) || err != nil && !errors.Is(err, ErrNotFound) {
					t.Fatalf("delete of a job with %d checkpoints: %v", len(model[id]), err)
				}
				delete(model, id)
			},
			"reopen": func(t *rapid.T) {
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				if s, err = Open(options); err != nil {
					t.Fatal(err)
				}
			},
			"scan": func(t *rapid.T) {
				id := job()
				n := uint64(len(model[id]))
				if n == 0 {
					return
				}
				first := rapid.Uint64Range(1, n).Draw(t, "first")
				last := rapid.Uint64Range(1, n).Draw(t, "last")
				var got []uint64
				err := s.Scan(id, first, last, func(e Entry) (bool, error) {
					want := model[id][e.Sequence-1]
					if e.ID != want.id || e.Size != len(want.json) {
						return false, fmt.Errorf("entry %d is %s of %d bytes", e.Sequence, e.ID, e.Size)
					}
					got = append(got, e.Sequence)
					return true, nil
				})
				if err != nil {
					t.Fatal(err)
				}
				want, step := first, uint64(1)
				if first > last {
					step = ^uint64(0)
				}
				for _, g := range got {
					if g != want {
						t.Fatalf("scan from %d to %d gave %v", first, last, got)
					}
					want += step
				}
				if want != last+step {
					t.Fatalf("scan from %d to %d gave %v", first, last, got)
				}
			},
			"": func(t *rapid.T) {
				for _, id := range []string{testID("a"), testID("b"), testID("ab")} {
					record, err := s.Job(id)
					if len(model[id]) == 0 {
						if !errors.Is(err, ErrNotFound) {
							t.Fatalf("job without checkpoints: %v", err)
						}
						continue
					}
					if err != nil || record.Count != uint64(len(model[id])) {
						t.Fatalf("%d checkpoints, %v; want %d", record.Count, err, len(model[id]))
					}
					for i, e := range model[id] {
						sequence, err := s.Sequence(id, e.id)
						if err != nil || sequence != uint64(i+1) {
							t.Fatalf("checkpoint %s has sequence %d, %v", e.id, sequence, err)
						}
						got, err := s.Read(id, sequence, nil)
						if err != nil || got.ID != e.id || !bytes.Equal(got.JSON, e.json) {
							t.Fatalf("checkpoint %d does not read back: %v", sequence, err)
						}
					}
				}
			},
		})
	})
}
