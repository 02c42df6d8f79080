package store

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"milepost/internal/checkpoint"
)

// spoolMax is room for a hundred bodies of spoolBody.
const spoolMax = 100 * 64

func openSpool(t testing.TB, s *Store) *Spool {
	t.Helper()
	p, err := OpenSpool(s, spoolMax)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// spoolBody is a request's body of 64 bytes that differs by its key.
func spoolBody(key string) []byte { return fmt.Appendf(nil, "%064s", key) }

func localID(n int) string { return fmt.Sprintf("l%023d", n) }

// acceptance is of a request whose checkpoint is the n-th of ours.
func acceptance(t testing.TB, job string, n int) Acceptance {
	key := fmt.Sprint("key-", n)
	return Acceptance{
		Job: job, Body: spoolBody(key),
		Letter: Letter{ID: localID(n), Key: key, Target: "/target", ContentType: "application/json", At: copyTime},
		Make: func(s Slot) (Copy, error) {
			return copyOf(t, localID(n), s.Place, "proceeding", message(n, 80)), nil
		},
	}
}

func mustAccept(t testing.TB, p *Spool, job string, n int) Accepted {
	t.Helper()
	a, err := p.Accept(acceptance(t, job, n))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// mustDeliver ends the next letter of a job with the upstream's n-th checkpoint.
func mustDeliver(t testing.TB, p *Spool, job string, n int) Settled {
	t.Helper()
	l, ok := p.Next(job)
	if !ok {
		t.Fatal("nothing to deliver")
	}
	done, err := p.Deliver(l, copyOf(t, copyID(n), uint64(n), "proceeding", message(n, 90)))
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// wantLog holds the copy of a job against the ids that it should have, in order.
func wantLog(t testing.TB, s *Store, job string, want ...string) {
	t.Helper()
	var got []string
	err := s.ReadFrom(job, 1, func(c Checkpoint) bool {
		got = append(got, c.ID)
		if c.Sequence != uint64(len(got)) {
			t.Errorf("%s stands at %d", c.ID, c.Sequence)
		}
		return true
	})
	if err != nil || strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("the copy has %v, want %v, %v", got, want, err)
	}
	record, err := s.Job(job)
	if len(want) > 0 && (err != nil || record.Count != uint64(len(want)) || !record.Complete() || record.Copy.LastID != want[len(want)-1]) {
		t.Errorf("record %+v, %v", record, err)
	}
}

func wantLocal(t testing.TB, s *Store, job string, n int, upstream string) {
	t.Helper()
	if got, local, err := s.Local(job, localID(n)); err != nil || !local || got != upstream {
		t.Errorf("local id %d leads to %q, %t, %v; want %q", n, got, local, err, upstream)
	}
}

// What is accepted stands at the end of the copy, survives a restart, and gives
// way to what the upstream makes of it, at the same place.
func TestSpooledCheckpointsBecomeTheUpstreams(t *testing.T) {
	fs, job := vfs.NewMem(), testID("job")
	s := openStore(t, fs)
	p := openSpool(t, s)
	mustPut(t, s, job, copyOf(t, copyID(1), 1, "proceeding"))
	if a := mustAccept(t, p, job, 2); a.Sequence != 2 || a.Replayed {
		t.Errorf("accepted %+v", a)
	}
	mustAccept(t, p, job, 3)
	wantLog(t, s, job, copyID(1), localID(2), localID(3))
	wantTail(t, s, job, copyID(1), 1) // a follower asks the upstream for what it knows
	wantLocal(t, s, job, 2, "")

	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, fs)
	p = openSpool(t, s)
	if f := p.Figures(); f.Pending != 2 || f.Bytes != 128 || !f.Oldest.Equal(copyTime.Truncate(time.Millisecond)) {
		t.Errorf("figures after a restart: %+v", f)
	}
	l, _ := p.Next(job)
	if body, err := p.ReadBody(l); err != nil || string(body) != string(spoolBody("key-2")) || l.Target != "/target" || l.ContentType != "application/json" {
		t.Errorf("letter %+v with %q, %v", l, body, err)
	}
	if done := mustDeliver(t, p, job, 2); done != (Settled{Place: 2}) {
		t.Errorf("the first: %+v", done)
	}
	wantLog(t, s, job, copyID(1), copyID(2), localID(3))
	if done := mustDeliver(t, p, job, 3); done != (Settled{Place: 3, Drained: true}) {
		t.Errorf("the last: %+v", done)
	}
	wantLog(t, s, job, copyID(1), copyID(2), copyID(3))
	wantTail(t, s, job, copyID(3), 3)
	for n := 2; n <= 3; n++ {
		wantLocal(t, s, job, n, copyID(n))
		if at, err := s.Sequence(job, localID(n)); err != nil || at != uint64(n) {
			t.Errorf("local id %d stands at %d, %v", n, at, err)
		}
	}
	if f := p.Figures(); f != (SpoolFigures{}) {
		t.Errorf("figures of an empty spool: %+v", f)
	}
	// Nothing of it hinders the copy any more.
	mustPut(t, s, job, copyOf(t, copyID(4), 4, "completed"))
	wantLog(t, s, job, copyID(1), copyID(2), copyID(3), copyID(4))
}

func TestSpoolAnswersAKeyOnce(t *testing.T) {
	s := openStore(t, vfs.NewMem())
	p, job := openSpool(t, s), testID("job")
	first := mustAccept(t, p, job, 1)
	again := acceptance(t, job, 1)
	again.Letter.ID = localID(2)
	a, err := p.Accept(again)
	if err != nil || !a.Replayed || a.ID != first.ID || string(a.JSON) != string(first.JSON) {
		t.Errorf("the second time: %+v, %v", a, err)
	}
	again.Body = spoolBody("another")
	if _, err := p.Accept(again); !errors.Is(err, ErrSpoolKey) {
		t.Errorf("another body: %v", err)
	}
	wantLog(t, s, job, localID(1))
}

func TestSpoolHasABound(t *testing.T) {
	s := openStore(t, vfs.NewMem())
	p, job := openSpool(t, s), testID("job")
	for n := range 100 {
		mustAccept(t, p, job, n)
	}
	if _, err := p.Accept(acceptance(t, job, 100)); !errors.Is(err, ErrSpoolFull) {
		t.Errorf("beyond the bound: %v", err)
	}
	mustDeliver(t, p, job, 1)
	mustAccept(t, p, job, 100)
	bad := acceptance(t, job, 101)
	bad.Make = func(Slot) (Copy, error) { return Copy{}, errors.New("no") }
	mustDeliver(t, p, job, 2)
	if _, err := p.Accept(bad); err == nil {
		t.Error("what cannot be made was accepted")
	}
	mustAccept(t, p, job, 102) // its room was given back
}

// What the upstream tells of a job while something is pending may be that.
func TestCopiesWaitForTheSpool(t *testing.T) {
	s := openStore(t, vfs.NewMem())
	p, job := openSpool(t, s), testID("job")
	mustPut(t, s, job, copyOf(t, copyID(1), 1, "proceeding"))
	mustAccept(t, p, job, 2)
	for _, n := range []int{2, 3} {
		if placed, err := s.PlaceCopy(job, copyOf(t, copyID(n), uint64(n), "proceeding")); err != nil || !placed.Waits {
			t.Errorf("the upstream's %d: %+v, %v", n, placed, err)
		}
	}
	if placed, err := s.PlaceCopy(job, copyOf(t, copyID(1), 1, "proceeding")); err != nil || placed != (Placed{Place: 1, Held: true}) {
		t.Errorf("what is there: %+v, %v", placed, err)
	}
	mustDeliver(t, p, job, 2)
	if placed, err := s.PlaceCopy(job, copyOf(t, copyID(2), 2, "proceeding")); err != nil || placed != (Placed{Place: 2, Held: true}) {
		t.Errorf("the delivered one: %+v, %v", placed, err)
	}
	mustPut(t, s, job, copyOf(t, copyID(3), 3, "proceeding"))
	wantLog(t, s, job, copyID(1), copyID(2), copyID(3))
}

// A checkpoint that is refused keeps its place, though the upstream counts without
// it; what comes by the follower goes on behind, and nothing is there twice.
func TestRefusedCheckpointKeepsItsPlace(t *testing.T) {
	fs, job := vfs.NewMem(), testID("job")
	s := openStore(t, fs)
	p := openSpool(t, s)
	mustPut(t, s, job, copyOf(t, copyID(1), 1, "proceeding"))
	mustAccept(t, p, job, 7)
	mustAccept(t, p, job, 8)
	l, _ := p.Next(job)
	done, err := p.Refuse(l, 422, []byte(strings.Repeat("x", MaxRefusal+1)), copyTime)
	if err != nil || done.Drained {
		t.Fatalf("%+v, %v", done, err)
	}
	mustDeliver(t, p, job, 2)
	wantLog(t, s, job, copyID(1), localID(7), copyID(2))
	wantTail(t, s, job, copyID(2), 2)

	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, fs)
	p = openSpool(t, s)
	if f := p.Figures(); f.Pending != 0 || f.Dead != 1 {
		t.Errorf("figures: %+v", f)
	}
	placed, err := s.PlaceCopy(job, copyOf(t, copyID(3), 3, "proceeding"))
	if err != nil || placed.Place != 4 {
		t.Errorf("the next of the upstream: %+v, %v", placed, err)
	}
	if placed, err := s.PlaceCopy(job, copyOf(t, copyID(2), 2, "proceeding")); err != nil || placed.Place != 3 || placed.Replaced {
		t.Errorf("what is there: %+v, %v", placed, err)
	}
	if placed, err := s.PlaceCopy(job, copyOf(t, copyID(5), 5, "proceeding")); err != nil || placed != (Placed{}) {
		t.Errorf("beyond a hole: %+v, %v", placed, err)
	}
	wantLog(t, s, job, copyID(1), localID(7), copyID(2), copyID(3))
	wantLocal(t, s, job, 7, "")

	list, err := p.List()
	if err != nil || len(list) != 1 || !list[0].Dead || list[0].Status != 422 || len(list[0].Refusal) != MaxRefusal || !list[0].RefusedAt.Equal(copyTime.Truncate(time.Millisecond)) {
		t.Errorf("the list: %+v, %v", list, err)
	}
	// Tried again it comes last at the upstream, and stays where it was here.
	if err := p.Retry(list[0]); err != nil {
		t.Fatal(err)
	}
	mustAccept(t, p, job, 9)
	if l, _ := p.Next(job); l.ID != localID(7) {
		t.Errorf("next is %s", l.ID)
	}
	mustDeliver(t, p, job, 4)
	mustDeliver(t, p, job, 5)
	wantLog(t, s, job, copyID(1), copyID(4), copyID(2), copyID(3), copyID(5))
	wantTail(t, s, job, copyID(5), 5)
	wantLocal(t, s, job, 7, copyID(4))
}

// Somebody else has written to the job meanwhile: its checkpoint goes behind ours,
// which were shown already.
func TestStrangersCheckpointGoesBehind(t *testing.T) {
	s := openStore(t, vfs.NewMem())
	p, job := openSpool(t, s), testID("job")
	mustPut(t, s, job, copyOf(t, copyID(1), 1, "proceeding"))
	mustAccept(t, p, job, 3)
	if done := mustDeliver(t, p, job, 3); done != (Settled{Place: 2, Drained: true}) {
		t.Errorf("%+v", done)
	}
	wantTail(t, s, job, copyID(1), 1)
	for n, place := range map[int]uint64{2: 3, 3: 2} {
		if placed, err := s.PlaceCopy(job, copyOf(t, copyID(n), uint64(n), "proceeding")); n == 2 && (err != nil || placed.Place != place) {
			t.Errorf("the upstream's %d: %+v, %v", n, placed, err)
		}
	}
	if placed, err := s.PlaceCopy(job, copyOf(t, copyID(3), 3, "proceeding")); err != nil || placed.Place != 2 {
		t.Errorf("the upstream's 3: %+v, %v", placed, err)
	}
	wantLog(t, s, job, copyID(1), copyID(3), copyID(2))
	wantTail(t, s, job, copyID(3), 3)
	mustPut(t, s, job, copyOf(t, copyID(4), 4, "proceeding"))
	wantLog(t, s, job, copyID(1), copyID(3), copyID(2), copyID(4))

	// A job of which nothing was known but the delivery cannot be told in order.
	other := testID("other")
	mustAccept(t, p, other, 57)
	if done := mustDeliver(t, p, other, 57); !done.Strange || !done.Drained {
		t.Errorf("%+v", done)
	}
	if deleted, err := p.DeleteCopy(other); err != nil || !deleted {
		t.Errorf("%t, %v", deleted, err)
	}
}

