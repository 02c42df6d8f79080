package store

import (
	"errors"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Below the watermark appends are refused and reads go on; with space back,
// an eighth above it, appends go on. The ballast is given up when the disk is
// full and made again after.
func TestLowSpaceRefusesAppendsOnly(t *testing.T) {
	const minFree, ballast = 8 << 20, 1 << 20
	fs := vfs.NewMem()
	free := func(n uint64) { fs.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: n, TotalBytes: 1 << 30}) }
	free(1 << 29)
	o := testOptions(fs)
	o.MinFree, o.Ballast, o.CheckInterval = minFree, ballast, time.Hour
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	hasBallast := func() bool {
		info, err := fs.Stat(s.disk.ballastPath())
		return err == nil && info.Size() == ballast
	}
	if !hasBallast() {
		t.Error("no ballast though there is space")
	}
	job, d := testID("job"), document("first", message(1, 500))
	mustAdd(t, s, job, testID("c1"), d, nil)

	free(minFree - 1)
	s.disk.check()
	if _, err := add(s, job, testID("c2"), d, nil); !errors.Is(err, ErrLowSpace) {
		t.Errorf("append below the watermark: %v, want ErrLowSpace", err)
	}
	wantRead(t, s, job, 1, d.JSON)
	free(minFree)
	s.disk.check()
	if !s.LowSpace() {
		t.Error("writes resume at the watermark itself, so the state flaps")
	}

	s.disk.full()
	if hasBallast() {
		t.Error("ballast kept though the disk is full")
	}
	free(1 << 29)
	s.disk.check()
	if !hasBallast() {
		t.Error("ballast not made again")
	}
	mustAdd(t, s, job, testID("c2"), d, nil)
	wantRead(t, s, job, 2, d.JSON)
}
