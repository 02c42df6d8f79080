//go:build smalldisk

package main

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// smallDisk is a file system of 96 MiB that may be filled. The variable is no
// configuration: the server would refuse to know it.
var smallDisk = os.Getenv("MILEPOST_SMALL_DISK")

// idPattern finds the checkpoint's id, which is the first of an answer.
var idPattern = regexp.MustCompile(`[a-z0-9]{24}`)

func init() { _ = os.Unsetenv("MILEPOST_SMALL_DISK") }

// What an operator and a client see of a full disk: 507 to writes and the reason
// in readyz and the metrics while reads go on, and all well again without a new
// start when there is space.
func TestFullDiskAnswers507(t *testing.T) {
	if smallDisk == "" {
		t.Fatal("MILEPOST_SMALL_DISK must name a file system of 96 MiB that may be filled")
	}
	for _, tt := range []struct {
		name string
		env  []string
	}{
		{"watermark", []string{"MILEPOST_STORE_MIN_FREE=16MiB", "MILEPOST_STORE_BALLAST=4MiB"}},
		{"no watermark", []string{"MILEPOST_STORE_MIN_FREE=0B", "MILEPOST_STORE_BALLAST=8MiB"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir, err := os.MkdirTemp(smallDisk, "process")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.RemoveAll(dir) })
			env := append([]string{"MILEPOST_API_KEY=" + secret, "MILEPOST_STORE_MEMTABLE=4MiB", "MILEPOST_STORE_CHECK_INTERVAL=10ms"}, tt.env...)
			p := startProcess(t, filepath.Join(dir, "data"), env...)
			const job = "full00000000000000000001"
			var (
				mu                sync.Mutex
				acknowledged      [][]byte
				accepted, refused atomic.Int64
				posting           sync.WaitGroup
			)
			quit := make(chan struct{})
			stop := sync.OnceFunc(func() { close(quit); posting.Wait() })
			t.Cleanup(stop)
			// Several, because one may be on its way when the disk is full, and wait
			// for space.
			for range 3 {
				posting.Go(func() {
					tick := time.NewTicker(time.Millisecond)
					defer tick.Stop()
					for n := 1; ; n++ {
						select {
						case <-tick.C:
						case <-quit:
							return
						}
						switch code, b, err := p.do("POST", path(job), secret, requestBody(n), ""); {
						case err != nil:
							t.Error(err)
							return
						case code == http.StatusOK:
							mu.Lock()
							acknowledged = append(acknowledged, b)
							mu.Unlock()
							accepted.Add(1)
						case code == http.StatusInsufficientStorage:
							refused.Add(1)
						default:
							t.Errorf("POST: %d %s", code, b)
							return
						}
					}
				})
			}
			read := func() {
				t.Helper()
				mu.Lock()
				all := slices.Clone(acknowledged)
				mu.Unlock()
				for _, want := range all {
					id := string(idPattern.Find(want))
					code, b, err := p.do("GET", path(job)+id, secret, "", "")
					if err != nil || code != 200 || !bytes.Equal(b, want) {
						t.Fatalf("checkpoint %s: %d %v", id, code, err)
					}
				}
			}
			ready := func() (int, string) {
				t.Helper()
				code, b, err := get("http://" + p.admin + "/readyz")
				if err != nil {
					t.Fatal(err)
				}
				return code, string(b)
			}
			wait := func(what string, holds func() bool) {
				t.Helper()
				tick := time.NewTicker(2 * time.Millisecond)
				defer tick.Stop()
				for deadline := time.Now().Add(30 * time.Second); !holds(); <-tick.C {
					if time.Now().After(deadline) {
						t.Fatalf("still waiting: %s\n%s", what, p.logs.String())
					}
				}
			}

			wait("200", func() bool { return accepted.Load() > 10 })
			filler, err := os.Create(filepath.Join(dir, "filler"))
			if err != nil {
				t.Fatal(err)
			}
			defer filler.Close()
			// Something else takes what there is and what comes free.
			enough := make(chan struct{})
			var filling sync.WaitGroup
			filling.Go(func() {
				for {
					if _, err := filler.Write(make([]byte, 64<<10)); err != nil {
						select {
						case <-enough:
							return
						default:
						}
					}
				}
			})
			wait("507", func() bool { return refused.Load() > 0 })
			if code, b := ready(); code != 503 || !strings.Contains(b, "disk space") {
				t.Errorf("readyz: %d %q", code, b)
			}
			if _, b, err := get("http://" + p.admin + "/metrics"); err != nil || !strings.Contains(string(b), "milepost_store_low_space 1\n") {
				t.Errorf("the gauge does not say so: %v", err)
			}
			read()
			close(enough)
			filling.Wait()
			if err := filler.Truncate(0); err != nil {
				t.Fatal(err)
			}
			before := accepted.Load()
			wait("200 again", func() bool { return accepted.Load() > before+10 })
			if code, b := ready(); code != 200 {
				t.Errorf("readyz with space again: %d %q", code, b)
			}
			stop()
			read()
			if err := p.stop(syscall.SIGTERM); err != nil {
				t.Errorf("SIGTERM: %v\n%s", err, p.logs.String())
			}
			p = startProcess(t, filepath.Join(dir, "data"), env...)
			read()
			if err := p.stop(syscall.SIGTERM); err != nil {
				t.Errorf("SIGTERM: %v", err)
			}
		})
	}
}