// The upstream's checkpoint came by another way before the answer did: it stays
// where it is, and ours goes.
func TestDeliveryOfWhatIsThere(t *testing.T) {
	s := openStore(t, vfs.NewMem())
	p, job := openSpool(t, s), testID("job")
	mustPut(t, s, job, copyOf(t, copyID(1), 1, "proceeding"))
	mustAccept(t, p, job, 1)
	mustAccept(t, p, job, 2)
	if done := mustDeliver(t, p, job, 1); !done.Moved || done.Drained {
		t.Errorf("%+v", done)
	}
	wantLog(t, s, job, copyID(1), localID(2))
	wantLocal(t, s, job, 1, copyID(1))
	if at, err := s.Sequence(job, localID(1)); err != nil || at != 1 {
		t.Errorf("%d, %v", at, err)
	}
	mustDeliver(t, p, job, 2)
	wantLog(t, s, job, copyID(1), copyID(2))
	wantTail(t, s, job, copyID(2), 2)
}

func TestDrop(t *testing.T) {
	s := openStore(t, vfs.NewMem())
	p, job := openSpool(t, s), testID("job")
	for n := 1; n <= 4; n++ {
		mustAccept(t, p, job, n)
	}
	l, err := p.Find(localID(2))
	if err != nil {
		t.Fatal(err)
	}
	if done, err := p.Drop(l); err != nil || !done.Moved || done.Drained {
		t.Errorf("%+v, %v", done, err)
	}
	wantLog(t, s, job, localID(1), localID(3), localID(4))
	if _, local, err := s.Local(job, localID(2)); local || err != nil {
		t.Errorf("%t, %v", local, err)
	}
	if _, err := s.Sequence(job, localID(2)); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	for n := 1; n <= 3; n++ {
		mustDeliver(t, p, job, n)
	}
	wantLog(t, s, job, copyID(1), copyID(2), copyID(3))
	if _, err := p.Find(localID(2)); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	// The last of a copy takes the job with it.
	other := testID("other")
	mustAccept(t, p, other, 9)
	l, _ = p.Next(other)
	if done, err := p.Drop(l); err != nil || !done.Drained {
		t.Errorf("%+v, %v", done, err)
	}
	if _, err := s.Job(other); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	mustAccept(t, p, other, 10)
	wantLog(t, s, other, localID(10))
}

