package store

import (
	"encoding/binary"
	"errors"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// What a newer program wrote is refused, never guessed at.
func TestNewerFormatIsRefused(t *testing.T) {
	fs := vfs.NewMem()
	s := openStore(t, fs)
	job := testID("job")
	mustAdd(t, s, job, testID("c1"), document("first", message(1, 500)), nil)
	key := numberKey(job, kindCheckpoint, 1)
	v, err := s.get(key)
	if err != nil {
		t.Fatal(err)
	}
	v[0] = formatVersion + 1
	if err := s.db.Set(key, v, pebble.Sync); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Read(job, 1, nil); !errors.Is(err, ErrNewerFormat) {
		t.Errorf("read of a newer record: %v, want ErrNewerFormat", err)
	}
	if err := s.SetMeta("format", binary.BigEndian.AppendUint32(nil, storeFormat+1)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(testOptions(fs)); !errors.Is(err, ErrNewerFormat) {
		t.Errorf("open of a newer store: %v, want ErrNewerFormat", err)
	}
}
