package store

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"milepost/internal/checkpoint"
)

// testOptions are those of a small store that never ends the process.
func testOptions(fs vfs.FS) Options {
	return Options{
		Dir: "/data", FS: fs, BlockCache: 1 << 20, MemTable: 1 << 20, AppendMemory: 1 << 20,
		Fatal: func(error) {},
	}
}

func openStore(t testing.TB, fs vfs.FS) *Store {
	t.Helper()
	s, err := Open(testOptions(fs))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// testID pads a name to the length of an id.
func testID(name string) string { return fmt.Sprintf("%024s", name) }

// document joins parts with what stands around them in a checkpoint.
func document(head string, parts ...string) checkpoint.Document {
	var d checkpoint.Document
	b := append([]byte(`{"head":"`), head...)
	b = append(b, `","messages":[`...)
	for i, p := range parts {
		if i > 0 {
			b = append(b, ',')
		}
		start := len(b)
		b = append(b, p...)
		d.Parts = append(d.Parts, checkpoint.Span{Start: start, End: len(b)})
	}
	d.JSON = append(b, `]}`...)
	return d
}

// message is a part of size bytes that differs by its number.
func message(n, size int) string {
	b := fmt.Appendf(nil, `"%08d`, n)
	state := uint32(n)*2654435761 + 1
	for len(b) < size-1 {
		state = state*1664525 + 1013904223
		b = append(b, 'a'+byte(state>>24)%26)
	}
	return string(append(b, '"'))
}

// begin applies the job's next checkpoint and returns its commit.
func begin(s *Store, job, id string, doc checkpoint.Document, change func(*Append)) (*Commit, uint64, error) {
	j := s.Hold(job)
	defer j.Release()
	if err := j.Lock(); err != nil {
		return nil, 0, err
	}
	defer j.Unlock()
	record, _ := j.Record()
	record.Count++
	a := Append{ID: id, Doc: doc, Record: record}
	if change != nil {
		change(&a)
	}
	c, err := j.Append(&a)
	return c, record.Count, err
}

// add appends a checkpoint and waits until it is on disk.
func add(s *Store, job, id string, doc checkpoint.Document, change func(*Append)) (uint64, error) {
	c, sequence, err := begin(s, job, id, doc, change)
	if err != nil {
		return 0, err
	}
	return sequence, c.Wait()
}

func mustAdd(t testing.TB, s *Store, job, id string, doc checkpoint.Document, change func(*Append)) {
	t.Helper()
	if _, err := add(s, job, id, doc, change); err != nil {
		t.Fatal(err)
	}
}

func wantRead(t testing.TB, s *Store, job string, sequence uint64, want []byte) {
	t.Helper()
	got, err := s.Read(job, sequence, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.JSON, want) {
		t.Fatalf("checkpoint %d of %s reads back as %d other bytes than the %d written", sequence, job, len(got.JSON), len(want))
	}
}

// logBuffer keeps what is logged.
type logBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write implements io.Writer.
func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) logger() *slog.Logger { return slog.New(slog.NewTextHandler(b, nil)) }

func (b *logBuffer) has(text string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Contains(b.text.String(), text)
}
