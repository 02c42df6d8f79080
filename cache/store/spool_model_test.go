package store

import (
	"fmt"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"
)

// spoolModel is a job at an upstream, and the log that those who watch it here have
// seen.
type spoolModel struct {
	upstream []string
	log      []string
	pending  []string // local ids in the order of delivery
	dead     []string
	alias    map[string]string
}

func (m *spoolModel) unknown(id string) bool { return !slices.Contains(m.log, id) }

// Random histories of a job to which we and others write, with the store closed and
// opened again in the middle: the log here never changes but at its end and by
// Drop, and has all that the upstream has, once.
func TestSpoolAgreesWithAModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		fs, job := vfs.NewMem(), testID("job")
		options := testOptions(fs)
		s, err := Open(options)
		if err != nil {
			rt.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		p := openSpool(t, s)
		m := &spoolModel{alias: map[string]string{}}
		ours, theirs := 0, 0
		theirCopy := func(sequence int) Copy {
			return copyOf(t, m.upstream[sequence-1], uint64(sequence), "proceeding", message(sequence%5, 80))
		}
		write := func() string {
			theirs++
			m.upstream = append(m.upstream, copyID(theirs))
			return copyID(theirs)
		}
		m.log = append(m.log, write())
		mustPut(t, s, job, theirCopy(1))

		// follow does what a follower of the job does.
		follow := func() {
			if len(m.pending) > 0 {
				return
			}
			id, at, err := s.CopyTail(job)
			if err != nil || at == 0 || at > uint64(len(m.upstream)) || m.upstream[at-1] != id {
				rt.Fatalf("the tail is %d %s, %v; the upstream has %v", at, id, err, m.upstream)
			}
			for n := int(at) + 1; n <= len(m.upstream); n++ {
				if id := m.upstream[n-1]; m.unknown(id) {
					m.log = append(m.log, id)
				}
				placed, err := s.PlaceCopy(job, theirCopy(n))
				want := uint64(slices.Index(m.log, m.upstream[n-1]) + 1)
				if err != nil || placed.Replaced || placed.Waits || placed.Place != want {
					rt.Fatalf("the upstream's %d: %+v, %v; want %d", n, placed, err, want)
				}
			}
		}
		// settle takes a letter that has to be there.
		settle := func(list *[]string, i int) Letter {
			id := (*list)[i]
			*list = slices.Delete(*list, i, i+1)
			l, err := p.Find(id)
			if err != nil {
				rt.Fatal(err)
			}
			return l
		}
		rt.Repeat(map[string]func(*rapid.T){
			"accept": func(rt *rapid.T) {
				ours++
				a, err := p.Accept(acceptance(t, job, ours))
				if err != nil || a.Sequence != uint64(len(m.log)+1) {
					rt.Fatalf("%+v, %v", a, err)
				}
				m.log, m.pending = append(m.log, localID(ours)), append(m.pending, localID(ours))
				m.alias[localID(ours)] = ""
			},
			"deliver": func(rt *rapid.T) {
				if len(m.pending) == 0 {
					rt.Skip()
				}
				if next, ok := p.Next(job); !ok || next.ID != m.pending[0] {
					rt.Fatalf("next is %s, want %s", next.ID, m.pending[0])
				}
				l, id := settle(&m.pending, 0), write()
				done, err := p.Deliver(l, theirCopy(len(m.upstream)))
				at := slices.Index(m.log, l.ID)
				m.log[at], m.alias[l.ID] = id, id
				if err != nil || done != (Settled{Place: uint64(at + 1), Drained: len(m.pending) == 0}) {
					rt.Fatalf("%+v, %v", done, err)
				}
			},
			"refuse": func(rt *rapid.T) {
				if len(m.pending) == 0 {
					rt.Skip()
				}
				l := settle(&m.pending, 0)
				m.dead = append(m.dead, l.ID)
				if done, err := p.Refuse(l, 422, []byte("no"), copyTime); err != nil || done != (Settled{Drained: len(m.pending) == 0}) {
					rt.Fatalf("%+v, %v", done, err)
				}
			},
			"retry": func(rt *rapid.T) {
				if len(m.dead) == 0 {
					rt.Skip()
				}
				l := settle(&m.dead, rapid.IntRange(0, len(m.dead)-1).Draw(rt, "which"))
				m.pending = append(m.pending, l.ID)
				if err := p.Retry(l); err != nil {
					rt.Fatal(err)
				}
			},
			"drop": func(rt *rapid.T) {
				list := &m.dead
				if len(m.dead) == 0 || rapid.Bool().Draw(rt, "pending") {
					list = &m.pending
				}
				if len(*list) == 0 {
					rt.Skip()
				}
				l := settle(list, rapid.IntRange(0, len(*list)-1).Draw(rt, "which"))
				at := slices.Index(m.log, l.ID)
				m.log = slices.Delete(m.log, at, at+1)
				delete(m.alias, l.ID)
				if done, err := p.Drop(l); err != nil || done != (Settled{Moved: true, Drained: len(m.pending) == 0}) {
					rt.Fatalf("%+v, %v", done, err)
				}
			},
			"stranger": func(*rapid.T) { write() },
			"follow":   func(*rapid.T) { follow() },
			"again": func(rt *rapid.T) {
				n := rapid.IntRange(1, len(m.upstream)).Draw(rt, "n")
				at := slices.Index(m.log, m.upstream[n-1])
				if at < 0 {
					return
				}
				if placed, err := s.PlaceCopy(job, theirCopy(n)); err != nil || placed.Replaced || placed.Place != uint64(at+1) {
					rt.Fatalf("the upstream's %d again: %+v, %v; want %d", n, placed, err, at+1)
				}
			},
			"reopen": func(rt *rapid.T) {
				if err := s.Close(); err != nil {
					rt.Fatal(err)
				}
				if s, err = Open(options); err != nil {
					rt.Fatal(err)
				}
				p = openSpool(t, s)
			},
			"": func(rt *rapid.T) {
				wantLog(t, s, job, m.log...)
				for local, want := range m.alias {
					if got, ours, err := s.Local(job, local); err != nil || !ours || got != want {
						rt.Fatalf("%s leads to %q, %t, %v; want %q", local, got, ours, err, want)
					}
					at, err := s.Sequence(job, local)
					if want == "" {
						want = local
					}
					if err != nil || at != uint64(slices.Index(m.log, want)+1) {
						rt.Fatalf("%s stands at %d, %v", local, at, err)
					}
				}
				if f := p.Figures(); f.Pending != len(m.pending) || f.Dead != len(m.dead) || f.Bytes != int64(64*(f.Pending+f.Dead)) {
					rt.Fatalf("figures %+v of %d and %d", f, len(m.pending), len(m.dead))
				}
				if t.Failed() {
					rt.Fatal("see above")
				}
			},
		})
		// In the end nothing is missing and nothing is there twice.
		for len(m.pending) > 0 {
			l, id := settle(&m.pending, 0), write()
			if _, err := p.Deliver(l, theirCopy(len(m.upstream))); err != nil {
				rt.Fatal(err)
			}
			m.log[slices.Index(m.log, l.ID)] = id
		}
		follow()
		var got []string
		for _, id := range m.log {
			if !slices.Contains(m.dead, id) {
				got = append(got, id)
			}
		}
		slices.Sort(got)
		want := slices.Sorted(slices.Values(m.upstream))
		wantLog(t, s, job, m.log...)
		if fmt.Sprint(got) != fmt.Sprint(want) {
			rt.Fatalf("the copy has %v, the upstream %v", got, want)
		}
	})
}
