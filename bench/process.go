package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"
	"time"
)

const (
	// startTimeout bounds how long a started server may take until it answers.
	startTimeout = time.Minute
	// stopTimeout bounds its graceful end; after that it is killed.
	stopTimeout = 30 * time.Second
	pollEvery   = 2 * time.Millisecond
)

// process is a child that a scenario started and ends.
type process struct {
	cmd  *exec.Cmd
	log  string
	stop syscall.Signal
	done chan struct{}
	err  error
}

// startProcess starts cmd with its output in the file log, to be ended by the
// signal stop. The child is in a process group of its own, so that an interrupt
// from the terminal leaves its end to us.
func startProcess(cmd *exec.Cmd, log string, stop syscall.Signal) (*process, error) {
	f, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", cmd.Path, err)
	}
	if cmd.Stdout == nil {
		cmd.Stdout = f
	}
	cmd.Stderr = f
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	err = cmd.Start()
	_ = f.Close()
	if err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", cmd.Path, err)
	}
	p := &process{cmd: cmd, log: log, stop: stop, done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// pid returns the id of the process, the root of its tree.
func (p *process) pid() int { return p.cmd.Process.Pid }

// ready waits until probe succeeds, the process ends, or startTimeout passes.
func (p *process) ready(ctx context.Context, probe func() error) error {
	deadline := time.Now().Add(startTimeout)
	for {
		err := probe()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-p.done:
			return fmt.Errorf("%s ended while starting: %v\n%s", p.cmd.Path, p.err, p.output())
		case <-time.After(pollEvery):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s is not ready after %s: %w\n%s", p.cmd.Path, startTimeout, err, p.output())
		}
	}
}

// output returns the end of what the process printed.
func (p *process) output() string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	const most = 2000
	return string(b[max(0, len(b)-most):])
}

// end stops the process and waits for it.
func (p *process) end() error {
	_ = p.cmd.Process.Signal(p.stop)
	select {
	case <-p.done:
	case <-time.After(stopTimeout):
		p.kill()
		return fmt.Errorf("%s did not end within %s and was killed", p.cmd.Path, stopTimeout)
	}
	return nil
}

// kill ends the process as a crash does, by SIGKILL, and waits for it.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// freeAddr returns an address on loopback that nothing listens on.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("cannot find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// dials probes whether something listens on addr.
func dials(addr string) func() error {
	return func() error {
		conn, err := net.DialTimeout("tcp", addr, time.Second)
		if err != nil {
			return err
		}
		return conn.Close()
	}
}
