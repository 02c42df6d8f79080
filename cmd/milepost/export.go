package main

import (
	"bufio"
	"context"
	"fmt"
	"os"

	"milepost/internal/terminal"
)

// export writes every checkpoint of a job to standard output.
func export(args []string) int {
	f := terminal.NewFlags("export")
	rest, err := f.Arguments(args, 1, 1)
	if err != nil {
		return wrongUsage("export", err)
	}
	c, err := f.Client()
	if err == nil {
		err = terminal.CheckID("job", rest[0])
	}
	if err != nil {
		return wrongUsage("export", err)
	}
	out := bufio.NewWriterSize(os.Stdout, 1<<20)
	n, err := c.Export(context.Background(), rest[0], out)
	if flushed := out.Flush(); err == nil {
		err = flushed
	}
	if err != nil {
		return failed(err)
	}
	fmt.Fprintf(os.Stderr, "milepost: %d checkpoints of job %s exported\n", n, rest[0])
	return exitOK
}
