package store

import (
	"errors"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// heldFS lets no file be synced while it is held.
type heldFS struct {
	vfs.FS
	gate chan struct{} // receives one value for each sync that may go on
	hold chan struct{} // closed while syncs are held
}

type heldFile struct {
	vfs.File
	fs *heldFS
}

func (fs *heldFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.FS.Create(name, c)
	return &heldFile{f, fs}, err
}

func (fs *heldFS) wait() {
	select {
	case <-fs.hold:
		<-fs.gate
	default:
	}
}

func (f *heldFile) Sync() error     { f.fs.wait(); return f.File.Sync() }
func (f *heldFile) SyncData() error { f.fs.wait(); return f.File.SyncData() }

func TestWhatIsNotOnDiskYetIsNotShown(t *testing.T) {
	fs := &heldFS{FS: vfs.NewMem(), gate: make(chan struct{}), hold: make(chan struct{})}
	s := openStore(t, fs)
	job := testID("job")
	mustAdd(t, s, job, testID("c1"), document("first", message(1, 300)), nil)

	close(fs.hold)
	commit, sequence, err := begin(s, job, testID("c2"), document("second", message(2, 300)), nil)
	if err != nil || sequence != 2 {
		t.Fatalf("sequence %d, %v", sequence, err)
	}
	if record, err := s.Job(job); err != nil || record.Count != 1 {
		t.Errorf("%d checkpoints are shown, %v", record.Count, err)
	}
	if _, err := s.Sequence(job, testID("c2")); !errors.Is(err, ErrNotFound) {
		t.Errorf("the checkpoint is found before its sync: %v", err)
	}
	fresh, _, err := begin(s, testID("new"), testID("n1"), document("new"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Job(testID("new")); !errors.Is(err, ErrNotFound) {
		t.Errorf("a job is found before its first sync: %v", err)
	}

	close(fs.gate) // every sync goes on
	for _, c := range []*Commit{commit, fresh} {
		if err := c.Wait(); err != nil {
			t.Fatal(err)
		}
	}
	if record, err := s.Job(job); err != nil || record.Count != 2 {
		t.Errorf("%d checkpoints after the sync, %v", record.Count, err)
	}
	if _, err := s.Job(testID("new")); err != nil {
		t.Errorf("the new job after its sync: %v", err)
	}
}