// A job that is deleted takes its letters with it; one that is pending is not
// deleted as a mere copy.
func TestDeletedJobTakesItsLetters(t *testing.T) {
	s := openStore(t, vfs.NewMem())
	p, job := openSpool(t, s), testID("job")
	mustPut(t, s, job, copyOf(t, copyID(1), 1, "proceeding"))
	mustAccept(t, p, job, 2)
	mustAccept(t, p, job, 3)
	if deleted, err := p.DeleteCopy(job); deleted || err != nil {
		t.Errorf("%t, %v", deleted, err)
	}
	l, _ := p.Next(job)
	if err := p.Delete(job); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Job(job); !errors.Is(err, ErrNotFound) || p.Has(job) || p.Figures() != (SpoolFigures{}) {
		t.Errorf("%v, %+v", err, p.Figures())
	}
	// Its delivery was under way.
	if done, err := p.Deliver(l, copyOf(t, copyID(2), 2, "proceeding")); err != nil || !done.Drained {
		t.Errorf("%+v, %v", done, err)
	}
	if err := p.Delete(job); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
}

// A copy that is of another job than the upstream's goes although something of it
// was refused. What was refused can still be tried again, or dropped.
func TestRefusedLetterOutlivesItsCopy(t *testing.T) {
	s := openStore(t, vfs.NewMem())
	p, job := openSpool(t, s), testID("job")
	mustPut(t, s, job, copyOf(t, copyID(1), 1, "proceeding"))
	for n := 2; n <= 3; n++ {
		mustAccept(t, p, job, n)
		l, _ := p.Next(job)
		if _, err := p.Refuse(l, 400, nil, copyTime); err != nil {
			t.Fatal(err)
		}
	}
	if deleted, err := p.DeleteCopy(job); err != nil || !deleted {
		t.Fatalf("%t, %v", deleted, err)
	}
	mustPut(t, s, job, copyOf(t, copyID(5), 1, "proceeding"))
	list, err := p.List()
	if err != nil || len(list) != 2 {
		t.Fatalf("%v, %v", list, err)
	}
	if _, err := p.Checkpoint(list[0]); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	if err := p.Retry(list[0]); err != nil {
		t.Fatal(err)
	}
	if done := mustDeliver(t, p, job, 2); done != (Settled{Drained: true}) {
		t.Errorf("%+v", done)
	}
	if done, err := p.Drop(list[1]); err != nil || done != (Settled{Drained: true}) {
		t.Errorf("%+v, %v", done, err)
	}
	wantLog(t, s, job, copyID(5))
	if !p.Empty() || p.Has(job) {
		t.Errorf("%+v", p.Figures())
	}
}

