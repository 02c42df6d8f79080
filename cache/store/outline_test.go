package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"milepost/internal/checkpoint"
)

// An outline is the checkpoint's JSON with null for what is stored elsewhere,
// whether its literal is kept with the new parts, without any, or apart because
// it is long.
func TestOutlineLeavesMessagesOut(t *testing.T) {
	s := openStore(t, vfs.NewMem())
	job := testID("job")
	a, b, c := message(1, 500), message(2, 500), message(3, 500)
	long := message(4, 100<<10)
	for n, tt := range []struct {
		doc  checkpoint.Document
		want string
	}{
		{document("all new", a, b), `{"head":"all new","messages":[null]}`},
		{document("nothing new", a, b), `{"head":"nothing new","messages":[null]}`},
		{document("one new", a, b, c), `{"head":"one new","messages":[null]}`},
		{document("out of order", c, a, b), `{"head":"out of order","messages":[null,null]}`},
		{document("short ones stay", a, `"short"`, c), `{"head":"short ones stay","messages":[null,"short",null]}`},
		{document("none"), `{"head":"none","messages":[]}`},
		{document(long[1:len(long)-1], a, message(5, 500)), `{"head":` + long + `,"messages":[null,null]}`},
	} {
		sequence := uint64(n + 1)
		mustAdd(t, s, job, testID(fmt.Sprint("c", n)), tt.doc, nil)
		got, err := s.Outline(job, sequence, []byte("before "))
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != "before "+tt.want {
			t.Errorf("outline of %.60s:\n%.200s\nwant\n%.200s", tt.doc.JSON, got, tt.want)
		}
		if !json.Valid(got[len("before "):]) {
			t.Errorf("no JSON: %.200s", got)
		}
		wantRead(t, s, job, sequence, tt.doc.JSON)
	}
	if _, err := s.Outline(job, 99, nil); !errors.Is(err, ErrNotFound) {
		t.Errorf("outline of a checkpoint that is not there: %v", err)
	}
}

// BenchmarkFilteredScan looks at 10,000 checkpoints of a hundred messages of
// 1 KiB, of which each repeats 99, as a filtered list does.
func BenchmarkFilteredScan(b *testing.B) {
	const count, window = 10_000, 100
	o := Options{Dir: b.TempDir()}
	s, err := Open(o)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	job := testID("job")
	parts := make([]string, 0, count)
	var last *Commit
	for n := range count {
		parts = append(parts, message(n, 1<<10))
		d := document("x", parts[max(0, len(parts)-window):]...)
		c, _, err := begin(s, job, testID(fmt.Sprint("c", n)), d, nil)
		if err != nil {
			b.Fatal(err)
		}
		if last != nil {
			if err := last.Wait(); err != nil {
				b.Fatal(err)
			}
		}
		last = c
	}
	if err := last.Wait(); err != nil {
		b.Fatal(err)
	}
	for _, way := range []struct {
		name string
		look func(sequence uint64, buf []byte) ([]byte, error)
	}{
		{"outline", func(q uint64, buf []byte) ([]byte, error) { return s.Outline(job, q, buf) }},
		{"whole", func(q uint64, buf []byte) ([]byte, error) {
			c, err := s.Read(job, q, buf)
			return c.JSON, err
		}},
	} {
		b.Run(way.name, func(b *testing.B) {
			var buf []byte
			for b.Loop() {
				err := s.Scan(job, 1, count, func(e Entry) (more bool, err error) {
					buf, err = way.look(e.Sequence, buf[:0])
					return true, err
				})
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
