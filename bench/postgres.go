package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// postgresSettings are what PostgreSQL's documentation advises for a busy
// write load on a machine of this size; durability stays as it is shipped.
var postgresSettings = [][2]string{
	{"fsync", "on"},
	{"synchronous_commit", "on"},
	{"full_page_writes", "on"},
	{"shared_buffers", "1GB"},
	{"max_wal_size", "8GB"},
	{"checkpoint_timeout", "15min"},
	{"wal_buffers", "64MB"},
	{"wal_level", "minimal"},
	{"max_wal_senders", "0"},
	{"default_toast_compression", "lz4"},
	{"max_connections", "100"},
	{"unix_socket_directories", ""},
	{"listen_addresses", "127.0.0.1"},
}

// postgresTable holds a checkpoint as a service would: found by job and
// sequence, the body as jsonb.
const postgresTable = `CREATE TABLE checkpoints (
	job text NOT NULL, sequence bigint NOT NULL, created_at timestamptz NOT NULL DEFAULT now(), body jsonb NOT NULL,
	PRIMARY KEY (job, sequence))`

// postgresServer is a running PostgreSQL of our own.
type postgresServer struct {
	*process
	addr string
}

// errNoPeer says that a peer is not installed.
var errNoPeer = errors.New("not installed")

// findPostgres returns the directory of the server's programs.
func findPostgres() (string, error) {
	if path, err := exec.LookPath("postgres"); err == nil {
		// A link may stand apart from the other programs.
		if path, err = filepath.EvalSymlinks(path); err == nil {
			return filepath.Dir(path), nil
		}
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if len(found) == 0 {
		return "", fmt.Errorf("PostgreSQL: %w", errNoPeer)
	}
	return filepath.Dir(found[len(found)-1]), nil
}

// startPostgres makes a cluster in dir and starts it.
func startPostgres(ctx context.Context, dir string) (*postgresServer, error) {
	bin, err := findPostgres()
	if err != nil {
		return nil, err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	as, err := unprivileged(dir)
	if err != nil {
		return nil, err
	}
	initdb := exec.CommandContext(ctx, filepath.Join(bin, "initdb"),
		"-D", dir, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C")
	initdb.SysProcAttr = &syscall.SysProcAttr{Credential: as}
	initdb.Dir = dir
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("cannot make a PostgreSQL cluster: %w\n%s", err, out)
	}
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(addr)
	args := []string{"-D", dir, "-p", port}
	for _, s := range postgresSettings {
		args = append(args, "-c", s[0]+"="+s[1])
	}
	cmd := exec.Command(filepath.Join(bin, "postgres"), args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
	cmd.Dir = dir
	p, err := startProcess(cmd, dir+".log", syscall.SIGINT)
	if err != nil {
		return nil, err
	}
	s := &postgresServer{process: p, addr: addr}
	err = p.ready(ctx, func() error {
		c, err := dialPostgres(addr)
		if err != nil {
			return err
		}
		defer c.close()
		return c.query(postgresTable)
	})
	if err != nil {
		_ = p.end()
		return nil, err
	}
	return s, nil
}

// unprivileged returns as whom PostgreSQL runs, nil for the caller: it refuses
// to run as root. The directory is given to that user.
func unprivileged(dir string) (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		if u, err = user.Lookup("nobody"); err != nil {
			return nil, fmt.Errorf("no user to run PostgreSQL as: %w", err)
		}
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("user id %q: %w", u.Uid, err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("group id %q: %w", u.Gid, err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, os.Chown(dir, int(uid), int(gid))
}
