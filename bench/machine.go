package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"time"
)

// machine is where and with what a report was made.
type machine struct {
	Date     string      `json:"date"`
	CPU      string      `json:"cpu"`
	Cores    int         `json:"cores"`
	Memory   string      `json:"memory"`
	Kernel   string      `json:"kernel"`
	System   string      `json:"system"`
	Disk     string      `json:"disk"`
	Files    string      `json:"open_files"`
	Load     string      `json:"load_before"`
	Go       string      `json:"go"`
	Milepost string      `json:"milepost"`
	Peers    [][2]string `json:"peers"`
}

// describeMachine finds out what it can; what it cannot reads "unknown".
func describeMachine(ctx context.Context, binary, dir string) machine {
	m := machine{
		Date: time.Now().UTC().Format("2006-01-02 15:04 UTC"), CPU: fieldOf("/proc/cpuinfo", "model name"), Cores: runtime.NumCPU(),
		Memory: memoryText(fieldOf("/proc/meminfo", "MemTotal")), Kernel: firstLine("/proc/version"), System: strings.Trim(fieldOf("/etc/os-release", "PRETTY_NAME"), `"`),
		Disk: fileSystemOf(dir), Load: firstLine("/proc/loadavg"), Go: runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH,
		Milepost: strings.ReplaceAll(output(ctx, binary, "version"), "\n", "; "),
	}
	// The first three words are the version; who built it, and where, is of no use.
	if words := strings.Fields(m.Kernel); len(words) > 3 {
		m.Kernel = strings.Join(words[:3], " ")
	}
	var l syscall.Rlimit
	m.Files = "unknown"
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l) == nil {
		m.Files = fmt.Sprintf("at most %d", l.Max)
	}
	if commit := output(ctx, "git", "describe", "--always", "--dirty"); commit != unknown {
		m.Milepost += ", commit " + commit
	}
	m.Peers = [][2]string{
		{"nginx", output(ctx, "nginx", "-v")},
		{"nchan", packageVersion(ctx, "libnginx-mod-nchan")},
		{"Varnish", output(ctx, "varnishd", "-V")},
		{"PostgreSQL", postgresVersion(ctx)},
		{"centrifuge", peerModule("github.com/centrifugal/centrifuge")},
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, d := range info.Deps {
			switch d.Path {
			case "github.com/valyala/fasthttp", "github.com/cockroachdb/pebble/v2":
				m.Peers = append(m.Peers, [2]string{strings.TrimPrefix(d.Path, "github.com/"), d.Version})
			}
		}
	}
	return m
}

// memoryText writes what /proc/meminfo has in kB as GiB.
func memoryText(kib string) string {
	var n float64
	if _, err := fmt.Sscanf(kib, "%f kB", &n); err != nil {
		return kib
	}
	return fmt.Sprintf("%.0f GiB", n/(1<<20))
}

// busyLoad is the load average from which a machine is not fit for measuring.
const busyLoad = 0.5

// busy tells whether something else ran when the report began.
func (m machine) busy() bool {
	var load float64
	_, err := fmt.Sscanf(m.Load, "%f", &load)
	return err == nil && load > busyLoad
}

// unknown stands for what could not be found out.
const unknown = "unknown"

// output returns the first line that a program prints.
func output(ctx context.Context, program string, args ...string) string {
	out, err := exec.CommandContext(ctx, program, args...).CombinedOutput()
	line, _, _ := bytes.Cut(bytes.TrimSpace(out), []byte("\n"))
	if err != nil || len(line) == 0 {
		return unknown
	}
	return string(line)
}

// postgresVersion asks the server that would be started.
func postgresVersion(ctx context.Context) string {
	bin, err := findPostgres()
	if err != nil {
		return unknown
	}
	return output(ctx, filepath.Join(bin, "postgres"), "--version")
}

// packageVersion returns the version of a Debian package.
func packageVersion(ctx context.Context, name string) string {
	return output(ctx, "dpkg-query", "-W", "-f", "${Version}", name)
}

// peerModule returns the version of a module of bench/peers.
func peerModule(path string) string {
	raw, err := os.ReadFile(filepath.Join("bench", "peers", "go.mod"))
	if err != nil {
		return unknown
	}
	for line := range strings.Lines(string(raw)) {
		if fields := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "require ")); len(fields) > 1 && fields[0] == path {
			return fields[1]
		}
	}
	return unknown
}

// fieldOf returns the value of a name in a file of lines NAME: VALUE or NAME=VALUE.
func fieldOf(file, name string) string {
	f, err := os.Open(file)
	if err != nil {
		return unknown
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		rest, ok := strings.CutPrefix(lines.Text(), name)
		if ok {
			return strings.TrimSpace(strings.TrimLeft(rest, " \t:="))
		}
	}
	return unknown
}

// firstLine returns that of a file.
func firstLine(file string) string {
	raw, err := os.ReadFile(file)
	if err != nil {
		return unknown
	}
	line, _, _ := strings.Cut(string(raw), "\n")
	return line
}

// fileSystemOf names the file system on which dir lies.
func fileSystemOf(dir string) string {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return unknown
	}
	names := map[int64]string{0xef53: "ext4", 0x58465342: "xfs", 0x9123683e: "btrfs", 0x01021994: "tmpfs (no sync reaches a disk)", 0x794c7630: "overlay", 0x2fc12fc1: "zfs"}
	name, ok := names[int64(s.Type)]
	if !ok {
		name = fmt.Sprintf("type %#x", s.Type)
	}
	return name
}
