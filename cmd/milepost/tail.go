package main

import (
	"context"
	"fmt"
	"os"

	"milepost/internal/terminal"
)

// tail prints a job's checkpoints as they come, until the job ends. The exit
// status is 0 if the job completed, and 1 if it ended in another way, so that
// a script can go on from there.
func tail(args []string) int {
	f := terminal.NewFlags("tail")
	asJSON := f.Bool("json", false, "")
	from := f.String("from", "", "")
	rest, err := f.Arguments(args, 1, 1)
	if err != nil {
		return wrongUsage("tail", err)
	}
	job := rest[0]
	c, err := f.Client()
	if err == nil {
		err = terminal.CheckID("job", job)
	}
	if err == nil && *from != "" {
		err = terminal.CheckID("--from", *from)
	}
	if err != nil {
		return wrongUsage("tail", err)
	}
	ctx := context.Background()
	if *from != "" {
		// The stream would take an id that it does not know for none.
		if err := c.Exists(ctx, job, *from); err != nil {
			return failed(fmt.Errorf("--from %s: %w", *from, err))
		}
	}
	follower := terminal.Follower{Client: c, Job: job, From: *from, Note: func(s string) {
		fmt.Fprintln(os.Stderr, "milepost: "+terminal.Clean(s))
	}}
	lines := terminal.Lines{Colour: terminal.Coloured(os.Stdout)}
	head := terminal.IsTerminal(os.Stdout) && !*asJSON
	status, err := follower.Run(ctx, func(data []byte) error {
		if *asJSON {
			_, err := os.Stdout.Write(append(data, '\n'))
			return err
		}
		line, err := lines.Line(data)
		if err != nil {
			return err
		}
		if head {
			line, head = lines.Head()+"\n"+line, false
		}
		_, err = fmt.Println(line)
		return err
	})
	if err != nil {
		return failed(err)
	}
	return ended(job, status)
}

// ended says how a job ended. Without a status it had ended before.
func ended(job, status string) int {
	if status == "" {
		fmt.Fprintf(os.Stderr, "milepost: job %s has nothing more\n", job)
		return exitOK
	}
	fmt.Fprintf(os.Stderr, "milepost: job %s ended: %s\n", job, terminal.Clean(status))
	if status != "completed" {
		return exitFailure
	}
	return exitOK
}
