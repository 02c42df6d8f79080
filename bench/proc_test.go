package main

import (
	"os"
	"testing"
)

func TestParseStat(t *testing.T) {
	line := "42 (a (b) c) S 7 42 42 0 -1 4194560 100 200 0 0 150 50 30 20 20 0 8 0 100 1000 200"
	got, err := parseStat([]byte(line))
	if err != nil || got != (procStat{pid: 42, parent: 7, ticks: 250}) {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, bad := range []string{"", "42 S 7", "x (a) S 7 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1", "42 (a) S 7 1"} {
		if _, err := parseStat([]byte(bad)); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestProcessTreeHoldsThisProcess(t *testing.T) {
	tree := processTree(os.Getpid())
	if len(tree) == 0 || tree[0].pid != os.Getpid() {
		t.Fatalf("got %+v", tree)
	}
	if treePSS(os.Getpid()) < 1<<20 {
		t.Error("this process takes less than a megabyte")
	}
}
