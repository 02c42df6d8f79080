package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestPgbenchLogCountsWhatEndsWithinTheRun(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	log := "0 1 900 0 100 999999\n" + // before
		"0 2 2000 0 101 1\n" +
		"1 1 4000 0 102 500000\n" +
		"1 2 9000 0 103 0\n" // after
	if err := os.WriteFile(path, []byte(log), 0o600); err != nil {
		t.Fatal(err)
	}
	var h histogram
	if err := readPgbenchLog(path, time.Unix(101, 0), time.Unix(103, 0), &h); err != nil {
		t.Fatal(err)
	}
	if h.total != 2 || h.max != 4*time.Millisecond {
		t.Errorf("%d transactions, the longest %s", h.total, h.max)
	}
	if err := os.WriteFile(path, []byte("0 1 failed 0 101 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := readPgbenchLog(path, time.Unix(101, 0), time.Unix(103, 0), &h); err == nil {
		t.Error("a failed transaction counts")
	}
}
