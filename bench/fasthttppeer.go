package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"syscall"

	"github.com/valyala/fasthttp"
)

// cannedAnswer is what the bare peer writes: by path, the headers and body that
// milepost gave.
type cannedAnswer struct {
	Headers [][2]string `json:"headers"`
	Body    string      `json:"body"`
}

// runFasthttpPeer is the child: a handler that does nothing but write.
func runFasthttpPeer(ctx context.Context, args []string, _, progress io.Writer) error {
	flags := flag.NewFlagSet("bench peer-fasthttp", flag.ContinueOnError)
	flags.SetOutput(progress)
	addr := flags.String("addr", "", "`ADDRESS` to listen on")
	file := flags.String("answers", "", "`FILE` of the answers by path")
	if err := parseFlags(flags, args); err != nil {
		return err
	}
	raw, err := os.ReadFile(*file)
	if err != nil {
		return fmt.Errorf("cannot read the answers: %w", err)
	}
	var canned map[string]cannedAnswer
	if err := json.Unmarshal(raw, &canned); err != nil {
		return fmt.Errorf("cannot read the answers: %w", err)
	}
	bodies := map[string][]byte{}
	for path, a := range canned {
		bodies[path] = []byte(a.Body)
	}
	server := &fasthttp.Server{
		NoDefaultServerHeader: true,
		Handler: func(c *fasthttp.RequestCtx) {
			a, ok := canned[string(c.Path())]
			if !ok {
				c.SetStatusCode(fasthttp.StatusNotFound)
				return
			}
			for _, h := range a.Headers {
				c.Response.Header.Set(h[0], h[1])
			}
			c.Response.SetBodyRaw(bodies[string(c.Path())])
		},
	}
	l, err := net.Listen("tcp", *addr)
	if err != nil {
		return fmt.Errorf("cannot listen: %w", err)
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	select {
	case err := <-failed:
		return fmt.Errorf("the peer has stopped: %w", err)
	case <-ctx.Done():
		// Its connections are the parent's, which is done with them.
		return errors.Join(l.Close(), <-failed)
	}
}

// fasthttpPeer is the parent's side.
type fasthttpPeer struct {
	*process
	addr string
}

// startFasthttpPeer starts the peer with its answers.
func startFasthttpPeer(ctx context.Context, answers map[string]cannedAnswer, file string) (*fasthttpPeer, error) {
	if err := os.WriteFile(file, mustJSON(answers), 0o644); err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	p, err := startProcess(exec.Command(self, "peer-fasthttp", "--addr", addr, "--answers", file), file+".log", syscall.SIGTERM)
	if err != nil {
		return nil, err
	}
	if err := p.ready(ctx, dials(addr)); err != nil {
		_ = p.end()
		return nil, err
	}
	return &fasthttpPeer{p, addr}, nil
}
