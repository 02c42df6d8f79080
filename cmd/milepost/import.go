package main

import (
	"context"
	"fmt"
	"os"

	"milepost/internal/terminal"
)

// importJobs reads exports from standard input and sends them to the admin
// listener of the server on this machine.
func importJobs(args []string) int {
	o, err := parse("import", args, 0, "data", "admin-listen", "organization", "application")
	if err != nil {
		return wrongUsage("import", err)
	}
	organization, application := o.flags["organization"], o.flags["application"]
	for _, name := range []string{"organization", "application"} {
		if id, given := o.flags[name]; given {
			if err := terminal.CheckID("--"+name, id); err != nil {
				return wrongUsage("import", err)
			}
			delete(o.flags, name) // the configuration does not know it
		}
	}
	cfg, err := o.load()
	if err != nil {
		return failed(err)
	}
	progress := terminal.NewProgress(os.Stderr, terminal.IsTerminal(os.Stderr))
	importer := terminal.Importer{
		Admin: cfg.Server.AdminListen, DataDir: cfg.Store.Dir, Organization: organization, Application: application,
		Progress: func(job string, lines int) { progress.Draw(fmt.Sprintf("job %s: %d checkpoints sent", job, lines)) },
	}
	err = importer.Import(context.Background(), os.Stdin, func(got terminal.Imported) {
		progress.Note(fmt.Sprintf("job %s: %d checkpoints imported, %d were there", got.Job, got.Checkpoints, got.Present))
	})
	if err != nil {
		return failed(err)
	}
	return exitOK
}
