package store

import (
	"errors"
	"io"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// roomFS is the database's file system. A write to the log or the manifest that
// fails ends the database, so one that meets a full disk waits there until there
// is room: nothing is acknowledged meanwhile, and appends that come later are
// refused. A table is different. What has been written of it holds space that
// only its failure gives back, so it waits for a moment and fails; the database
// tries again.
//
// A sync that fails is passed on, whatever the reason: the system may have
// dropped what was to be synced, and a second try would not tell.
type roomFS struct {
	vfs.FS
	disk *disk
	logs *liveLogs
}

// tablePatience is how long the write of a table waits for room. It also is the
// pause between two tries of a flush, which the database would begin at once.
const tablePatience = time.Second

// Create implements vfs.FS.
func (r roomFS) Create(name string, category vfs.DiskWriteCategory) (f vfs.File, err error) {
	err = r.disk.withRoom(name, func() error {
		f, err = r.FS.Create(name, category)
		return err
	})
	return r.watch(f, name), err
}

// OpenReadWrite implements vfs.FS.
func (r roomFS) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (f vfs.File, err error) {
	err = r.disk.withRoom(name, func() error {
		f, err = r.FS.OpenReadWrite(name, category, opts...)
		return err
	})
	return r.watch(f, name), err
}

// ReuseForWrite implements vfs.FS.
func (r roomFS) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (f vfs.File, err error) {
	err = r.disk.withRoom(newname, func() error {
		f, err = r.FS.ReuseForWrite(oldname, newname, category)
		return err
	})
	return r.watch(f, newname), err
}

// Link implements vfs.FS.
func (r roomFS) Link(oldname, newname string) error {
	return r.disk.withRoom(newname, func() error { return r.FS.Link(oldname, newname) })
}

// Rename implements vfs.FS.
func (r roomFS) Rename(oldname, newname string) error {
	return r.disk.withRoom(newname, func() error { return r.FS.Rename(oldname, newname) })
}

// Open implements vfs.FS. Of a log that is being written, only what is written by
// now is read, see liveLogs.
func (r roomFS) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	end, live := r.logs.end(name)
	f, err := r.FS.Open(name, opts...)
	if err != nil || !live {
		return f, err
	}
	return logPrefix{f, io.LimitReader(f, end)}, nil
}

// Unwrap implements vfs.FS.
func (r roomFS) Unwrap() vfs.FS { return r.FS }

func (r roomFS) watch(f vfs.File, name string) vfs.File {
	if f == nil {
		return nil
	}
	if filepath.Ext(name) == ".log" {
		l := newLogFile(f)
		r.logs.add(name, l)
		f = liveLog{l, name, r.logs}
	}
	return roomFile{f, name, r.disk}
}

type roomFile struct {
	vfs.File
	name string
	disk *disk
}

// Write implements vfs.File. What follows a short write goes on where that
// ended.
func (f roomFile) Write(p []byte) (n int, err error) {
	err = f.disk.withRoom(f.name, func() error {
		m, err := f.File.Write(p[n:])
		n += m
		return err
	})
	return n, err
}

// WriteAt implements vfs.File.
func (f roomFile) WriteAt(p []byte, offset int64) (n int, err error) {
	err = f.disk.withRoom(f.name, func() error {
		m, err := f.File.WriteAt(p[n:], offset+int64(n))
		n += m
		return err
	})
	return n, err
}

// withRoom does something that a full disk may refuse, again and again as long
// as it is patient for that file. Files outside of the database are those of a
// backup, whose disk is not the one that is watched.
func (d *disk) withRoom(name string, do func() error) error {
	err := do()
	if !isFull(err) || !strings.HasPrefix(name, databaseDir(d.dir)+string(filepath.Separator)) {
		return err
	}
	d.full()
	if err = do(); !isFull(err) {
		return err
	}
	var limit <-chan time.Time // nil: none
	if ext := filepath.Ext(name); ext == ".sst" || ext == ".blob" {
		timer := time.NewTimer(tablePatience)
		defer timer.Stop()
		limit = timer.C
	} else if d.patient.Load() {
		d.log.Error("the log cannot be written for lack of disk space: requests on their way wait for it", "file", name)
	} else {
		return err
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for isFull(err) {
		select {
		case <-tick.C:
			err = do()
		case <-limit:
			return err
		case <-d.hurry:
			return err
		}
	}
	return err
}

func isFull(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }
