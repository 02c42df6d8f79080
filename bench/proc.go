package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// ticksPerSecond is the unit of CPU time in /proc/PID/stat, USER_HZ, which is
// 100 on all of Linux's common architectures.
const ticksPerSecond = 100

// procStat is what a line of /proc/PID/stat tells.
type procStat struct {
	pid, parent int
	// ticks is the CPU time in user and kernel mode, with that of ended
	// children that were waited for.
	ticks int64
}

// parseStat reads a line of /proc/PID/stat (proc_pid_stat(5)). The second
// field, the command, may hold blanks and brackets.
func parseStat(line []byte) (procStat, error) {
	open, end := bytes.IndexByte(line, '('), bytes.LastIndexByte(line, ')')
	if open < 0 || end < open {
		return procStat{}, fmt.Errorf("no command in %q", line)
	}
	pid, err := strconv.Atoi(string(bytes.TrimSpace(line[:open])))
	if err != nil {
		return procStat{}, fmt.Errorf("no process id in %q", line)
	}
	fields := strings.Fields(string(line[end+1:]))
	const parentField, firstTime, lastTime = 1, 11, 14
	if len(fields) <= lastTime {
		return procStat{}, fmt.Errorf("too few fields in %q", line)
	}
	s := procStat{pid: pid}
	if s.parent, err = strconv.Atoi(fields[parentField]); err != nil {
		return procStat{}, fmt.Errorf("no parent in %q", line)
	}
	for _, f := range fields[firstTime : lastTime+1] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return procStat{}, fmt.Errorf("no CPU time in %q", line)
		}
		s.ticks += n
	}
	return s, nil
}

// processTree returns root and its descendants that are alive.
func processTree(root int) []procStat {
	paths, _ := filepath.Glob("/proc/[0-9]*/stat")
	children := map[int][]procStat{}
	var tree []procStat
	for _, path := range paths {
		line, err := os.ReadFile(path)
		if err != nil {
			continue // it ended meanwhile
		}
		s, err := parseStat(line)
		if err != nil {
			continue
		}
		children[s.parent] = append(children[s.parent], s)
		if s.pid == root {
			tree = append(tree, s)
		}
	}
	for i := 0; i < len(tree); i++ {
		tree = append(tree, children[tree[i].pid]...)
	}
	return tree
}

// treeCPU returns the CPU seconds that the process tree of root has used. Each
// process counts in whole hundredths of a second, so a tree of many processes,
// such as PostgreSQL's, needs a run of seconds for an exact difference.
func treeCPU(root int) float64 {
	ticks := int64(0)
	for _, s := range processTree(root) {
		ticks += s.ticks
	}
	return float64(ticks) / ticksPerSecond
}

// treePSS returns the proportional set size of the process tree of root in
// bytes: memory shared by n processes counts 1/n in each.
func treePSS(root int) int64 {
	total := int64(0)
	for _, s := range processTree(root) {
		f, err := os.Open(fmt.Sprintf("/proc/%d/smaps_rollup", s.pid))
		if err != nil {
			continue // it ended meanwhile
		}
		for lines := bufio.NewScanner(f); lines.Scan(); {
			var kib int64
			if n, _ := fmt.Sscanf(lines.Text(), "Pss: %d kB", &kib); n == 1 {
				total += kib << 10
				break
			}
		}
		_ = f.Close()
	}
	return total
}

// selfCPU returns the CPU seconds that this process itself has used.
func selfCPU() float64 { return usedCPU(syscall.RUSAGE_SELF) }

// childCPU returns the CPU seconds of the children that have ended.
func childCPU() float64 { return usedCPU(syscall.RUSAGE_CHILDREN) }

// usedCPU asks for either.
func usedCPU(who int) float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(who, &u); err != nil {
		return 0
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}
