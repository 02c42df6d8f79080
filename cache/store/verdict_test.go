package store

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

var verdictCredential = sha256.Sum256([]byte("Bearer alice"))

func wantStoredVerdict(t *testing.T, v Verdicts, credential [32]byte, job string, want time.Time) {
	t.Helper()
	at, ok, err := v.Load(credential, job)
	if err != nil || ok != !want.IsZero() || ok && !at.Equal(want) {
		t.Errorf("verdict of %v, %t, %v; want %v", at, ok, err, want)
	}
}

func TestVerdictsOverARestart(t *testing.T) {
	fs := vfs.NewMem()
	s := openStore(t, fs)
	at := copyTime
	other := verdictCredential
	other[31]++ // the next key
	save := func(credential [32]byte, job string, at time.Time) {
		t.Helper()
		if err := s.Verdicts().Save(credential, job, at); err != nil {
			t.Fatal(err)
		}
	}
	save(verdictCredential, testID("b"), at.Add(-time.Minute))
	save(verdictCredential, testID("b"), at)
	save(verdictCredential, testID("a"), at.Add(time.Millisecond))
	save(other, testID("c"), at)
	save([32]byte{}, testID("a"), at.Add(time.Second))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, fs)
	v := s.Verdicts()
	wantStoredVerdict(t, v, verdictCredential, testID("b"), at)
	wantStoredVerdict(t, v, verdictCredential, testID("a"), at.Add(time.Millisecond))
	wantStoredVerdict(t, v, [32]byte{}, testID("a"), at.Add(time.Second))
	wantStoredVerdict(t, v, other, testID("a"), time.Time{})
	var jobs []string
	err := v.Each(verdictCredential, func(job string, at time.Time) bool { jobs = append(jobs, job); return true })
	if want := []string{testID("a"), testID("b")}; err != nil || !slices.Equal(jobs, want) {
		t.Errorf("jobs %q, %v; want %q", jobs, err, want)
	}
	n := 0
	if err := v.Each(verdictCredential, func(string, time.Time) bool { n++; return false }); err != nil || n != 1 {
		t.Errorf("%d visits after the visitor stopped, %v", n, err)
	}
	if n, err := v.Expire(at.Add(time.Millisecond)); err != nil || n != 2 {
		t.Errorf("%d expired, %v; want 2", n, err)
	}
	wantStoredVerdict(t, v, verdictCredential, testID("b"), time.Time{})
	wantStoredVerdict(t, v, other, testID("c"), time.Time{})
	wantStoredVerdict(t, v, verdictCredential, testID("a"), at.Add(time.Millisecond))
	if n, err := v.Expire(at); err != nil || n != 0 {
		t.Errorf("%d expired again, %v", n, err)
	}
	// None of it is among the jobs.
	if ids := jobsOf(t, s); len(ids) != 0 {
		t.Errorf("jobs %q", ids)
	}
}

// Once the wait of a deletion has ended, no crash brings the verdict back.
func TestRemovedVerdictStaysRemovedAfterACrash(t *testing.T) {
	fs := vfs.NewCrashableMem()
	s := openStore(t, fs)
	v := s.Verdicts()
	if err := v.Save(verdictCredential, testID("job"), copyTime); err != nil {
		t.Fatal(err)
	}
	if err := s.SetMeta("sync", nil); err != nil { // and with it all before
		t.Fatal(err)
	}
	wantStoredVerdict(t, openStore(t, fs.CrashClone(vfs.CrashCloneCfg{})).Verdicts(), verdictCredential, testID("job"), copyTime)
	s.disk.low.Store(true) // a refusal needs no room
	wait, err := v.Delete(verdictCredential, testID("job"))
	s.disk.low.Store(false)
	if err != nil {
		t.Fatal(err)
	}
	wantStoredVerdict(t, v, verdictCredential, testID("job"), time.Time{})
	if err := wait(); err != nil {
		t.Fatal(err)
	}
	wantStoredVerdict(t, openStore(t, fs.CrashClone(vfs.CrashCloneCfg{})).Verdicts(), verdictCredential, testID("job"), time.Time{})
}

func TestVerdictsAreNotSavedWithLittleSpace(t *testing.T) {
	s := openStore(t, vfs.NewMem())
	s.disk.low.Store(true)
	defer s.disk.low.Store(false)
	if err := s.Verdicts().Save(verdictCredential, testID("job"), copyTime); !errors.Is(err, ErrLowSpace) {
		t.Errorf("got %v", err)
	}
}

// A damaged value is an error and no verdict.
func TestDamagedVerdict(t *testing.T) {
	s := openStore(t, vfs.NewMem())
	key := verdictKey(verdictCredential, testID("job"))
	if !bytes.Contains(key, verdictCredential[:]) || len(key) > maxKey {
		t.Fatalf("key %x", key)
	}
	if err := s.db.Set(key, []byte{formatVersion}, nil); err != nil {
		t.Fatal(err)
	}
	v := s.Verdicts()
	if _, ok, err := v.Load(verdictCredential, testID("job")); ok || !errors.Is(err, ErrCorrupt) {
		t.Errorf("load: %t, %v", ok, err)
	}
	if err := v.Each(verdictCredential, func(string, time.Time) bool { return true }); !errors.Is(err, ErrCorrupt) {
		t.Errorf("each: %v", err)
	}
	if _, err := v.Expire(copyTime); !errors.Is(err, ErrCorrupt) {
		t.Errorf("expire: %v", err)
	}
}
