package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"time"
)

// storeKind is a way to store a job's checkpoints.
type storeKind struct {
	name string
	// create makes a store in a new directory; open opens what it has written.
	create func(dir string) (keeper, error)
	open   func(dir string) (reader, error)
}

// keeper writes the checkpoints of one job.
type keeper interface {
	// write returns when the checkpoint is on disk.
	write(sequence uint64, doc document) error
	close() error
}

// reader reads what a keeper has written.
type reader interface {
	// read returns the JSON of a checkpoint, in dst's memory if there is room.
	read(sequence uint64, dst []byte) ([]byte, error)
	close() error
}

// measureWrites writes docs one after the other into dir, which it empties
// before. The CPU time is that of the whole process up to the last sync, with
// the flushes and compactions that ran meanwhile.
func (k storeKind) measureWrites(dir string, docs []document) (m measurement, err error) {
	if err := os.RemoveAll(dir); err != nil {
		return m, err
	}
	w, err := k.create(dir)
	if err != nil {
		return m, err
	}
	var latency histogram
	begin, cpu := time.Now(), selfCPU()
	for i, d := range docs {
		each := time.Now()
		if err := w.write(uint64(i+1), d); err != nil {
			return m, errors.Join(err, w.close())
		}
		latency.add(time.Since(each))
	}
	m.Seconds, m.ServerCPU, m.Requests = time.Since(begin).Seconds(), selfCPU()-cpu, int64(len(docs))
	m.setLatency(&latency)
	if err := w.close(); err != nil {
		return m, err
	}
	return m, k.verify(dir, docs)
}

// verify sees that all docs read back from dir as they were written.
func (k storeKind) verify(dir string, docs []document) error {
	r, err := k.open(dir)
	if err != nil {
		return err
	}
	var buf []byte
	for i, d := range docs {
		if buf, err = readWanted(r, i+1, buf, d.JSON); err != nil {
			break
		}
	}
	return errors.Join(err, r.close())
}

// measureReads reads the last of docs from dir: from a store that is opened for
// each read, with no block cached, or from one that has read it before.
func (k storeKind) measureReads(dir string, docs []document, reads int, reopen bool) (m measurement, err error) {
	want := docs[len(docs)-1].JSON
	buf := make([]byte, 0, len(want))
	var latency histogram
	var r reader
	for n := range reads {
		if n == 0 || reopen {
			if r, err = k.open(dir); err != nil {
				return m, err
			}
		}
		if n == 0 && !reopen {
			if _, err := readWanted(r, len(docs), buf, want); err != nil {
				return m, errors.Join(err, r.close())
			}
		}
		begin, cpu := time.Now(), selfCPU()
		got, err := r.read(uint64(len(docs)), buf)
		took := time.Since(begin)
		m.ServerCPU += selfCPU() - cpu
		m.Seconds += took.Seconds()
		latency.add(took)
		if n == reads-1 || reopen {
			err = errors.Join(err, r.close())
		}
		if err != nil {
			return m, err
		}
		if !bytes.Equal(got, want) {
			return m, fmt.Errorf("checkpoint %d reads back as other bytes", len(docs))
		}
	}
	m.Requests = int64(reads)
	m.setLatency(&latency)
	return m, nil
}

// readWanted reads a checkpoint into buf and wants its JSON to be want.
func readWanted(r reader, sequence int, buf, want []byte) ([]byte, error) {
	got, err := r.read(uint64(sequence), buf[:0])
	if err == nil && !bytes.Equal(got, want) {
		err = fmt.Errorf("checkpoint %d reads back as other bytes", sequence)
	}
	return got, err
}
