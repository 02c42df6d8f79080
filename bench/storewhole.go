package main

import (
	"fmt"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2"
	"github.com/klauspost/compress/zstd"

	"milepost/cache/store"
)

// wholeName is the name under which a checkpoint is stored whole. The store
// keeps values by name after this first byte in its own database.
func wholeName(sequence uint64) string { return fmt.Sprintf("whole-%08d", sequence) }

// wholeKeeper stores each body whole, as one value compressed by zstd. The
// value goes into the same database as milepost's own, with the same options
// and the same sync; nothing else is written with it.
type wholeKeeper struct {
	st      *store.Store
	encoder *zstd.Encoder
	buf     []byte
}

// wholeKeeperOf returns what makes a wholeKeeper that compresses at a level.
func wholeKeeperOf(level zstd.EncoderLevel) func(dir string) (keeper, error) {
	return func(dir string) (keeper, error) {
		encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(level), zstd.WithEncoderConcurrency(1))
		if err != nil {
			return nil, err
		}
		st, err := store.Open(store.Options{Dir: dir})
		if err != nil {
			return nil, err
		}
		return &wholeKeeper{st: st, encoder: encoder}, nil
	}
}

// write implements keeper.
func (w *wholeKeeper) write(sequence uint64, doc document) error {
	w.buf = w.encoder.EncodeAll(doc.JSON, w.buf[:0])
	return w.st.SetMeta(wholeName(sequence), w.buf)
}

// close implements keeper.
func (w *wholeKeeper) close() error { return w.st.Close() }

// wholeReader reads what a wholeKeeper wrote. It asks the database itself,
// since the store would copy the value first.
type wholeReader struct {
	db      *pebble.DB
	decoder *zstd.Decoder
}

// quietLogger drops what Pebble says about its work.
type quietLogger struct{ pebble.Logger }

// Infof implements pebble.Logger.
func (quietLogger) Infof(string, ...any) {}

// openWholeReader opens the database in dir, with a block cache of the size
// that the store's has.
func openWholeReader(dir string) (reader, error) {
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	db, err := pebble.Open(filepath.Join(dir, "db"), &pebble.Options{
		ReadOnly: true, CacheSize: 64 << 20, Logger: quietLogger{pebble.DefaultLogger},
	})
	if err != nil {
		return nil, fmt.Errorf("cannot open what the store wrote: %w", err)
	}
	return &wholeReader{db, decoder}, nil
}

// read implements reader.
func (r *wholeReader) read(sequence uint64, dst []byte) ([]byte, error) {
	v, closer, err := r.db.Get([]byte("m" + wholeName(sequence)))
	if err != nil {
		return nil, fmt.Errorf("cannot read checkpoint %d: %w", sequence, err)
	}
	out, err := r.decoder.DecodeAll(v, dst)
	if err := closer.Close(); err != nil {
		return nil, err
	}
	return out, err
}

// close implements reader.
func (r *wholeReader) close() error {
	r.decoder.Close()
	return r.db.Close()
}
