package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"time"

	"milepost/internal/terminal"
)

// jobs prints a page of the caller's jobs.
func jobs(args []string) int {
	f := terminal.NewFlags("jobs")
	asJSON := f.Bool("json", false, "")
	query := url.Values{"take": {"20"}}
	for _, name := range []string{"status", "sort", "order", "take", "skip"} {
		f.Func(name, "", func(v string) error { query.Set(name, v); return nil })
	}
	if _, err := f.Arguments(args, 0, 0); err != nil {
		return wrongUsage("jobs", err)
	}
	c, err := f.Client()
	if err != nil {
		return wrongUsage("jobs", err)
	}
	lines := terminal.Lines{Colour: terminal.Coloured(os.Stdout)}
	shown := 0
	meta, err := c.Jobs(context.Background(), query, func(job json.RawMessage) error {
		if *asJSON {
			_, err := fmt.Printf("%s\n", job)
			return err
		}
		line, err := lines.JobLine(job, time.Now())
		if err != nil {
			return err
		}
		if shown == 0 {
			line = lines.JobHead() + "\n" + line
		}
		shown++
		_, err = fmt.Println(line)
		return err
	})
	if err != nil {
		return failed(err)
	}
	if !*asJSON && shown < meta.Total {
		fmt.Fprintf(os.Stderr, "milepost: %d of %d jobs; more with --skip and --take\n", shown, meta.Total)
	}
	return exitOK
}
