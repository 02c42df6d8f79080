package store

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// Few writes change the log's size, and what is read is what was written and
// then zeros.
func TestLogIsPreparedAhead(t *testing.T) {
	fs := vfs.NewMem()
	raw, err := fs.Create("000001.log", vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	f := newLogFile(raw)
	var want bytes.Buffer
	size, changes := int64(0), 0
	for i := range 1024 {
		piece := bytes.Repeat([]byte{byte(i) | 1}, 4<<10)
		want.Write(piece)
		if n, err := f.Write(piece); n != len(piece) || err != nil {
			t.Fatalf("write %d: %d, %v", i, n, err)
		}
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() != size {
			size, changes = info.Size(), changes+1
		}
	}
	if changes > 24 {
		t.Errorf("1024 writes changed the size %d times", changes)
	}
	if ahead := size - int64(want.Len()); ahead < 0 || ahead > maxAhead {
		t.Errorf("%d bytes are prepared ahead, want at most %d", ahead, maxAhead)
	}
	got := contents(t, fs, "000001.log")
	if !bytes.Equal(got[:want.Len()], want.Bytes()) {
		t.Error("what was written does not read back")
	}
	if rest := got[want.Len():]; !bytes.Equal(rest, make([]byte, len(rest))) {
		t.Error("behind what was written stands something else than zeros")
	}
}

// A log that is written anew is not prepared where it has room.
func TestReusedLogKeepsItsSize(t *testing.T) {
	fs := vfs.NewMem()
	old, err := fs.Create("000001.log", vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := old.Write(bytes.Repeat([]byte{1}, 8<<10)); err != nil {
		t.Fatal(err)
	}
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	raw, err := fs.OpenReadWrite("000001.log", vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	f := newLogFile(raw)
	for range 2 {
		if _, err := f.Write(bytes.Repeat([]byte{2}, 4<<10)); err != nil {
			t.Fatal(err)
		}
	}
	if got := contents(t, fs, "000001.log"); !bytes.Equal(got, bytes.Repeat([]byte{2}, 8<<10)) {
		t.Errorf("the log has %d bytes, want 8192 of the second writing", len(got))
	}
}

// What cannot be prepared is written all the same.
func TestLogThatCannotBePrepared(t *testing.T) {
	mem := vfs.NewMem()
	prepared := 0
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpFileWriteAt {
			prepared++
			return errors.New("no")
		}
		return nil
	}))
	raw, err := fs.Create("000001.log", vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	f := newLogFile(raw)
	if n, err := f.Write([]byte("all of it")); n != 9 || err != nil {
		t.Fatalf("wrote %d bytes, %v", n, err)
	}
	if got := contents(t, mem, "000001.log"); string(got) != "all of it" {
		t.Errorf("the log has %d bytes", len(got))
	}
	if prepared == 0 {
		t.Error("nothing was refused, so that nothing was tested")
	}
}

func contents(t *testing.T, fs vfs.FS, name string) []byte {
	t.Helper()
	f, err := fs.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