// The run that a checkpoint goes on with is told from the last of its line.
func TestSlotHasTheLastOfTheLine(t *testing.T) {
	s := openStore(t, vfs.NewMem())
	p, job := openSpool(t, s), testID("job")
	mustPut(t, s, job, copyOf(t, copyID(1), 1, "proceeding", message(1, 80)))
	mustPut(t, s, job, copyOf(t, copyID(2), 2, "proceeding"))
	for _, c := range []struct {
		line checkpoint.Line
		want string
	}{
		{checkpoint.Line{}, copyID(2)},
		{checkpoint.Line{CheckpointID: copyID(1), ToolCallID: "call", ExpertKey: "expert"}, ""},
	} {
		a := acceptance(t, job, 3)
		a.Line = c.line
		got := ""
		a.Make = func(s Slot) (Copy, error) {
			if s.Last != nil {
				l, err := checkpoint.Locate(s.Last)
				if err != nil {
					t.Fatal(err)
				}
				got = l.ID
			}
			return Copy{}, errors.New("that was all")
		}
		if _, err := p.Accept(a); err == nil || got != c.want {
			t.Errorf("line %+v: %q, want %q", c.line, got, c.want)
		}
	}
}

// A letter that was refused outlives the copy of its job. What becomes of it then
// is not counted in the copy that follows, which would wait for it for good.
func TestLettersOfAnOlderCopyAreNotCounted(t *testing.T) {
	s, job := openStore(t, vfs.NewMem()), testID("job")
	p := openSpool(t, s)
	mustAccept(t, p, job, 1)
	old, _ := p.Next(job)
	if _, err := p.Refuse(old, 422, nil, copyTime); err != nil {
		t.Fatal(err)
	}
	if deleted, err := p.DeleteCopy(job); err != nil || !deleted {
		t.Fatalf("deleted %t, %v", deleted, err)
	}
	mustAccept(t, p, job, 2)
	old, err := p.Find(localID(1))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Retry(old); err != nil {
		t.Fatal(err)
	}
	mustDeliver(t, p, job, 1)
	if done := mustDeliver(t, p, job, 2); !done.Drained {
		t.Errorf("settled %+v", done)
	}
	placed, err := s.PlaceCopy(job, copyOf(t, copyID(2), 2, "proceeding", message(2, 90)))
	if err != nil || placed.Place != 2 {
		t.Errorf("the upstream's next: %+v, %v; want place 2", placed, err)
	}
}
