package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"os"

	"milepost/internal/terminal"
)

// getCheckpoint prints a checkpoint, or a job's last one: indented on a terminal, in a
// pipe the bytes that the server gave and a line feed.
func getCheckpoint(args []string) int {
	f := terminal.NewFlags("get")
	rest, err := f.Arguments(args, 1, 2)
	if err != nil {
		return wrongUsage("get", err)
	}
	c, err := f.Client()
	if err == nil {
		err = terminal.CheckID("job", rest[0])
	}
	if err == nil && len(rest) == 2 {
		err = terminal.CheckID("checkpoint", rest[1])
	}
	if err != nil {
		return wrongUsage("get", err)
	}
	var raw json.RawMessage
	if len(rest) == 2 {
		raw, err = c.Checkpoint(context.Background(), rest[0], rest[1])
	} else {
		raw, err = lastCheckpoint(c, rest[0])
	}
	if err != nil {
		return failed(err)
	}
	text := append(raw, '\n')
	if terminal.IsTerminal(os.Stdout) {
		pretty, err := terminal.Pretty(raw)
		if err != nil {
			return failed(err)
		}
		text = []byte(pretty)
	}
	if _, err := os.Stdout.Write(text); err != nil {
		return failed(err)
	}
	return exitOK
}

func lastCheckpoint(c *terminal.Client, job string) (last json.RawMessage, err error) {
	query := url.Values{"take": {"1"}, "order": {"desc"}}
	_, err = c.Page(context.Background(), job, query, func(raw json.RawMessage) error {
		last = raw
		return nil
	})
	if err == nil && last == nil {
		err = errors.New("the job has no checkpoint")
	}
	return last, err
}
